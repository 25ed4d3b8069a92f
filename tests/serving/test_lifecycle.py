"""Starting, stopping, draining, and the command line."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from maas.cli import main
from maas.serving import PythonModel, Server

from .conftest import Gate, affine, body, call, infer, rows_of, toy, wait_for

X = np.ones((2, 16), np.float32)


def test_start_stop_and_port_again():
    for _ in range(3):
        with Server(toy(), name="toy", port=0) as server:
            assert infer(server.url, body(X))[0] == 200 and not server.wait(0)
        assert server.wait(0)
        server.stop()
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", server.port), timeout=1)


def test_stop_without_traffic_is_quick():
    server = Server(toy(), name="toy", port=0).start()
    assert infer(server.url, body(X))[0] == 200
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 0.5


def test_never_started_and_forgotten_servers_end():
    Server(toy(), name="toy", port=0)
    server = Server(toy(), name="toy", port=0).start()
    port = server.port
    del server
    wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", port)) != 0)


def test_a_second_start_is_told_and_stops_nothing():
    with Server(toy(), name="toy", port=0) as server:
        with pytest.raises(RuntimeError, match="starts once"):
            server.start()
        assert infer(server.url, body(X))[0] == 200
    with pytest.raises(RuntimeError, match="already started"):
        server.start()


def test_port_in_use():
    with Server(toy(), name="toy", port=0) as server:
        other = Server(toy(), name="toy", port=server.port)
        with pytest.raises(RuntimeError, match=f"cannot listen on 127.0.0.1:{server.port}"):
            other.start()
        assert infer(server.url, body(X))[0] == 200


@pytest.mark.parametrize(
    "more, error, text",
    [
        ({"port": 70000}, ValueError, "port"),
        ({"max_batch_size": 0}, ValueError, "max_batch_size"),
        ({"max_queue_delay_us": -1}, ValueError, "max_queue_delay_us"),
        ({"spped": 1}, ValueError, "spped"),
        ({"io_threads": 0}, ValueError, "io_threads"),
        ({"name": "a/b"}, ValueError, "a/b"),
        ({"request_timeout": -1.0}, ValueError, "timeouts"),
        ({"request_timeout": float("nan")}, ValueError, "timeouts"),
        ({"max_body_bytes": 0}, ValueError, "max_body_bytes"),
        ({"max_body_bytes": -1}, ValueError, "max_body_bytes.*-1"),
        ({"max_body_bytes": 2**63}, ValueError, "max_body_bytes"),
        ({"max_body_bytes": 1.5}, ValueError, "max_body_bytes.*1.5"),
        ({"max_header_bytes": 2**32}, ValueError, "max_header_bytes"),
        ({"max_url_bytes": 65536}, ValueError, "max_url_bytes"),
        ({"max_header_fields": 0}, ValueError, "max_header_fields"),
        ({"max_chunks": 0}, ValueError, "max_chunks"),
        ({"max_connections": 0}, ValueError, "max_connections"),
        ({"max_total_body_bytes": -1}, ValueError, "max_total_body_bytes"),
        ({"max_queue_bytes": -1}, ValueError, "max_queue_bytes"),
        ({"max_queue_size": "9"}, ValueError, "max_queue_size.*'9'"),
        ({"max_queue_delay_us": 2**63 - 1}, ValueError, "max_queue_delay_us"),
    ],
)
def test_bad_options_are_typed_errors(more, error, text):
    with pytest.raises(error, match=text):
        Server(toy(), **{"name": "toy", "port": 0, **more})


def test_bad_hosts_and_models_are_typed_errors():
    with pytest.raises(ValueError, match="IP address"):
        Server(toy(), name="toy", host="no such host", port=0, insecure_no_auth=True).start()
    with pytest.raises(TypeError, match="received int"):
        Server(5, port=0)
    with pytest.raises(ValueError, match="at least one"):
        Server({}, port=0)
    with pytest.raises(TypeError, match="complex64"):
        Server(PythonModel(len, [("x", (None,), "complex64")], [("y", (None,), "float32")]), name="a", port=0)
    with pytest.raises(FileNotFoundError):
        Server("/nowhere/model.keras", port=0)


def test_stop_answers_what_is_in_flight():
    gate = Gate()
    server = Server(toy(gate), name="toy", port=0).start()
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(infer(server.url, body(X)))) for _ in range(4)]
    threads[0].start()
    assert gate.entered.acquire(timeout=10)
    for t in threads[1:]:
        t.start()
    time.sleep(0.2)
    stopper = threading.Thread(target=server.stop)
    stopper.start()
    time.sleep(0.1)
    gate.open.set()
    stopper.join(10)
    for t in threads:
        t.join(10)
    assert [a[0] for a in answers] == [200] * 4
    assert all(rows_of(a[1]).tobytes() == affine(X).tobytes() for a in answers)


def test_drain_limit_ends_what_hangs():
    gate = Gate()
    server = Server(toy(gate), name="toy", port=0, drain_timeout=0.3).start()
    got = []

    def ask():
        try:
            got.append(infer(server.url, body(X))[0])
        except OSError:
            got.append("closed")

    threads = [threading.Thread(target=ask) for _ in range(2)]
    threads[0].start()
    assert gate.entered.acquire(timeout=10)
    threads[1].start()
    time.sleep(0.1)
    threading.Timer(1.0, gate.open.set).start()
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 5
    for t in threads:
        t.join(10)
    assert len(got) == 2


SERVE = """
import sys
import numpy as np
from maas.cli import main
from maas.serving import PythonModel, loading
def load(path):
    a = np.arange(64, dtype=np.float32).reshape(16, 4)
    return PythonModel(lambda x: x[0] @ a, [("x", (None, 16), "float32")], [("y", (None, 4), "float32")])
import maas.serving.server
maas.serving.server.load = load
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def serve():
    """Starts `maas serve toy.keras` with a toy in place of the file, as a second process."""
    started = []

    def start(*flags):
        flags = flags if "--management-port" in flags else [*flags, "--management-port", "none"]
        p = subprocess.Popen(
            [sys.executable, "-c", SERVE, "serve", "toy.keras", "--port", "0", *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(p)
        line = p.stdout.readline()
        found = re.search(r"serving 'toy' at (http://127\.0\.0\.1:(\d+))", line)
        assert found, (line, p.stderr.read() if p.poll() is not None else "")
        return p, found[1], int(found[2])

    yield start
    for p in started:
        if p.poll() is None:
            p.kill()
        p.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_maas_serve_with_status_0(serve, number):
    p, url, _ = serve()
    assert infer(url, body(X))[0] == 200
    p.send_signal(number)
    assert p.wait(10) == 0 and p.stderr.read() == ""
    stopping, stopped = p.stdout.read().splitlines()
    assert stopping.startswith("maas: stopping; requests in flight have 30 s") and stopped == "maas: stopped"


def test_a_closed_pipe_does_not_disturb_the_end(serve):
    p, url, _ = serve()
    p.stdout.close()
    p.send_signal(signal.SIGTERM)
    assert p.wait(10) == 0
    p.stdout = open(os.devnull)


OWN = """
import maas

class Scale(maas.layers.Layer):
    def call(self, x):
        return x * 3.0
"""


@pytest.mark.parametrize("kind", ["layer", "lambda"])
def test_a_model_with_own_classes_gets_a_program_that_serves_it(kind, tmp_path, monkeypatch, capsys):
    """The command says what to write, and what it says runs."""
    import keras

    import maas

    scope = {}
    exec(OWN, scope)
    path = tmp_path / "own.keras"
    if kind == "layer":
        maas.Sequential([maas.Input((4,), name="x"), scope["Scale"](name="triple")]).save(path)
    else:
        triple = keras.layers.Lambda(lambda x: x * 3.0, output_shape=(4,), name="triple")
        keras.Sequential([keras.Input((4,), name="x"), triple]).save(path)
    assert main(["serve", str(path), "--port", "0", "--name", "three"]) == 1
    error = capsys.readouterr().err
    assert "given classes of your own" in error
    (tmp_path / "your_module.py").write_text(OWN + "\ntriple = lambda x: x * 3.0\n")
    program = textwrap.dedent(error.partition("\n\n")[2].partition("\n\n")[2])
    # The program waits for ever; what it has started is asked from a second thread.
    program = program.replace(".start().wait()", ".start()") + textwrap.dedent("""
        import gc, json, urllib.request
        from maas.serving.server import _running
        [server] = _running
        body = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}
        request = urllib.request.Request(server.url + "/v2/models/three/infer", json.dumps(body).encode())
        print(json.loads(urllib.request.urlopen(request, timeout=20).read())["outputs"][0]["data"])
    """)
    program = program.replace("maas.Server(", "server = maas.Server(")
    r = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert r.stdout.strip() == "[3, 6, 9, 12]", r.stderr


def test_sigterm_under_load_fails_no_request(serve):
    p, url, port = serve("--max-batch-size", "8")
    failed, counts = [], [0] * 8
    text = json.dumps(body(X))

    def client(k):
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        while True:
            try:
                if c.sock is None:
                    c.connect()
            except OSError:
                return  # not accepted any more: the client knows that nothing was sent
            try:
                c.request("POST", "/v2/models/toy/infer", text)
                r = c.getresponse()
                r.read()
            except Exception as e:
                failed.append(repr(e))
                return
            if r.status != 200:
                failed.append(r.status)
            counts[k] += 1
            if r.getheader("Connection") == "close":
                c.close()

    threads = [threading.Thread(target=client, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    wait_for(lambda: min(counts) > 20)
    p.send_signal(signal.SIGTERM)
    for t in threads:
        t.join(20)
    assert p.wait(20) == 0 and not failed


def test_a_saved_model_answers_as_predict_does(tmp_path):
    import maas

    model = maas.Sequential(
        [
            maas.Input((16,), name="x"),
            maas.layers.Dense(16, activation="relu"),
            maas.layers.Dense(4, name="head"),
        ]
    )
    path = tmp_path / "small.keras"
    model.save(path)
    x = np.random.default_rng(0).standard_normal((9, 16)).astype(np.float32)
    want = model.predict(x, verbose=0)
    p = subprocess.Popen(
        [sys.executable, "-m", "maas.cli", "serve", str(path), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        url = re.search(r"serving 'small' at (http://[^ ]*)", p.stdout.readline())[1]
        metadata = json.loads(call(url, "/v2/models/small")[2])
        assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 16]}]
        assert metadata["outputs"] == [{"name": "head", "datatype": "FP32", "shape": [-1, 4]}]
        for rows in (1, 4, 9):
            status, answer = infer(url, body(x[:rows]), "small")
            assert status == 200 and rows_of(answer).tobytes() == want[:rows].tobytes()
        p.send_signal(signal.SIGTERM)
        assert p.wait(10) == 0
    finally:
        p.kill()
        p.communicate()


def test_loopback_only_by_default(serve):
    _, _, port = serve()
    with open("/proc/net/tcp") as f:
        bound = [line.split()[1] for line in f.readlines()[1:] if line.split()[3] == "0A"]
    assert f"0100007F:{port:04X}" in bound and f"00000000:{port:04X}" not in bound


@pytest.mark.parametrize(
    "flags, text",
    [
        (["nowhere.keras"], "there is no model file 'nowhere.keras'"),
        (["model.pkl"], "must end in .keras"),
        (["a.keras", "--host", "0.0.0.0"], "--insecure-no-auth"),
        (["a.keras", "--host", "192.0.2.1"], "--insecure-no-auth"),
        (["a.keras", "--host", "::"], "--insecure-no-auth"),
    ],
)
def test_s01_errors_of_the_command_are_one_line(flags, text, capsys):
    assert main(["serve", *flags]) == 1
    err = capsys.readouterr().err
    assert text in err and err.count("\n") == 1 and err.startswith("maas serve: error: ")


def test_port_in_use_on_the_command_line(serve, monkeypatch, capsys):
    _, _, port = serve()
    monkeypatch.setattr("maas.serving.server.load", lambda path: toy())
    assert main(["serve", "toy.keras", "--port", str(port)]) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


def test_help_imports_no_numpy():
    code = textwrap.dedent("""
        import sys
        from maas.cli import main
        try:
            main(["--help"])
        except SystemExit as e:
            assert e.code == 0
        assert "numpy" not in sys.modules and "maas.serving" not in sys.modules
    """)
    r = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert r.returncode == 0 and "serve" in r.stdout, r.stderr
    # It promises no command that does not exist.
    assert not re.search(r"\b(compress|export|convert)\b", r.stdout) and "trained and saved in Python" in r.stdout
    assert main([]) == 2


def test_health_stays_up_while_a_model_runs():
    gate = Gate()
    with Server(toy(gate), name="toy", port=0) as server:
        t = threading.Thread(target=infer, args=(server.url, body(X)))
        t.start()
        assert gate.entered.acquire(timeout=10)
        began = time.monotonic()
        assert call(server.url, "/v2/health/ready")[0] == 200 and time.monotonic() - began < 1
        gate.open.set()
        t.join(10)


def run_alone(code):
    """The output of a Python program that may lower its own limits."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


ALONE = """
    import json, resource, socket, time, urllib.request
    import numpy as np
    from maas.serving import PythonModel, Server

    toy = PythonModel(lambda arrays: arrays[0], [("x", (None, 2), "float32")], [("y", (None, 2), "float32")])
    good = b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}'

    def head(length):
        return f"POST /v2/models/toy/infer HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: {length}\\r\\n\\r\\n".encode()

    def ask(connection):
        connection.sendall(head(len(good)) + good)
        return connection.recv(4096)[9:12].decode()

    def limit(what, soft):
        resource.setrlimit(what, (soft, resource.getrlimit(what)[1]))

    def connect(server):
        return socket.create_connection(("127.0.0.1", server.port), timeout=10)
"""


def test_s44_memory_that_is_not_to_be_had_ends_the_connection_only():
    answers = run_alone(
        ALONE
        + """
    with Server(toy, name="toy", port=0) as server, connect(server) as first:
        print(ask(first))
        with open("/proc/self/statm") as f:
            size = int(f.read().split()[0]) * resource.getpagesize()
        limit(resource.RLIMIT_AS, size + (24 << 20))
        for _ in range(3):
            with connect(server) as large:
                try:
                    large.sendall(head(60 << 20))
                    for _ in range(60):
                        large.sendall(b" " * (1 << 20))
                    large.recv(100)
                except OSError:
                    pass
            print(ask(first))
    """
    )
    assert answers == ["200"] * 4


def test_s44_no_file_descriptors_left():
    answers = run_alone(
        ALONE
        + """
    with Server(toy, name="toy", port=0) as server, connect(server) as first:
        print(ask(first))
        limit(resource.RLIMIT_NOFILE, 64)
        many = []
        try:
            while True:
                many.append(connect(server))
        except OSError:
            pass
        used = time.process_time()
        time.sleep(0.5)
        print(time.process_time() - used < 0.25)
        print(ask(first))
        for s in many:
            s.close()
        time.sleep(0.2)
        with connect(server) as again:
            print(ask(again))
    """
    )
    assert answers == ["200", "True", "200", "200"]
