"""What a server must keep doing for long: loads that leave no memory, reloads and drains that fail nobody, slow clients
that slow down nobody, and a start that is quick. Longer forms run with -m long."""

import contextlib
import gc
import http.client
import json
import os
import resource
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import maas
from maas.serving import Server

from .conftest import body, call, infer, metric, rows_of, wait_for
from .test_hostile import post

X = np.ones((1, 16), np.float32)
ASK = post(json.dumps(body(X)).encode(), path="/v2/models/m/infer")


def network(seed, units=8):
    maas.utils.set_random_seed(seed)
    dense = maas.layers.Dense
    return maas.Sequential([maas.Input((16,), name="x"), dense(units, activation="relu"), dense(4, name="y")])


def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize()


@contextlib.contextmanager
def command(path, *flags, **more):
    """`maas serve` as a process, and its URL."""
    line = [sys.executable, "-m", "maas.cli", "serve", str(path), "--port", "0", *flags]
    p = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, **more)
    try:
        yield p, p.stdout.readline().split(" at ")[1].split()[0]
    finally:
        p.kill()
        p.communicate()


# ---- memory


def cycles(folder, n, rows):
    """Growth of resident memory over n loads from the file and unloads, after the first 100."""
    with Server(folder, port=0) as server:
        store = server._repository

        def cycle(times):
            for i in range(times):
                store.load("m", {})
                if i % rows == 0:
                    assert infer(server.url, body(X), "m")[0] == 200
                store.unload("m", {})

        cycle(100)
        gc.collect()
        before = resident()
        cycle(n)
        gc.collect()
        grown = [resident() - before]
        with contextlib.suppress(AssertionError):
            wait_for(lambda: grown.append(resident() - before) or grown[-1] < 5e6, 5)
        return min(grown)


@pytest.mark.parametrize("suffix", ["maas", "keras"])
def test_loads_and_unloads_give_their_memory_back(tmp_path, suffix):
    network(0).save(tmp_path / f"m.{suffix}")
    # A quarter of the loads, a quarter of the memory; all of them with -m long.
    assert cycles(tmp_path, 250, 10) < 5e6 / 4 + 1e6


@pytest.mark.long
@pytest.mark.parametrize("suffix", ["maas", "keras"])
def test_a_thousand_loads_and_unloads_grow_by_less_than_5_mb(tmp_path, suffix):
    network(0, 256).save(tmp_path / f"m.{suffix}")
    assert cycles(tmp_path, 1000, 10) < 5e6


# ---- reloads and drains


class Clients:
    """Clients that ask as fast as they can, each on a connection that stays; what failed, and what was answered."""

    def __init__(self, url, n, name="m"):
        self.port, self.name = int(url.rsplit(":", 1)[1]), name
        self.text = json.dumps(body(X))
        self.failed, self.seen, self.counts = [], set(), [0] * n
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(k,)) for k in range(n)]
        for t in self.threads:
            t.start()

    def _run(self, k):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        while not self.stop.is_set():
            try:
                if c.sock is None:
                    c.connect()
            except OSError:
                return  # not accepted any more, so nothing was sent
            try:
                c.request("POST", f"/v2/models/{self.name}/infer", self.text)
                r = c.getresponse()
                answer = r.read()
                if r.status != 200:
                    raise AssertionError((r.status, answer))
                self.seen.add(rows_of(json.loads(answer)).tobytes())
            except Exception as error:
                self.failed.append(repr(error))
                return
            self.counts[k] += 1
            if r.getheader("Connection") == "close":
                c.close()

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(20)


def reloads(folder, times):
    """(failures, answers seen, requests) over so many loads of two files in turn, through the management port."""
    files, want = [], set()
    for seed in range(2):
        model = network(seed)
        model.save(folder.parent / f"{seed}.maas")
        files.append(folder.parent / f"{seed}.maas")
        want.add(model.predict(X, verbose=0).tobytes())
    shutil.copy(files[0], folder / "m.maas")
    with Server(folder, port=0, management_port=0, max_batch_size=8) as server:
        clients = Clients(server.url, 4)
        head = {"Authorization": f"Bearer {server.management_key}"}
        at = f"http://127.0.0.1:{server.management_port}"
        for i in range(times):
            shutil.copy(files[(i + 1) % 2], folder / "next")
            os.replace(folder / "next", folder / "m.maas")
            assert call(at, "/v2/repository/models/m/load", {}, headers=head)[0] == 200
        clients.end()
        assert clients.seen <= want
        total = metric(server.url, "maas_inference_requests_total", model="m", outcome="success")
        assert total == sum(clients.counts)  # the counters go on over every reload
        return clients.failed, clients.seen == want, min(clients.counts)


def test_100_reloads_under_load_fail_nobody(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    failed, both, least = reloads(folder, 100)
    assert not failed and both and least > 20


@pytest.mark.long
def test_2000_reloads_under_load_fail_nobody(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    failed, both, least = reloads(folder, 2000)
    assert not failed and both and least > 400


def drain(path, clients):
    with command(path, "--management-port", "0") as (p, url):
        some = Clients(url, clients)
        wait_for(lambda: min(some.counts) > 20)
        p.send_signal(signal.SIGTERM)
        for t in some.threads:
            t.join(20)
        assert p.wait(20) == 0 and not some.failed, some.failed[:3]


def test_a_drain_fails_nobody(tmp_path):
    network(0).save(tmp_path / "m.maas")
    for _ in range(3):
        drain(tmp_path / "m.maas", 8)


@pytest.mark.long
def test_many_drains_fail_nobody(tmp_path):
    network(0).save(tmp_path / "m.maas")
    for i in range(40):
        drain(tmp_path / "m.maas", 1 + i % 16)


# ---- the start


HEAVY = {"numpy", "h5py", "jax", "keras", "matplotlib", "fastapi", "uvicorn", "asyncio", "grpc", "rich", "onnx"}


@pytest.mark.parametrize("suffix", ["maas", "keras"])
def test_a_small_model_is_ready_in_half_a_second(tmp_path, suffix):
    """From the start of the process to the first answer; the best of some, because other tests run beside it."""
    path = tmp_path / f"m.{suffix}"
    network(0).save(path)
    # As installed: Python keeps the bytecode of its modules.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(tmp_path / "bytecode")
    best = imports = float("inf")
    for _ in range(12):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import numpy, h5py"], check=True, env=env)
        imports = min(imports, time.perf_counter() - began)
        began = time.perf_counter()
        with command(path, stderr=subprocess.DEVNULL, env=env) as (_, url):
            assert infer(url, body(X), "m")[0] == 200
            best = min(best, time.perf_counter() - began)
        if best < 0.5:
            break
    # A machine that others keep busy is measured by what it needs for two imports: 0.12 s where nobody does.
    assert best < max(0.5, 4 * imports)


def test_a_maas_file_is_served_without_layers_numpy_and_fastapi(tmp_path):
    network(0).save(tmp_path / "m.maas")
    code = """
        import sys
        from maas.serving import Server
        with Server(sys.argv[1], port=0, management_port=None, keys=None) as s:
            print(*sorted(n.split(".")[0] if n.count(".") == 0 else ".".join(n.split(".")[:2]) for n in sys.modules))
    """
    program = "\n".join(line[8:] for line in code.splitlines())
    r = subprocess.run([sys.executable, "-c", program, tmp_path / "m.maas"], capture_output=True, text=True, timeout=60)
    names = set(r.stdout.split())
    assert "maas.serving" in names, r.stderr
    assert not names & (HEAVY | {"maas.layers", "maas.models", "maas.saving", "maas.ops"})


def test_without_traffic_the_end_is_quick(tmp_path):
    network(0).save(tmp_path / "m.maas")
    with command(tmp_path / "m.maas", "--management-port", "none") as (p, url):
        assert infer(url, body(X), "m")[0] == 200
        began = time.monotonic()
        p.send_signal(signal.SIGTERM)
        assert p.wait(20) == 0 and time.monotonic() - began < 1


# ---- S-17: slow clients


BIG = """
import sys
import numpy as np
from maas.serving import PythonModel, Server
from tests.serving.test_endurance import network

big = PythonModel(lambda a: np.zeros((len(a[0]), 1 << 20), np.float32), [("x", (None, 16), "float32")],
                  [("y", (None, 1 << 20), "float32")])
with Server({"m": network(0), "big": big}, port=0, max_connections=2000) as s:
    print(s.port, flush=True)
    sys.stdin.read()
"""


class Slow:
    """1,000 connections: of header and body drips, and of clients that do not read what they asked for."""

    def __init__(self, port, n):
        self.selector = selectors.DefaultSelector()
        self.connections = []
        ask_big = post(
            json.dumps({**body(X), "parameters": {"binary_data_output": True}}).encode(), path="/v2/models/big/infer"
        )
        for i in range(n):
            s = socket.socket()
            if i % 40 == 2:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(("127.0.0.1", port))
            if i % 40 == 2:
                s.sendall(ask_big)  # and never read: 4 MiB wait in the server
                rest = b""
            elif i % 2:
                rest = ASK  # the header, byte by byte
            else:
                cut = ASK.index(b"\r\n\r\n") + 4
                s.sendall(ASK[:cut])  # the body, byte by byte
                rest = ASK[cut:]
            s.setblocking(False)
            self.connections.append([s, rest])

    def drip(self):
        for each in self.connections:
            s, rest = each
            # The last byte is never sent.
            if len(rest) > 1:
                with contextlib.suppress(OSError):
                    s.send(rest[:1])
                    each[1] = rest[1:]

    def close(self):
        for s, _ in self.connections:
            s.close()


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def p99_with_slow_clients(n, seconds):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard == resource.RLIM_INFINITY or hard >= n + 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, n + 200), hard))
    p = subprocess.Popen([sys.executable, "-c", BIG], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        port = int(p.stdout.readline())
        url = f"http://127.0.0.1:{port}"
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

        def ask():
            began = time.perf_counter()
            c.request("POST", "/v2/models/m/infer", json.dumps(body(X)))
            r = c.getresponse()
            r.read()
            assert r.status == 200
            return time.perf_counter() - began

        for _ in range(50):
            ask()
        before = descriptors(p.pid)
        slow = Slow(port, n)
        try:
            wait_for(lambda: metric(url, "maas_http_connections") >= n)
            best, stop = float("inf"), threading.Event()

            def drip():
                while not stop.wait(0.05):
                    slow.drip()

            t = threading.Thread(target=drip)
            t.start()
            try:
                # The best of three: what other programs take of the machine is no fault of the server.
                for _ in range(3):
                    times, end = [], time.monotonic() + seconds / 3
                    while time.monotonic() < end:
                        times.append(ask())
                        time.sleep(0.002)
                    best = min(best, float(np.quantile(times, 0.99)))
            finally:
                stop.set()
                t.join(10)
            assert metric(url, "maas_http_connections") >= n
        finally:
            slow.close()
        wait_for(lambda: descriptors(p.pid) <= before + 2)
        wait_for(lambda: metric(url, "maas_http_connections") <= 2)
        wait_for(lambda: metric(url, "maas_inference_in_flight") == 0)
        assert ask() < 5
        return best
    finally:
        p.kill()
        p.communicate()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_s17_a_thousand_slow_clients_do_not_hold_up_a_normal_one():
    assert p99_with_slow_clients(1000, 4.5) < 0.05


@pytest.mark.long
def test_s17_a_thousand_slow_clients_for_long():
    assert p99_with_slow_clients(1000, 60) < 0.05
