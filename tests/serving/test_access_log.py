"""The access log and traces: what a line holds, what it never holds (S-09, S-41), and that it does not stop answers."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import grpc
import numpy as np
import pytest

import maas
from maas.serving import PythonModel, Server
from maas.serving import keys as api_keys

from .conftest import Gate, affine, body, call, infer, metric, raw, rows_of, toy, wait_for

X = np.ones((3, 16), np.float32)
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
FIELDS = "time id peer key protocol method route model status".split()
FIELDS += "bytes_in bytes_out queue_us compute_us total_us trace_id parent_id".split()


def lines(path):
    with open(path, "rb") as f:
        return [json.loads(line) for line in f.read().splitlines()]


def wait_lines(path, count):
    wait_for(lambda: os.path.exists(path) and len(lines(path)) >= count)
    found = lines(path)
    assert len(found) == count
    return found


@pytest.fixture
def log(tmp_path):
    return tmp_path / "access.log"


def test_a_line_tells_of_a_request(log):
    began = time.time()
    with Server(toy(), name="toy", port=0, access_log=log) as server:
        assert infer(server.url, body(X))[0] == 200
        assert call(server.url, "/v2/models/none/infer", body(X))[0] == 404
        assert call(server.url, "/v2/health/live?a=b")[0] == 200
        assert call(server.url, "/where")[0] == 404
        assert raw(server, b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n").startswith(b"HTTP/1.1 400")
        first, unknown, live, nowhere, bad = wait_lines(log, 5)
    assert all(list(line) == FIELDS for line in (first, unknown, live, nowhere, bad))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first["time"])
    stamp = time.strptime(first["time"][:19], "%Y-%m-%dT%H:%M:%S")
    assert abs(time.mktime(stamp) - time.timezone - began) < 20
    assert re.fullmatch(r"127\.0\.0\.1:\d+", first["peer"]) and re.fullmatch("[0-9a-f]{16}", first["id"])
    assert len({line["id"] for line in (first, unknown, live, nowhere, bad)}) == 5
    told = {k: first[k] for k in ("key", "protocol", "method", "route", "model", "status", "trace_id", "parent_id")}
    assert told == {
        "key": None, "protocol": "http", "method": "POST", "route": "/v2/models/{m}/infer", "model": "toy",
        "status": 200, "trace_id": None, "parent_id": None,
    }  # fmt: skip
    assert first["bytes_in"] == len(json.dumps(body(X))) and first["bytes_out"] > 20
    assert 0 <= first["queue_us"] and 0 < first["compute_us"] and first["total_us"] < 2e7
    assert first["queue_us"] + first["compute_us"] <= first["total_us"]
    assert (unknown["status"], unknown["model"], unknown["queue_us"], unknown["compute_us"]) == (
        404,
        "none",
        None,
        None,
    )
    assert (live["method"], live["route"], live["model"]) == ("GET", "/v2/health/live", None)
    assert (nowhere["route"], bad["route"], bad["status"]) == (None, None, 400)


def test_a_request_of_several_runs_and_one_nobody_waits_for(log):
    gate = Gate()
    with Server({"toy": toy(), "slow": toy(gate)}, port=0, access_log=log, max_batch_size=2) as server:
        assert infer(server.url, body(np.ones((9, 16))))[0] == 200
        assert wait_lines(log, 1)[0]["compute_us"] > 0
        text = json.dumps(body(X[:1])).encode()
        text = b"POST /v2/models/slow/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(text) + text
        with socket.create_connection(("127.0.0.1", server.port)) as running:
            running.sendall(text)
            assert gate.entered.acquire(timeout=10)
            with socket.create_connection(("127.0.0.1", server.port)) as waiting:
                waiting.sendall(text)
                wait_for(lambda: metric(server.url, "maas_queue_depth", model="slow") == 1)
            wait_for(lambda: metric(server.url, "maas_queue_depth", model="slow") == 0)
            gate.open.set()
            assert running.recv(1000).startswith(b"HTTP/1.1 200")
        wait_for(lambda: any(line["model"] == "slow" and line["status"] == 200 for line in lines(log)))
        (gone,) = (line for line in lines(log) if line["status"] == 499)
    assert (gone["model"], gone["bytes_out"], gone["compute_us"]) == ("slow", 0, None)


def test_s41_names_do_not_forge_lines(log):
    evil = 'x\r\n{"status":200}\x1b[2J"\\\x7f\x9b\u202e'
    quoted = "".join(f"%{b:02x}" for b in evil.encode())
    with Server(toy(), name="toy", port=0, access_log=log) as server:
        assert call(server.url, f"/v2/models/{quoted}/infer", body(X))[0] == 404
        assert call(server.url, "/v2/models/" + "%0a" * 600 + "/infer", body(X))[0] == 404
        first, second = wait_lines(log, 2)
    assert first["model"].encode("latin-1").decode() == evil and second["model"] == "\n" * 256
    assert all(32 <= b < 127 or b == 10 for b in log.read_bytes()) and log.read_bytes().count(b"\n") == 2


def test_s09_secrets_are_nowhere(log, tmp_path):
    text, row = api_keys.make("ops", ["infer", "read"])
    wrong = "maas_" + row["id"] + "_" + "w" * 43
    keys = tmp_path / "keys.json"
    api_keys.add(keys, row)
    model = maas.Sequential([maas.Input((16,)), maas.layers.Dense(4)])
    model.save(tmp_path / "m.keras")
    command = [sys.executable, "-m", "maas.cli", "serve", str(tmp_path / "m.keras"), "--port", "0", "--grpc-port", "0"]
    command += ["--keys", str(keys), "--access-log", str(log)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        url = re.search(r"http://\S+", process.stdout.readline())[0]
        port = re.search(r":(\d+)", process.stdout.readline())[1]
        data = {"instances": [[1.0] * 16]}
        basic = "Basic dXNlcjpzZWNyZXRwYXNzd29yZA=="
        for credential in (f"Bearer {text}", f"Bearer {wrong}", basic):
            header = {"Authorization": credential}
            call(url, "/v1/models/m:predict", data, headers=header)
            call(url, "/v2/models/none", headers=header)
            metrics = call(url, "/metrics", headers=header)[2]
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                try:
                    ask = channel.unary_unary("/inference.GRPCInferenceService/ServerMetadata")
                    ask(b"", metadata=[("authorization", credential)], timeout=10)
                except grpc.RpcError:
                    pass
            if credential.endswith(text):
                good = metrics
        found = wait_lines(log, 12)
        with open(f"/proc/{process.pid}/cmdline", "rb") as f:
            everything = f.read() + good + log.read_bytes()
    finally:
        process.send_signal(signal.SIGTERM)
        everything += process.communicate(timeout=20)[0].encode()
    assert [line["key"] for line in found if line["status"] == 200] == [row["id"]] * 3, found
    assert {line["status"] for line in found} == {200, 404, 401}
    for secret in (text, text.split("_")[2], wrong, "w" * 43, "dXNlcj", "secretpassword", row["sha256"], "Bearer"):
        assert secret.encode() not in everything, secret


def test_the_file_is_opened_again(log, tmp_path):
    with Server(toy(), name="toy", port=0, access_log=log) as server:
        infer(server.url, body(X))
        infer(server.url, body(X))
        old = log.with_suffix(".1")
        log.rename(old)
        server.reload()  # what came before goes to the old file
        infer(server.url, body(X))
        assert len(lines(old)) == 2 and len(wait_lines(log, 1)) == 1
        assert log.stat().st_mode & 0o777 == 0o600
    with pytest.raises(RuntimeError, match="access log cannot be opened.*none"):
        Server(toy(), name="toy", port=0, access_log=tmp_path / "none" / "log")


def test_a_server_that_ends_has_written_all(log):
    with Server(toy(), name="toy", port=0, access_log=log) as server:
        for _ in range(30):
            infer(server.url, body(X))
    assert len(lines(log)) == 30


def test_a_pipe_nobody_reads_costs_lines_not_answers(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with Server(toy(), name="toy", port=0, access_log=pipe) as server:
            head = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
            with socket.create_connection(("127.0.0.1", server.port)) as s:
                for _ in range(400):
                    s.sendall(head * 50)
                    got = b""
                    while got.count(b"HTTP/1.1 200") < 50:
                        got += s.recv(65536)
            lost = "maas_access_log_lines_total"
            wait_for(
                lambda: metric(server.url, lost, outcome="dropped") + metric(server.url, lost, outcome="failed") > 0
            )
            assert metric(server.url, lost, outcome="written") < 10000  # what fits the pipe
            assert np.array_equal(rows_of(infer(server.url, body(X))[1]), affine(X))
            began = time.monotonic()
        assert time.monotonic() - began < 5
    finally:
        os.close(reader)


def test_a_full_disk_costs_lines_not_answers(capfd):
    with Server(toy(), name="toy", port=0, access_log="/dev/full") as server:
        for _ in range(3):
            assert infer(server.url, body(X))[0] == 200
            time.sleep(0.15)
        wait_for(lambda: metric(server.url, "maas_access_log_lines_total", outcome="failed") >= 3)
    assert capfd.readouterr().err.count("the access log cannot be written") == 1


def test_the_standard_output(tmp_path):
    program = (
        "from tests.serving.conftest import *\n"
        "with Server(toy(), name='toy', port=0, access_log='-') as s: call(s.url, '/v2/health/live')"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert json.loads(result.stdout)["route"] == "/v2/health/live", result.stderr


# ---- traces


@pytest.mark.parametrize(
    "header, trace",
    [
        (f"00-{TRACE}-{PARENT}-01", TRACE),
        (f"00-{TRACE}-{PARENT}-00", TRACE),
        (f"00-{TRACE}-{PARENT}-ff", TRACE),
        (f"cc-{TRACE}-{PARENT}-01-what-comes", TRACE),
        (f"cc-{TRACE}-{PARENT}-01", TRACE),
        (f"00-{TRACE}-{PARENT}-01-more", None),
        (f"cc-{TRACE}-{PARENT}-01x", None),
        (f"ff-{TRACE}-{PARENT}-01", None),
        (f"00-{TRACE.upper()}-{PARENT}-01", None),
        (f"00-{'0' * 32}-{PARENT}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE}-{PARENT}-0", None),
        (f"00-{TRACE}-{PARENT}-0g", None),
        (f"00-{TRACE}{PARENT}--01", None),
        (f"0-{TRACE}-{PARENT}-011", None),
        ("", None),
    ],
)
def test_traceparent(log, header, trace):
    with Server(toy(), name="toy", port=0, access_log=log) as server:
        status, headers, _ = call(server.url, "/v2/health/live", headers={"traceparent": header})
        line = wait_lines(log, 1)[0]
    assert status == 200 and line["trace_id"] == trace
    assert line["parent_id"] == (PARENT if trace else None)
    sampled = "01" if header.split("-")[3:4] in (["01"], ["ff"]) else "00"
    assert headers["traceresponse"] == (f"00-{trace}-{line['id']}-{sampled}" if trace else None)


def test_two_traceparents_are_none_and_refusals_have_one(log):
    with Server(toy(), name="toy", port=0, access_log=log) as server:
        one = f"traceparent: 00-{TRACE}-{PARENT}-01\r\n".encode()
        head = b"GET /v2/models/toy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        assert b"traceresponse" not in raw(server, head + one + one + b"\r\n")
        assert b"\r\ntraceresponse: 00-" in raw(server, head.replace(b"toy", b"none") + one + b"\r\n")
        # Requests on one connection have traces of their own.
        text = raw(server, head.replace(b"close", b"keep-alive") + one + b"\r\n" + head + b"\r\n")
        assert text.count(b"HTTP/1.1 200") == 2 and text.count(b"traceresponse") == 1
    found = wait_lines(log, 4)
    assert [line["trace_id"] for line in found] == [None, TRACE, TRACE, None]


# ---- gRPC


def test_grpc_has_lines_and_traces(log, tmp_path):
    text, row = api_keys.make("g", ["infer"])
    keys = tmp_path / "keys.json"
    api_keys.add(keys, row)
    with Server(toy(), name="toy", port=0, grpc_port=0, access_log=log, keys=keys) as server:
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            key = ("authorization", f"Bearer {text}")
            ask = channel.unary_unary("/inference.GRPCInferenceService/ModelMetadata")
            trace = ("traceparent", f"00-{TRACE}-{PARENT}-01")
            _, said = ask.with_call(b"\n\x03toy", metadata=[key, trace], timeout=10)
            with pytest.raises(grpc.RpcError):
                ask(b"\n\x04none", metadata=[key], timeout=10)
            with pytest.raises(grpc.RpcError) as refusal:
                ask(b"\n\x03toy", metadata=[("authorization", "Bearer x"), trace], timeout=10)
            assert refusal.value.code() == grpc.StatusCode.UNAUTHENTICATED
        found = wait_lines(log, 3)
    told = [(v["protocol"], v["route"], v["model"], v["status"], v["key"], v["trace_id"]) for v in found]
    route = "ModelMetadata"
    assert told == [
        ("grpc", route, "toy", 200, row["id"], TRACE),
        ("grpc", route, "none", 404, row["id"], None),
        ("grpc", route, None, 401, None, TRACE),
    ]
    assert re.fullmatch(r"127\.0\.0\.1:\d+", found[0]["peer"]) and found[0]["bytes_in"] == 5
    assert dict(said.trailing_metadata())["traceresponse"] == f"00-{TRACE}-{found[0]['id']}-01"


def test_a_grpc_message_without_a_right_is_not_read(tmp_path):
    text, row = api_keys.make("g", ["infer"])
    other, weak = api_keys.make("r", ["read"])
    keys = tmp_path / "keys.json"
    api_keys.add(keys, row)
    api_keys.add(keys, weak)
    with Server(toy(), name="toy", port=0, grpc_port=0, keys=keys, max_body_bytes=1000) as server:
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:

            def code(key, size, method="ModelInfer"):
                ask = channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
                with pytest.raises(grpc.RpcError) as error:
                    ask(b"x" * size, metadata=[("authorization", f"Bearer {key}")] if key else [], timeout=10)
                return error.value.code().name

            # With the right a message over the limit says so; without, nobody looks at it.
            assert code(text, 2000) == "RESOURCE_EXHAUSTED" and code(text, 900) == "NOT_FOUND"
            for size in (10, 2000):
                assert code(None, size) == "UNAUTHENTICATED" and code("maas_x_y", size) == "UNAUTHENTICATED"
                assert code(other, size) == "PERMISSION_DENIED"
            # The message never ends; the refusal comes nevertheless.
            done = threading.Event()
            stream = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
            calls = stream(iter(lambda: done.wait(10) and b"", None), timeout=10)
            with pytest.raises(grpc.RpcError) as error:
                next(calls)
            done.set()
            assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_open_streams_leave_room_for_calls():
    from maas.serving.grpc import MAX_STREAMS

    done = threading.Event()
    with Server(toy(), name="toy", port=0, grpc_port=0) as server:
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            stream = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
            one = b"\n\x04none"

            def messages():
                yield one
                done.wait(20)

            held = [stream(messages(), timeout=20) for _ in range(MAX_STREAMS)]
            assert all(next(c).startswith(b"\n") for c in held)  # an error of the request; the stream is open
            with pytest.raises(grpc.RpcError) as error:
                next(stream(iter([one]), timeout=10))
            assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert channel.unary_unary("/inference.GRPCInferenceService/ServerLive")(b"", timeout=10) == b"\x08\x01"
            done.set()
            for c in held:
                assert list(c) == []
            wait_for(lambda: next(stream(iter([one]), timeout=10), None) is not None)


def test_too_many_calls_are_refused(monkeypatch):
    import maas.serving.grpc as listener

    monkeypatch.setattr(listener, "MAX_CALLS", 2)
    gate = Gate()
    model = PythonModel(gate, [("x", (None, 16), "float32")], [("y", (None, 4), "float32")])
    message = b"\n\x03toy" + b"*\x13\n\x01x\x12\x04FP32\x1a\x02\x01\x10" + b":@" + X[:1].tobytes()
    message = message.replace(b"*\x13", b"*\x0d")
    with Server(model, name="toy", port=0, grpc_port=0) as server:
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            ask = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            waiting = [ask.future(message, timeout=20) for _ in range(2)]
            assert gate.entered.acquire(timeout=10)
            wait_for(lambda: metric(server.url, "maas_inference_in_flight", model="toy") == 2)
            with pytest.raises(grpc.RpcError) as error:
                ask(message, timeout=10)
            assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            gate.open.set()
            assert all(w.result(10) for w in waiting)
