"""Large requests, priorities, preferred sizes, instances, clients that leave, and models sharing the cores."""

import http.client
import json
import socket
import threading
import time

import numpy as np
import pytest

import maas
from maas.serving import PythonModel, Server

from .conftest import Gate, affine, body, call, infer, metric, rows_of, toy, wait_for
from .test_batching import Asked, random_rows, waiting


@pytest.fixture
def gate():
    g = Gate()
    yield g
    g.open.set()


@pytest.fixture(scope="module")
def dense():
    layers = maas.layers
    model = maas.Sequential([maas.Input((16,), name="x"), layers.Dense(33, activation="relu"), layers.Dense(5)])
    return model


def test_more_rows_than_a_batch_are_split_and_answered_whole(gate):
    gate.open.set()
    with Server(toy(gate), name="toy", port=0, max_batch_size=8) as server:
        for rows in (9, 16, 100, 257):
            gate.rows.clear()
            x = random_rows(rows, rows)
            status, answer = infer(server.url, body(x, id="whole"))
            assert status == 200 and answer["id"] == "whole" and rows_of(answer).tobytes() == affine(x).tobytes()
            assert sum(gate.rows) == rows and max(gate.rows) <= 8
        assert metric(server.url, "maas_inference_in_flight") == 0
        assert metric(server.url, "maas_inference_requests_total", outcome="success") == 4


def test_a_large_request_does_not_hold_up_the_others(gate):
    with Server(toy(gate), name="toy", port=0, max_batch_size=4) as server:
        large = Asked(server, random_rows(400, 0))
        assert gate.entered.acquire(timeout=10)
        small = [Asked(server, random_rows(1, i)) for i in range(4)]
        wait_for(lambda: metric(server.url, "maas_inference_in_flight") == 5)
        gate.open.set()
        assert large.right() and all(s.right() for s in small)


def test_one_part_that_fails_fails_the_request_once(gate):
    def picky(arrays):
        y = gate(arrays)
        if (arrays[0] == 666).any():
            raise RuntimeError("no")
        return y

    gate.open.set()
    with Server(toy(picky), name="toy", port=0, max_batch_size=4) as server:
        x = random_rows(40, 0)
        x[17] = 666
        assert infer(server.url, body(x)) == (500, {"error": "model 'toy' failed"})
        wait_for(lambda: metric(server.url, "maas_inference_in_flight") == 0)
        assert metric(server.url, "maas_queue_depth") == 0
        assert metric(server.url, "maas_inference_requests_total", outcome="error") == 1
        assert rows_of(infer(server.url, body(x[:17]))[1]).tobytes() == affine(x[:17]).tobytes()


def test_rows_past_the_queue_are_refused(gate):
    gate.open.set()
    with Server(toy(gate), name="toy", port=0, max_batch_size=2, max_queue_size=5) as server:
        assert infer(server.url, body(random_rows(10, 0)))[0] == 200
        status, answer = infer(server.url, body(random_rows(11, 0)))
        assert status == 400 and answer == {"error": "a request may have at most 10 rows, received 11"}


def test_a_full_queue_refuses_a_split_request_whole(gate):
    with Server(toy(gate), name="toy", port=0, max_batch_size=2, max_queue_size=5) as server:
        first = Asked(server, random_rows(1, 0))
        assert gate.entered.acquire(timeout=10)
        second = Asked(server, random_rows(6, 1))
        waiting(server, 3)
        late = Asked(server, random_rows(6, 2))
        late.join(10)
        assert late.status == 429 and late.headers["Retry-After"] == "1"
        waiting(server, 3)
        gate.open.set()
        assert first.right() and second.right()


def test_the_deadline_of_a_split_request(gate):
    with Server(toy(gate), name="toy", port=0, max_batch_size=2) as server:
        first = Asked(server, random_rows(1, 0))
        assert gate.entered.acquire(timeout=10)
        late = Asked(server, random_rows(20, 1), parameters={"timeout": 100_000})
        late.join(10)
        assert late.status == 504
        gate.open.set()
        assert first.right()
        wait_for(lambda: metric(server.url, "maas_inference_in_flight") == 0)
        assert gate.rows == [1]


def test_s26_bits_do_not_depend_on_the_batch(dense):
    """Alone, split, and with others: the bits of `predict`."""
    x = random_rows(61, 7)
    want = dense.predict(x, verbose=0)
    with Server(dense, name="toy", port=0, max_batch_size=16, max_queue_delay_us=2000) as server:
        assert rows_of(infer(server.url, body(x))[1]).tobytes() == want.tobytes()
        wrong = []

        def client(seed):
            random = np.random.default_rng(seed)
            for _ in range(15):
                i = np.sort(random.integers(0, 61, 2)) + [0, 1]
                got = rows_of(infer(server.url, body(x[i[0] : i[1]]))[1])
                if got.tobytes() != want[i[0] : i[1]].tobytes():
                    wrong.append(i)

        threads = [threading.Thread(target=client, args=(s,)) for s in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        assert not wrong


def test_open_batches_of_other_shapes_do_not_hold_all_memory():
    """Each shape fills a batch of its own; with all of them taken the delay would let the next shape wait."""
    model = PythonModel(
        lambda a: a[0].sum(axis=1, keepdims=True), [("x", (None, None), "float32")], [("y", (None, 1), "float32")]
    )
    with Server(model, name="toy", port=0, max_queue_delay_us=4_000_000) as server:
        asked = [Asked(server, np.ones((1, n))) for n in (1, 2, 3)]
        waiting(server, 3)
        last = Asked(server, np.ones((1, 4)))
        asked[0].join(20)
        assert asked[0].status == 200 and asked[0].seconds < 3
        for a in (*asked, last):
            a.join(20)
            assert a.status == 200 and rows_of(a.answer).tolist() == [[a.x.shape[1]]]


def test_limits_whose_product_overflows():
    most = 1 << 40
    with Server(toy(), name="toy", port=0, max_batch_size=most, max_queue_size=most, max_queue_bytes=64) as server:
        assert infer(server.url, body(random_rows(3, 0)))[0] == 200


def test_a_queue_without_bytes_refuses_before_it_takes_memory(gate):
    with Server(toy(gate), name="toy", port=0, max_batch_size=1, max_queue_bytes=64, priority_levels=2) as server:
        first = Asked(server, random_rows(1, 0))
        assert gate.entered.acquire(timeout=10)
        # Two batches are left; a third request would be staged, and one row takes 64 bytes.
        kept = [Asked(server, random_rows(1, i)) for i in range(3)]
        waiting(server, 3)
        assert infer(server.url, body(random_rows(1, 9)))[0] == 429
        # More rows than a batch holds are staged as well, and so are rows whose priority came after them.
        assert infer(server.url, body(random_rows(2, 9)))[0] == 429
        gate.open.set()
        assert first.right() and all(k.right() for k in kept)
        assert metric(server.url, "maas_inference_requests_total", outcome="rejected") == 2
        assert infer(server.url, body(random_rows(1, 9)))[0] == 200


def test_a_priority_that_finds_no_room_is_refused(gate):
    """Its rows are in a batch when the priority is read, and would move into the memory of the queue."""
    gate.open.set()
    with Server(toy(gate), name="toy", port=0, max_queue_bytes=63, priority_levels=2) as server:
        text = json.dumps(body(random_rows(1, 0)))[:-1]
        for _ in range(20):
            status, headers, _ = call(server.url, "/v2/models/toy/infer", text + ', "parameters": {"priority": 2}}')
            assert status == 429 and headers["Retry-After"] == "1"
            assert infer(server.url, body(random_rows(1, 0)))[0] == 200
        assert metric(server.url, "maas_inference_in_flight") == metric(server.url, "maas_queue_depth") == 0
        assert metric(server.url, "maas_inference_requests_total", outcome="rejected") == 20


def test_priorities_go_first(gate):
    order = []

    def model(arrays):
        order.append(int(arrays[0][0, 0]))
        return gate(arrays)

    with Server(toy(model), name="toy", port=0, max_batch_size=1, priority_levels=3) as server:
        first = Asked(server, np.zeros((1, 16)))
        assert gate.entered.acquire(timeout=10)
        others = []
        for priority in [3, 3, 3, 3, 2, 0, 1, 9]:  # 0 and 9 are the default, which is 2
            x = np.full((1, 16), priority or 2 if priority < 4 else 2)
            others.append(Asked(server, x, parameters={"priority": priority}))
            waiting(server, len(others))
        gate.open.set()
        assert first.right() and all(o.right() for o in others)
        # What was in a batch already goes in its turn among the first; the rest by priority.
        assert order[1] == 1 and sorted(order[1:]) == [1, 2, 2, 2, 3, 3, 3, 3]
        assert order.index(2) < len(order) - 1 - order[::-1].index(3) and order[-2:] == [3, 3]


def test_preferred_sizes_do_not_wait():
    options = {"max_batch_size": 8, "max_queue_delay_us": 1_000_000, "preferred_batch_size": [2, 4]}
    with Server(toy(), name="toy", port=0, **options) as server:
        began = time.monotonic()
        assert Asked(server, random_rows(2, 0)).right() and Asked(server, random_rows(4, 0)).right()
        assert time.monotonic() - began < 0.9
        assert metric(server.url, "maas_batch_close_total", reason="preferred") == 2


def test_instances_run_at_the_same_time(gate):
    with Server(toy(gate), name="toy", port=0, max_batch_size=1, instances=2) as server:
        asked = [Asked(server, random_rows(1, i)) for i in range(4)]
        assert gate.entered.acquire(timeout=10) and gate.entered.acquire(timeout=10)
        assert not gate.entered.acquire(timeout=0.1)
        gate.open.set()
        assert all(a.right() for a in asked)


def test_row_shapes_fill_batches_of_their_own(gate):
    """Two shapes in turn make two batches, not one batch for each request."""

    def total(arrays):
        gate.rows.append(arrays[0].shape)
        gate.entered.release()
        assert gate.open.wait(20)
        return arrays[0].sum(axis=1, keepdims=True)

    model = PythonModel(total, [("x", (None, None), "float32")], [("y", (None, 1), "float32")])
    with Server(model, name="toy", port=0) as server:
        first = Asked(server, np.ones((1, 2)))
        assert gate.entered.acquire(timeout=10)
        others = []
        for i in range(10):
            others.append(Asked(server, np.ones((1, 3 + i % 2))))
            waiting(server, i + 1)
        gate.open.set()
        for a in [first, *others]:
            a.join(20)
            assert rows_of(a.answer).tolist() == [[a.x.shape[1]]]
        assert sorted(gate.rows[1:]) == [(5, 3), (5, 4)]


def test_rows_of_a_client_that_left_are_not_run(gate):
    with Server(toy(gate), name="toy", port=0) as server:
        first = Asked(server, random_rows(1, 0))
        assert gate.entered.acquire(timeout=10)
        for rows in (2, 100):
            text = json.dumps(body(random_rows(rows, 1))).encode()
            s = socket.create_connection(("127.0.0.1", server.port))
            head = f"POST /v2/models/toy/infer HTTP/1.1\r\nHost: a\r\nContent-Length: {len(text)}\r\n\r\n"
            s.sendall(head.encode() + text)
            wait_for(lambda: metric(server.url, "maas_queue_depth") > 0)
            s.close()
            wait_for(lambda: metric(server.url, "maas_queue_depth") == 0)
        after = Asked(server, random_rows(3, 2))
        waiting(server, 1)
        gate.open.set()
        assert first.right() and after.right()
        assert gate.rows == [1, 3]
        assert metric(server.url, "maas_inference_requests_total", outcome="cancelled") == 2
        assert metric(server.url, "maas_inference_in_flight") == 0


def test_a_busy_model_does_not_starve_another(dense):
    big = maas.Sequential([maas.Input((512,), name="x"), *(maas.layers.Dense(2048) for _ in range(2))])
    with Server({"busy": big, "quiet": dense}, port=0, max_batch_size=64) as server:
        stop = threading.Event()
        text = json.dumps(
            {"inputs": [{"name": "x", "shape": [32, 512], "datatype": "FP32", "data": [0.5] * (32 * 512)}]}
        )

        def client():
            c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            while not stop.is_set():
                c.request("POST", "/v2/models/busy/infer?a=b", text)
                c.getresponse().read()

        threads = [threading.Thread(target=client) for _ in range(3)]
        for t in threads:
            t.start()
        time.sleep(0.2)
        began, done = time.monotonic(), 0
        while time.monotonic() - began < 1:
            assert infer(server.url, body(random_rows(1, done)), "quiet")[0] == 200
            done += 1
        stop.set()
        for t in threads:
            t.join(60)
        # A turn for each of its own runs: none of them waits for the line of the other model.
        assert done >= 3


def test_the_first_request_is_as_quick_as_the_others(dense):
    """Warm-up has run the model before the server is ready."""
    with Server(dense, name="toy", port=0) as server:
        infer(server.url, body(random_rows(1, 0)))
        assert metric(server.url, "maas_batch_close_total", reason="inline") == 1


def test_warm_up_is_in_no_statistics(dense):
    with Server(dense, name="toy", port=0) as server:

        def stats():
            return json.loads(call(server.url, "/v2/models/toy/stats")[2])["model_stats"][0]

        assert stats()["execution_count"] == stats()["inference_count"] == 0 and stats()["batch_stats"] == []
        assert infer(server.url, body(random_rows(3, 0)))[0] == 200
        assert stats()["execution_count"] == 1 and stats()["inference_count"] == 3
        assert [b["batch_size"] for b in stats()["batch_stats"]] == [3]


@pytest.mark.parametrize(
    "options, text",
    [
        ({"instances": 0}, "instances"),
        ({"priority_levels": 0}, "priority_levels"),
        ({"priority_levels": 2, "default_priority": 3}, "default_priority"),
        ({"preferred_batch_size": [0]}, "preferred_batch_size"),
        ({"preferred_batch_size": [33]}, "preferred_batch_size"),
        ({"preferred_batch_size": 4}, "preferred_batch_size must be a list"),
    ],
)
def test_s21_options_out_of_range(options, text):
    with pytest.raises(ValueError, match=text):
        Server(toy(), name="toy", port=0, **options)


@pytest.mark.parametrize("priority", [-1, 1.5, "1", 2**70, None, [1]])
def test_s21_priorities_that_are_none(server, priority):
    status, answer = infer(server.url, body(random_rows(1, 0), parameters={"priority": priority}))
    assert status == 400 and "priority" in answer["error"]
    assert call(server.url, "/v2/health/live")[0] == 200
