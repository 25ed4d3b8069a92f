"""Models that come, change and go while the server answers."""

import gc
import http.client
import json
import threading
import time

import numpy as np
import pytest

import maas
from maas.serving import PythonModel, Server

from .conftest import Gate, affine, body, call, infer, metric, rows_of, toy, wait_for
from .test_batching import Asked, random_rows

X = random_rows(3, 0)


def network(seed, units=8):
    maas.utils.set_random_seed(seed)
    dense = maas.layers.Dense
    return maas.Sequential([maas.Input((16,), name="x"), dense(units, activation="relu"), dense(4)])


def memory():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096


def threads_now():
    with open("/proc/self/status") as f:
        return int(next(line for line in f if line.startswith("Threads")).split()[1])


def test_reloads_under_load_fail_no_request_and_mix_no_versions():
    models = [network(seed) for seed in range(2)]
    answers = {m.predict(X, verbose=0).tobytes() for m in models}
    assert len(answers) == 2
    with Server(models[0], name="toy", port=0, max_batch_size=8) as server:
        text, stop = json.dumps(body(X)), threading.Event()
        failed, seen, counts = [], set(), [0] * 4

        def client(k):
            c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            while not stop.is_set():
                c.request("POST", "/v2/models/toy/infer", text)
                r = c.getresponse()
                answer = r.read()
                if r.status != 200:
                    failed.append((r.status, answer))
                    return
                got = rows_of(json.loads(answer)).tobytes()
                seen.add(got)
                if got not in answers:
                    failed.append("an answer of neither version")
                counts[k] += 1

        threads = [threading.Thread(target=client, args=(k,)) for k in range(4)]
        for t in threads:
            t.start()
        for i in range(100):
            server.load(models[(i + 1) % 2], "toy")
            time.sleep(0.005)
        stop.set()
        for t in threads:
            t.join(20)
        assert not failed and seen == answers and min(counts) > 20


def test_a_model_that_was_replaced_ends_after_its_last_request():
    gate = Gate()
    with Server(toy(gate), name="toy", port=0) as server:
        old = Asked(server, X)
        assert gate.entered.acquire(timeout=10)
        server.load(toy(lambda a: affine(a[0]) + 1), "toy", version="2")
        new = infer(server.url, body(X))[1]
        assert new["model_version"] == "2" and np.array_equal(rows_of(new), affine(X) + 1)
        assert call(server.url, "/v2/models/toy/versions/1")[0] == 404
        gate.open.set()
        assert old.right() and old.answer["model_version"] == "1"


def test_a_load_that_fails_changes_nothing(tmp_path):
    bad = tmp_path / "toy.keras"
    bad.write_bytes(b"no model")
    with Server(toy(), name="toy", port=0) as server:
        for model, options, error in [
            (bad, {}, ValueError),
            (tmp_path / "nowhere.keras", {}, FileNotFoundError),
            (5, {}, TypeError),
            (toy(), {"max_batch_size": 0}, ValueError),
            (toy(), {"spped": 1}, ValueError),
        ]:
            with pytest.raises(error):
                server.load(model, "toy", **options)
        assert rows_of(infer(server.url, body(X))[1]).tobytes() == affine(X).tobytes()
        assert server.models == ["toy"]


def test_load_and_unload_other_models():
    with Server(toy(), name="toy", port=0) as server:
        assert infer(server.url, body(X), "two")[0] == 404
        assert server.load(toy(), "two", max_batch_size=2) == "two" and server.models == ["toy", "two"]
        assert infer(server.url, body(X), "two")[0] == 200 and metric(server.url, "maas_inference_requests_total") == 1
        assert server.unload("toy") and not server.unload("toy") and server.models == ["two"]
        assert infer(server.url, body(X))[0] == 404 and infer(server.url, body(X), "two")[0] == 200


def test_unload_answers_what_is_in_flight():
    gate = Gate()
    with Server(toy(gate), name="toy", port=0) as server:
        asked = [Asked(server, X)]
        assert gate.entered.acquire(timeout=10)
        asked.append(Asked(server, X))
        wait_for(lambda: metric(server.url, "maas_queue_depth") == 1)
        assert server.unload("toy") and infer(server.url, body(X))[0] == 404
        gate.open.set()
        assert all(a.right() for a in asked)


def test_python_models_are_given_back():
    import weakref

    class Function:
        def __call__(self, arrays):
            return affine(arrays[0])

    with Server(toy(), name="toy", port=0) as server:
        function = Function()
        alive = weakref.ref(function)
        server.load(PythonModel(function, [("x", (None, 16), "float32")], [("y", (None, 4), "float32")]), "two")
        assert infer(server.url, body(X), "two")[0] == 200
        del function
        assert alive() is not None
        server.unload("two")
        wait_for(lambda: gc.collect() is not None and alive() is None)


def test_a_thousand_loads_and_unloads_keep_memory_flat():
    from maas.serving.servable import make_servable

    with Server(toy(), name="toy", port=0) as server:

        def cycle(n):
            for i in range(n):
                server.load(model, "two", version=str(i))
                if i % 50 == 0:
                    assert infer(server.url, body(X), "two")[0] == 200
                assert server.unload("two")

        model = make_servable(network(0), "two")
        cycle(100)
        gc.collect()
        before, threads = memory(), threads_now()
        cycle(1000)
        wait_for(lambda: memory() - before < 5e6)
        wait_for(lambda: threads_now() <= threads)


def test_stop_while_models_come_and_go():
    for _ in range(5):
        server = Server(toy(), name="toy", port=0).start()
        stop = threading.Event()

        def change(server=server, stop=stop):
            with pytest.raises(RuntimeError, match="the server has stopped"):
                while True:
                    server.load(toy(), "two")
                    server.unload("two")
            stop.set()

        t = threading.Thread(target=change)
        t.start()
        time.sleep(0.05)
        server.stop()
        t.join(10)
        assert stop.is_set()
