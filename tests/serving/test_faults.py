"""What breaks around a server: memory, disk, descriptors, the clock, models. The same process answers afterwards."""

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import maas
from maas.serving import PythonModel, Server

from .conftest import Gate, affine, body, call, infer, metric, read_all, rows_of, toy, wait_for
from .error_templates import check_error
from .key_ring import Ring, bearer
from .test_hostile import post
from .test_lifecycle import run_alone

X = np.ones((1, 16), np.float32)
GOOD = json.dumps(body(X)).encode()

FOLDER = """
    import json, os, resource, socket, sys, time, urllib.error, urllib.request
    from maas.serving import Server

    def limit(what, soft):
        resource.setrlimit(what, (soft, resource.getrlimit(what)[1]))

    def ask(url, path, data=None, key=None):
        head = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            request = urllib.request.Request(url + path, data, headers=head)
            with urllib.request.urlopen(request, timeout=20) as r:
                return r.status, r.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    good = b'{"inputs":[{"name":"x","shape":[1,16],"datatype":"FP32","data":[%s]}]}' % b",".join([b"1"] * 16)
    def works(server, name="m"):
        status, text = ask(server.url, f"/v2/models/{name}/infer", good)
        return status, json.loads(text).get("outputs", [{}])[0].get("data")

    def load(server, name="m", url=None):
        return ask(url or server.url, f"/v2/repository/models/{name}/load", b"{}", server.management_key)
"""


def network(seed, hidden=4):
    maas.utils.set_random_seed(seed)
    dense = maas.layers.Dense
    return maas.Sequential([maas.Input((16,), name="x"), dense(hidden), dense(4, name="y")])


@pytest.mark.parametrize("suffix", ["keras", "maas"])
def test_s44_no_memory_for_a_load(tmp_path, suffix):
    """The caller is told, the old version goes on, and with memory again the load works."""
    network(0).save(tmp_path / f"m.{suffix}")
    large = network(1, 1 << 20)  # 84 MB of weights
    large.save(tmp_path / f"later.{suffix}")
    code = f"""
    folder = {str(tmp_path)!r}
    os.mkdir(folder + "/models")
    os.rename(folder + "/m.{suffix}", folder + "/models/m.{suffix}")
    with Server(folder + "/models", port=0, repository_api=True) as server:
        before = works(server)
        os.rename(folder + "/later.{suffix}", folder + "/models/m.{suffix}")
        old = resource.getrlimit(resource.RLIMIT_AS)[0]
        with open("/proc/self/statm") as f:
            size = int(f.read().split()[0]) * resource.getpagesize()
        limit(resource.RLIMIT_AS, size + (40 << 20))
        status, text = load(server)
        print(status, json.loads(text)["error"], sep="|")
        print(works(server) == before and before[0] == 200)
        limit(resource.RLIMIT_AS, old)
        print(load(server)[0], works(server)[0], works(server) != before)
    """
    out = " ".join(run_alone(_program(code)))
    assert out == "503|not enough memory for model 'm' True 200 200 True", out


def _program(code):
    return FOLDER + code


def test_s44_no_descriptors_on_both_ports(tmp_path):
    """At the limit neither port spins or dies, a load says what it can, and all is well once descriptors are back."""
    network(0).save(tmp_path / "m.keras")
    code = f"""
    with Server({str(tmp_path)!r}, port=0, management_port=0, repository_api=True) as server:
        at = f"http://127.0.0.1:{{server.management_port}}"
        ports = server.port, server.management_port
        kept = [socket.create_connection(("127.0.0.1", p), timeout=10) for p in ports]
        def over(s, path, data):
            head = f"POST {{path}} HTTP/1.1\\r\\nHost: localhost\\r\\n"
            head += f"Authorization: Bearer {{server.management_key}}\\r\\n"
            s.sendall(head.encode() + b"Content-Length: %d\\r\\n\\r\\n" % len(data) + data)
            return s.recv(65536)[9:12].decode()
        print(over(kept[0], "/v2/models/m/infer", good), over(kept[1], "/v2/repository/models/m/load", b"{{}}"))
        limit(resource.RLIMIT_NOFILE, 64)
        many = []
        try:
            while True:
                many.append(socket.create_connection(("127.0.0.1", ports[len(many) % 2])))
        except OSError:
            pass
        used = time.process_time()
        time.sleep(0.5)
        print(time.process_time() - used < 0.25)
        print(over(kept[0], "/v2/models/m/infer", good), over(kept[1], "/v2/repository/models/m/load", b"{{}}"))
        for s in many:
            s.close()
        time.sleep(1.2)
        print(works(server)[0], load(server)[0], load(server, url=at)[0])
    """
    assert run_alone(_program(code)) == ["200", "200", "True", "200", "400", "200", "200", "200"]


@contextlib.contextmanager
def small_disk(tmp_path):
    """A file system of 64 KiB, or an ordinary folder where nothing may be mounted; and whether it is the first."""
    at = tmp_path / "disk"
    at.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(at)]
    mounted = shutil.which("mount") is not None and subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield at, mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(at)], check=True)


def test_s44_a_full_disk_under_the_file_of_keys(tmp_path):
    """No byte can be written: 507, the file is as it was, and the server goes on. With room again it works."""
    with small_disk(tmp_path) as (disk, mounted):
        ring = Ring(disk)
        admin = ring.add("admin", scopes=["admin"])
        code = f"""
    from tests.serving.conftest import toy
    path, disk = {str(ring.path)!r}, {str(disk)!r}
    with Server(toy(), name="toy", port=0, management_port=0, keys=path) as server:
        at = f"http://127.0.0.1:{{server.management_port}}"
        before = open(path, "rb").read()
        def refused():
            status, text = ask(at, "/manage/keys", b"{{}}", {admin!r})
            print(status, json.loads(text)["error"].replace(" ", "_"))
            print(open(path, "rb").read() == before, ask(at, "/manage/keys", None, {admin!r})[0])
        old = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        for size in (0, 100):
            limit(resource.RLIMIT_FSIZE, size)
            refused()
        limit(resource.RLIMIT_FSIZE, old)
        if {mounted}:
            fd = os.open(disk + "/filler", os.O_CREAT | os.O_WRONLY)
            try:
                while True:
                    os.write(fd, bytes(4096))
            except OSError:
                os.close(fd)
            refused()
            os.remove(disk + "/filler")
        print(os.listdir(disk) == ["keys.json"], ask(at, "/manage/keys", b"{{}}", {admin!r})[0])
        """
        full = ["507", "the_file_of_keys_could_not_be_written", "True", "200"]
        assert run_alone(_program(code)) == [*full * (2 + mounted), "True", "201"]


def test_s44_output_that_cannot_be_written(tmp_path):
    """Standard output and error lead to a full disk."""
    network(0).save(tmp_path / "m.maas")
    port = _free_port()
    command = [sys.executable, "-m", "maas.cli", "serve", str(tmp_path / "m.maas"), "--port", str(port)]
    with open("/dev/full", "w") as full:
        p = subprocess.Popen([*command, "--management-port", "0"], stdout=full, stderr=full)
    try:
        wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        url = f"http://127.0.0.1:{port}"
        assert infer(url, body(X), "m")[0] == 200 and infer(url, "{", "m")[0] == 400
        p.send_signal(signal.SIGTERM)
        assert p.wait(20) == 0
    finally:
        p.kill()
        p.wait()


def _free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---- the clock


CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long offset(void) {
  long n = 0;
  FILE* f = fopen(getenv("TEST_CLOCK"), "r");
  if (f) { if (fscanf(f, "%ld", &n) != 1) n = 0; fclose(f); }
  return n;
}
int clock_gettime(clockid_t id, struct timespec* t) {
  static int (*real)(clockid_t, struct timespec*);
  if (!real) real = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  int r = real(id, t);
  if (r == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) t->tv_sec += offset();
  return r;
}
time_t time(time_t* out) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  if (out) *out = t.tv_sec;
  return t.tv_sec;
}
int gettimeofday(struct timeval* v, void* zone) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  v->tv_sec = t.tv_sec; v->tv_usec = t.tv_nsec / 1000;
  return 0;
}
"""


def test_s44_a_clock_that_is_set_back_and_forth(tmp_path):
    """Deadlines, rates and batches run on a clock that nobody sets; the expiry of keys follows the one of the wall."""
    (tmp_path / "clock.c").write_text(CLOCK)
    library = tmp_path / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, tmp_path / "clock.c", "-ldl"], check=True)
    offset = tmp_path / "offset"
    offset.write_text("0")
    network(0).save(tmp_path / "m.maas")
    ring = Ring(tmp_path)
    day = bearer(ring.add("day", expires_in=86400))
    slow = bearer(ring.add("slow", requests_per_second=5, burst=1))
    command = [sys.executable, "-m", "maas.cli", "serve", str(tmp_path / "m.maas"), "--port", "0"]
    command += ["--keys", str(ring.path), "--management-port", "none"]
    env = os.environ | {"LD_PRELOAD": str(library), "TEST_CLOCK": str(offset)}
    p = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    try:
        url = p.stdout.readline().split(" at ")[1].split()[0]
        assert infer(url, body(X), "m", day)[0] == 200

        def year():
            return call(url, "/v2/health/live")[1]["Date"]

        now = time.gmtime().tm_year
        for seconds, status, years in ((-10 * 365 * 86400, 200, {now - 10}), (2 * 86400, 401, {now, now + 1})):
            offset.write_text(str(seconds))
            assert infer(url, body(X), "m", day)[0] == status
            wait_for(lambda years=years: int(year().split()[3]) in years)
            # Time goes on for everything else: a rate is filled again, a timeout ends.
            wait_for(lambda: infer(url, body(X), "m", slow)[0] == 200)
            assert infer(url, body(X), "m", slow)[0] == 429
            assert infer(url, {**body(X), "parameters": {"timeout": 5_000_000}}, "m", slow)[0] in (200, 429)
            new = bearer(ring.add(f"new{seconds}"))
            wait_for(lambda new=new: infer(url, body(X), "m", new)[0] == 200)
        offset.write_text("0")
        assert infer(url, body(X), "m", day)[0] == 200
        p.send_signal(signal.SIGTERM)
        assert p.wait(20) == 0
    finally:
        p.kill()
        p.communicate()


# ---- models


def test_a_model_that_throws_blocks_or_gives_nan():
    gate = Gate()
    other = [("x", (None, 16), "float32")], [("y", (None, 4), "float32")]

    def wrong(arrays):
        raise ValueError("/secret/path 0xdeadbeef")

    def exits(arrays):
        raise SystemExit(3)

    def nan(arrays):
        out = affine(arrays[0])
        out[:, 0], out[:, 1], out[:, 2] = np.nan, np.inf, -np.inf
        return out

    def shape(arrays):
        return np.zeros((len(arrays[0]) + 1, 4), np.float32)

    functions = {"wrong": wrong, "exits": exits, "nan": nan, "shape": shape, "none": lambda a: None, "blocks": gate}
    models = {name: PythonModel(f, *other) for name, f in functions.items()} | {"toy": toy()}
    with Server(models, port=0, request_timeout=1.0) as server:
        for name in ("wrong", "exits", "shape", "none"):
            for _ in range(3):
                status, text = call(server.url, f"/v2/models/{name}/infer", body(X))[::2]
                assert status == 500 and check_error(text) == f"model '{name}' failed"
        t = threading.Thread(target=infer, args=(server.url, body(X), "blocks"))
        t.start()
        assert gate.entered.acquire(timeout=10)
        # NaN and infinities are tokens that Python's json and NumPy's users read.
        status, _, text = call(server.url, "/v2/models/nan/infer", body(X))
        assert status == 200 and re.search(rb'"data":\[NaN,Infinity,-Infinity,', text)
        got = rows_of(json.loads(text))
        want = nan([X])
        assert np.array_equal(got, want, equal_nan=True)
        binary = {**body(X), "parameters": {"binary_data_output": True}}
        assert call(server.url, "/v2/models/nan/infer", binary)[2][-16:] == want.tobytes()
        assert b"NaN" in call(server.url, "/v1/models/nan:predict", {"instances": X.tolist()})[2]
        # The others answer while one blocks, and no NaN of one gets into another's answer.
        assert rows_of(infer(server.url, body(X))[1]).tobytes() == affine(X).tobytes()
        gate.open.set()
        t.join(20)
        assert metric(server.url, "maas_inference_in_flight") == 0


# ---- clients that say that they send no more


@pytest.mark.parametrize("waits", ["for its run", "in the queue"])
def test_a_client_that_half_closes_gets_its_answer(waits):
    gate = Gate()
    with Server(toy(gate), name="toy", port=0, max_batch_size=1) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as first:
            if waits == "in the queue":
                first.sendall(post(GOOD))
                assert gate.entered.acquire(timeout=10)
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as s:
                s.sendall(post(GOOD))
                s.shutdown(socket.SHUT_WR)
                time.sleep(0.4)
                gate.open.set()
                answer = read_all(s)
        statuses = re.findall(rb"HTTP/1\.1 (\d+)", answer)
        # While it waits the server asks, once, with "100 Continue", whether somebody is still there.
        assert statuses == [b"100", b"200"]
        assert rows_of(json.loads(answer.rpartition(b"\r\n\r\n")[2])).tobytes() == affine(X).tobytes()


def test_a_half_closed_client_of_http_1_0_is_sent_no_100():
    gate = Gate()
    with Server(toy(gate), name="toy", port=0, max_batch_size=1) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as first:
            first.sendall(post(GOOD))
            assert gate.entered.acquire(timeout=10)
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as s:
                s.sendall(post(GOOD).replace(b"HTTP/1.1", b"HTTP/1.0"))
                s.shutdown(socket.SHUT_WR)
                time.sleep(0.4)
                gate.open.set()
                assert re.findall(rb"HTTP/1\.1 (\d+)", read_all(s)) == [b"200"]


def test_a_half_closed_connection_answers_what_was_sent_before():
    with Server(toy(lambda a: (time.sleep(0.15), affine(a[0]))[1]), name="toy", port=0) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as s:
            s.sendall(post(GOOD) * 3)
            s.shutdown(socket.SHUT_WR)
            assert re.findall(rb"HTTP/1\.1 (\d+)", read_all(s)).count(b"200") == 3


@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_has_gone_is_still_noticed(reset):
    gate = Gate()
    with Server(toy(gate), name="toy", port=0, max_batch_size=1) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as first:
            first.sendall(post(GOOD))
            assert gate.entered.acquire(timeout=10)
            gone = socket.create_connection(("127.0.0.1", server.port), timeout=10)
            gone.sendall(post(GOOD))
            wait_for(lambda: metric(server.url, "maas_queue_depth") == 1)
            if reset:
                gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            gone.close()
            wait_for(lambda: metric(server.url, "maas_queue_depth") == 0, 3)
            assert metric(server.url, "maas_inference_requests_total", outcome="cancelled") == 1
            gate.open.set()
            assert b"200" in first.recv(1000)[:20]
        assert gate.rows == [1]


# ---- files


def test_s39_what_the_server_writes_is_for_its_user_alone(tmp_path):
    network(0).save(tmp_path / "m.maas")
    ring = Ring(tmp_path)
    admin = bearer(ring.add("admin", scopes=["admin"]))
    (tmp_path / "m.maas").chmod(0o600)
    command = [sys.executable, "-m", "maas.cli", "serve", str(tmp_path / "m.maas"), "--port", "0"]
    command += ["--keys", str(ring.path)]
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    env = os.environ | {"XDG_RUNTIME_DIR": str(run), "TMPDIR": str(run), "HOME": str(run)}
    umask = ["sh", "-c", 'umask 000; exec "$@"', "sh"]
    p = subprocess.Popen([*umask, *command], stdout=subprocess.PIPE, text=True, env=env, cwd=run)
    try:
        p.stdout.readline()
        at = p.stdout.readline().split(" at ")[1].strip()
        assert call(at, "/manage/keys", {"name": "new"}, headers=admin)[0] == 201
        mask = next(line for line in open(f"/proc/{p.pid}/status") if line.startswith("Umask"))
        assert int(mask.split()[1], 8) == 0o077
        found = [f for f in tmp_path.rglob("*") if f.is_file() and "__pycache__" not in f.parts]
        assert found and all(stat.S_IMODE(f.stat().st_mode) & 0o077 == 0 for f in found), found
        # No socket of a file system, no shared memory, no temporary files.
        assert not [f for f in tmp_path.rglob("*") if f.is_socket()] and not list(run.rglob("*"))
        unix = [line for line in open("/proc/net/unix") if str(tmp_path) in line]
        assert not unix
    finally:
        p.kill()
        p.communicate()


def test_reading_the_keys_again_costs_what_the_file_is_long(tmp_path):
    ring = Ring(tmp_path)
    ring.add("a")
    core = Server(toy(), name="toy", port=0, keys=ring.path)._core
    for i in range(20):
        os.utime(ring.path, ns=(i, i))
        core.refresh_keys()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for i in range(50):
        os.utime(ring.path, ns=(1000 + i, 1000 + i))
        core.refresh_keys()
    # 16 MiB are 4,096 pages.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 50 * 100
