"""Requests share runs, get their own rows back, and wait no longer and no more than allowed."""

import json
import threading
import time

import numpy as np
import pytest

from maas.serving import PythonModel, Server

from .conftest import Gate, affine, body, call, infer, metric, rows_of, toy, wait_for


class Asked(threading.Thread):
    """One request on its own thread."""

    def __init__(self, server, x, **more):
        super().__init__(daemon=True)
        self.x, self.server, self.more = np.asarray(x, np.float32), server, more
        self.start()

    def run(self):
        began = time.monotonic()
        self.status, self.headers, text = call(self.server.url, "/v2/models/toy/infer", body(self.x, **self.more))
        self.answer = json.loads(text)
        self.seconds = time.monotonic() - began

    def right(self):
        self.join(20)
        return self.status == 200 and rows_of(self.answer).tobytes() == affine(self.x).tobytes()


@pytest.fixture
def gate():
    g = Gate()
    yield g
    g.open.set()


def waiting(server, n):
    wait_for(lambda: metric(server.url, "maas_queue_depth") == n)


def random_rows(n, seed):
    return np.random.default_rng(seed).standard_normal((n, 16)).astype(np.float32)


def test_what_waits_during_a_run_shares_the_next_one(gate):
    with Server(toy(gate), name="toy", port=0) as server:
        first = Asked(server, random_rows(2, 0))
        assert gate.entered.acquire(timeout=10)
        others = [Asked(server, random_rows(1 + i % 3, i + 1)) for i in range(10)]
        waiting(server, 10)
        gate.open.set()
        assert first.right() and all(o.right() for o in others)
        assert gate.rows == [2, 19]
        assert metric(server.url, "maas_batch_size_count") == 2 and metric(server.url, "maas_batch_size_sum") == 21
        assert metric(server.url, "maas_batch_close_total", reason="immediate") == 2


def test_more_than_all_batches_hold_waits_in_order(gate):
    with Server(toy(gate), name="toy", port=0, max_batch_size=4) as server:
        first = Asked(server, random_rows(4, 0))
        assert gate.entered.acquire(timeout=10)
        others = []
        for i in range(30):
            others.append(Asked(server, random_rows(1 + i % 4, i + 1)))
            waiting(server, i + 1)
        gate.open.set()
        assert first.right() and all(o.right() for o in others)
        assert sum(gate.rows) == 4 + sum(1 + i % 4 for i in range(30)) and max(gate.rows) <= 4
        assert metric(server.url, "maas_batch_close_total", reason="full") > 0
        assert metric(server.url, "maas_inference_in_flight") == 0


def test_delay_waits_for_company_and_full_does_not_wait():
    with Server(toy(), name="toy", port=0, max_batch_size=8, max_queue_delay_us=300_000) as server:
        alone = Asked(server, random_rows(1, 0))
        assert alone.right() and alone.seconds >= 0.3
        assert metric(server.url, "maas_batch_close_total", reason="delay") == 1
        full = [Asked(server, random_rows(1, i)) for i in range(8)]
        assert all(a.right() for a in full)
        assert metric(server.url, "maas_batch_close_total", reason="full") == 1
        assert metric(server.url, "maas_batch_size_count") == 2


def test_full_queue_is_429_and_the_others_are_served(gate):
    with Server(toy(gate), name="toy", port=0, max_queue_size=3) as server:
        first = Asked(server, random_rows(1, 0))
        assert gate.entered.acquire(timeout=10)
        kept = [Asked(server, random_rows(1, i)) for i in range(3)]
        waiting(server, 3)
        late = Asked(server, random_rows(1, 9))
        late.join(10)
        assert late.status == 429 and late.headers["Retry-After"] == "1" and "full" in late.answer["error"]
        gate.open.set()
        assert first.right() and all(k.right() for k in kept)
        assert metric(server.url, "maas_inference_requests_total", outcome="rejected") == 1


def test_deadline_is_504_and_its_rows_are_never_run(gate):
    with Server(toy(gate), name="toy", port=0) as server:
        first = Asked(server, random_rows(1, 0))
        assert gate.entered.acquire(timeout=10)
        before = Asked(server, random_rows(2, 1))
        waiting(server, 1)
        late = Asked(server, random_rows(5, 2), parameters={"timeout": 100_000})
        waiting(server, 2)
        after = Asked(server, random_rows(3, 3))
        late.join(10)
        assert late.status == 504 and late.seconds < 5 and "error" in late.answer
        waiting(server, 2)
        gate.open.set()
        # The rows behind the gap move up.
        assert first.right() and before.right() and after.right()
        assert gate.rows == [1, 5]
        assert metric(server.url, "maas_inference_requests_total", outcome="timeout") == 1


def test_a_run_longer_than_the_request_timeout_is_504(gate):
    with Server(toy(gate), name="toy", port=0, request_timeout=0.3) as server:
        first = Asked(server, random_rows(1, 0))
        first.join(10)
        assert first.status == 504
        gate.open.set()
        wait_for(lambda: metric(server.url, "maas_inference_in_flight") == 0)
        assert Asked(server, random_rows(1, 1)).right()


def test_a_client_that_leaves_does_not_disturb_its_batch(gate):
    import socket

    with Server(toy(gate), name="toy", port=0) as server:
        first = Asked(server, random_rows(1, 0))
        assert gate.entered.acquire(timeout=10)
        text = json.dumps(body(random_rows(2, 1))).encode()
        s = socket.create_connection(("127.0.0.1", server.port))
        s.sendall(b"POST /v2/models/toy/infer HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
        waiting(server, 1)
        s.close()
        after = Asked(server, random_rows(3, 2))
        waiting(server, 2)
        gate.open.set()
        assert first.right() and after.right()
        wait_for(lambda: metric(server.url, "maas_inference_in_flight") == 0)


def test_one_bad_request_does_not_fail_its_neighbours(gate):
    def picky(arrays):
        y = gate(arrays)
        if (arrays[0] == 666).any():
            raise RuntimeError("secret detail /home/user/file.py at 0x7fffdeadbeef")
        return y

    with Server(toy(picky), name="toy", port=0) as server:
        first = Asked(server, random_rows(1, 0))
        assert gate.entered.acquire(timeout=10)
        good = [Asked(server, random_rows(2, 1))]
        waiting(server, 1)
        bad = Asked(server, np.full((1, 16), 666))
        waiting(server, 2)
        good.append(Asked(server, random_rows(1, 2)))
        waiting(server, 3)
        gate.open.set()
        bad.join(10)
        assert first.right() and all(g.right() for g in good)
        assert (bad.status, bad.answer) == (500, {"error": "model 'toy' failed"})


@pytest.mark.parametrize("result", [None, "text", [], [1, 2], np.zeros((1, 5)), np.zeros(3), np.zeros((2, 4))])
def test_a_model_that_returns_nonsense_is_500(result):
    with Server(toy(lambda arrays: result), name="toy", port=0) as server:
        assert infer(server.url, body(random_rows(1, 0))) == (500, {"error": "model 'toy' failed"})
        assert call(server.url, "/v2/health/live")[0] == 200


def test_nan_answers_are_answers():
    with Server(toy(lambda a: np.full((len(a[0]), 4), np.nan)), name="toy", port=0) as server:
        assert np.isnan(rows_of(infer(server.url, body(random_rows(1, 0)))[1])).all()


def test_different_row_shapes_never_share_a_run():
    gate = Gate()

    def total(arrays):
        gate.rows.append(arrays[0].shape)
        gate.entered.release()
        assert gate.open.wait(20)
        return arrays[0].sum(axis=1, keepdims=True)

    model = PythonModel(total, [("x", (None, None), "float32")], [("y", (None, 1), "float32")])
    with Server(model, name="toy", port=0) as server:
        answers = [Asked(server, np.ones((1, 2)))]
        assert gate.entered.acquire(timeout=10)
        for i in range(12):
            answers.append(Asked(server, np.ones((1, 1 + i % 5))))
            waiting(server, i + 1)
        gate.open.set()
        for a in answers:
            a.join(20)
            assert a.status == 200 and rows_of(a.answer).tolist() == [[a.x.shape[1]]]
        # One run for each shape, but for what came when no batch was free.
        assert len(gate.rows) <= 1 + 5 + 2


def test_s26_rows_of_others_never_show():
    """A model that reads its whole memory would see old rows only if it were given more than its own."""
    with Server(toy(), name="toy", port=0, max_batch_size=64) as server:
        assert infer(server.url, body(np.full((64, 16), 12345.0)))[0] == 200
        for n in (1, 3, 7):
            x = random_rows(n, n)
            assert rows_of(infer(server.url, body(x))[1]).tobytes() == affine(x).tobytes()


def test_many_clients_at_once_get_their_own_rows():
    with Server(toy(), name="toy", port=0, max_batch_size=16, io_threads=2) as server:
        wrong = []

        def client(seed):
            import http.client

            c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            for i in range(40):
                x = random_rows(1 + (seed + i) % 5, seed * 1000 + i)
                c.request("POST", "/v2/models/toy/infer", json.dumps(body(x, id=f"{seed}-{i}")))
                r = c.getresponse()
                answer = json.loads(r.read())
                if r.status != 200 or answer["id"] != f"{seed}-{i}" or rows_of(answer).tobytes() != affine(x).tobytes():
                    wrong.append((r.status, answer))
            c.close()

        threads = [threading.Thread(target=client, args=(s,)) for s in range(16)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        assert not wrong
        runs, rows = metric(server.url, "maas_batch_size_count"), metric(server.url, "maas_batch_size_sum")
        assert rows == sum(1 + (s + i) % 5 for s in range(16) for i in range(40)) and runs < 640


@pytest.mark.parametrize("change", ["first", "twice", "half", "merge"])
def test_models_whose_outputs_have_other_rows_run_alone(change):
    """Such an output cannot be cut by the rows of requests: doing so read past its end."""
    import maas
    from maas import ops

    functions = {
        "first": lambda x: x[:1],
        "twice": lambda x: ops.repeat(x, 2, axis=0),
        "half": lambda x: x[::2],
        "merge": lambda x: ops.reshape(x, (-1, 4)),
    }
    x = maas.Input((16,), name="x")
    model = maas.Model(x, functions[change](x))
    with Server(model, name="toy", port=0, max_batch_size=4) as server:
        for rows in (1, 2, 8):
            data = random_rows(rows, rows)
            status, answer = infer(server.url, body(data))
            assert status == 200
            assert rows_of(answer).tobytes() == np.asarray(functions[change](data)).tobytes()
