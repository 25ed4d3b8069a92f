"""Requests that are malformed, oversized or framed to confuse: a 4xx with {"error"}, and the server lives on."""

import json
import os
import random
import re
import socket
import struct
import time

import numpy as np
import pytest

from maas.serving import Server

from .conftest import affine, body, call, infer, metric, raw, read_all, rows_of, toy, wait_for

X = np.ones((1, 16), np.float32)
GOOD = json.dumps(body(X)).encode()
LEAKS = re.compile(r"0x[0-9a-f]{6,}|/home|/tmp|/dev/shm|/work|\.py|std::|boost|Traceback", re.I)


def post(data, *lines, path="/v2/models/toy/infer", length=True):
    head = [f"POST {path} HTTP/1.1", "Host: a", *lines]
    if length:
        head.append(f"Content-Length: {len(data)}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + data


def statuses(answer):
    return [int(s) for s in re.findall(rb"HTTP/1\.1 (\d+) ", answer)]


def check_refused(server, data, status=400, **more):
    """One error response, closed connection, and nothing after the bad request was executed."""
    done = metric(server.url, "maas_inference_requests_total", outcome="success")
    answer = raw(server, data + post(GOOD), **more)
    assert statuses(answer) == [status], answer[:300]
    head, text = answer.split(b"\r\n\r\n", 1)
    assert b"Connection: close" in head and b"Content-Type: application/json\r\n" in head
    assert set(json.loads(text)) == {"error"} and not LEAKS.search(text.decode())
    assert metric(server.url, "maas_inference_requests_total", outcome="success") == done


CHUNKED = ("Transfer-Encoding: chunked",)
FRAMING = {
    "content-length and chunked": post(GOOD, *CHUNKED),
    "chunked and content-length": post(GOOD, f"Content-Length: {len(GOOD)}", *CHUNKED, length=False),
    "two lengths that differ": post(GOOD, "Content-Length: 5"),
    "two lengths that agree": post(GOOD, f"Content-Length: {len(GOOD)}"),
    "list of lengths": post(GOOD, f"Content-Length: {len(GOOD)}, {len(GOOD)}", length=False),
    "negative length": post(GOOD, "Content-Length: -1", length=False),
    "signed length": post(GOOD, f"Content-Length: +{len(GOOD)}", length=False),
    "hexadecimal length": post(GOOD, "Content-Length: 0x10", length=False),
    "length past 64 bits": post(GOOD, "Content-Length: 99999999999999999999", length=False),
    "empty length": post(GOOD, "Content-Length:", length=False),
    "unknown encoding": post(GOOD, "Transfer-Encoding: xchunked"),
    "two encodings": post(GOOD, "Transfer-Encoding: gzip, chunked", length=False),
    "chunked twice": post(GOOD, *CHUNKED, *CHUNKED, length=False),
    "chunked in 1.0": post(b"0\r\n\r\n", *CHUNKED, length=False).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "folded header": b"GET /v2 HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
    "bare line feeds": b"GET /v2 HTTP/1.1\nHost: a\n\n",
    "bare line feed inside": b"GET /v2 HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    "bare carriage return": b"GET /v2 HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n",
    "space before colon": b"GET /v2 HTTP/1.1\r\nHost : a\r\n\r\n",
    "space before first name": b"GET /v2 HTTP/1.1\r\n Host: a\r\n\r\n",
    "no colon": b"GET /v2 HTTP/1.1\r\nHost: a\r\nhello\r\n\r\n",
    "NUL in a header": b"GET /v2 HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
    "absolute target": b"GET http://a/v2 HTTP/1.1\r\nHost: a\r\n\r\n",
    "authority target": b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/0.9": b"GET /v2\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.2": b"GET /v2 HTTP/1.2\r\nHost: a\r\n\r\n",
    "lower case version": b"GET /v2 http/1.1\r\nHost: a\r\n\r\n",
    "two spaces": b"GET  /v2 HTTP/1.1\r\nHost: a\r\n\r\n",
    "tab": b"GET\t/v2 HTTP/1.1\r\nHost: a\r\n\r\n",
    "fragment": b"GET /v2#a HTTP/1.1\r\nHost: a\r\n\r\n",
    "control character in target": b"GET /v2\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
    "no host": b"GET /v2 HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /v2 HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "empty line first": b"\r\nGET /v2 HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "expectation": post(GOOD, "Expect: fireworks"),
}
for bad in ("-2", "0x5", "+5", "1" * 17, "g", "", " 5", "5 "):
    FRAMING[f"chunk size {bad!r}"] = post(f"{bad}\r\nhello\r\n0\r\n\r\n".encode(), *CHUNKED, length=False)
for name in ("Content-Length: 5", "Transfer-Encoding: chunked", "Host: b", "Connection: close", "A: b\r\n c", "A: b"):
    FRAMING[f"trailer {name!r}"] = post(f"1\r\n \r\n0\r\n{name}\r\n\r\n".encode(), *CHUNKED, length=False)
for host in ("a/../v2", "a b", "a,b", "http://a", "a@b", "a?b"):
    FRAMING[f"host {host!r}"] = f"GET /v2 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
FRAMING["chunk not ended"] = post(b"5\r\nhelloXX0\r\n\r\n", *CHUNKED, length=False)
FRAMING["chunk ended by LF"] = post(b"5\nhello\n0\n\n", *CHUNKED, length=False)
FRAMING["chunk extension of 1 MB"] = post(b"5;" + b"a" * (1 << 20) + b"\r\nhello\r\n0\r\n\r\n", *CHUNKED, length=False)


@pytest.mark.parametrize("case", FRAMING)
def test_s16_framing(server, case):
    status = 413 if case == "chunk size '11111111111111111'" else 400
    answer = raw(server, FRAMING[case] + post(GOOD))
    assert statuses(answer) in ([status], [400], [413]) and len(statuses(answer)) == 1, answer[:300]
    check_refused(server, FRAMING[case], statuses(answer)[0])


def test_s16_nothing_after_a_refused_request_runs(server):
    answer = raw(server, post(GOOD) + b"GET /v2\nHost: a\n\n" + post(GOOD))
    assert statuses(answer) == [200, 400]


def test_pipelined_requests_are_answered_in_order(server):
    x = np.arange(32 * 16, dtype=np.float32).reshape(32, 1, 16)
    data = b"".join(post(json.dumps(body(row, id=str(i))).encode()) for i, row in enumerate(x))
    answer = raw(server, data, timeout=1.0)
    parts = [json.loads(t) for t in re.findall(rb"\r\n\r\n(\{.*?\]\}\]\})", answer)]
    assert [p["id"] for p in parts] == [str(i) for i in range(32)]
    assert all(rows_of(p).tobytes() == affine(row).tobytes() for p, row in zip(parts, x))


def test_chunked_bodies_and_split_writes_are_read(server):
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(GOOD[i : i + 7]), GOOD[i : i + 7]) for i in range(0, len(GOOD), 7))
    data = post(chunks + b"0\r\n\r\n", *CHUNKED, "Connection: close", length=False)
    assert statuses(raw(server, data)) == [200]
    with socket.create_connection(("127.0.0.1", server.port)) as s:
        for i in range(len(data)):
            s.sendall(data[i : i + 1])
        assert statuses(read_all(s)) == [200]


def test_expect_continue(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as s:
        s.sendall(post(GOOD, "Expect: 100-continue", "Connection: close")[: -len(GOOD)])
        assert s.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(GOOD)
        assert statuses(read_all(s)) == [200]


def test_old_clients_keep_their_connection_only_when_they_ask(server):
    assert b"Connection: close" in raw(server, b"GET /v2 HTTP/1.0\r\n\r\n")
    assert b"Connection: keep-alive" in raw(server, b"GET /v2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", timeout=0.2)


# ---- limits


@pytest.fixture(scope="module")
def small():
    limits = {"max_body_bytes": 2000, "max_header_bytes": 1000, "max_header_fields": 10, "max_url_bytes": 100}
    limits |= {
        "max_connections": 20,
        "max_chunks": 50,
        "header_timeout": 0.4,
        "idle_timeout": 0.4,
        "request_timeout": 1.0,
    }
    with Server(toy(), name="toy", port=0, **limits) as s:
        yield s
        assert call(s.url, "/v2/health/live")[0] == 200


def test_s13_each_limit_and_one_more(small):
    def pad(n):
        return GOOD + b" " * (n - len(GOOD))

    def get(target, *lines):
        return "\r\n".join([f"GET {target} HTTP/1.1", "Host: a", "Connection: close", *lines]).encode() + b"\r\n\r\n"

    close = "Connection: close"
    assert statuses(raw(small, post(pad(2000), close))) == [200]
    check_refused(small, post(pad(2001)), 413)
    chunk = b"%x\r\n%s\r\n0\r\n\r\n"
    assert statuses(raw(small, post(chunk % (2000, pad(2000)), close, *CHUNKED, length=False))) == [200]
    check_refused(small, post(chunk % (2001, pad(2001)), *CHUNKED, length=False), 413)
    assert statuses(raw(small, get("/v2?" + "a" * 96))) == [200]
    check_refused(small, get("/v2?" + "a" * 97), 414)
    check_refused(small, b"GET /" + b"a" * 5000, 414)
    assert statuses(raw(small, get("/v2", *["A: b"] * 8))) == [200]
    check_refused(small, get("/v2", *["A: b"] * 9), 431)
    spare = 1000 - len(get("/v2", "A: "))
    assert statuses(raw(small, get("/v2", "A: " + "b" * spare))) == [200]
    check_refused(small, get("/v2", "A: " + "b" * (spare + 1)), 431)
    check_refused(small, b"GET /v2 HTTP/1.1\r\nHost: a\r\nA: " + b"b" * 60000, 431)


def test_s12_many_tiny_chunks(small, server):
    ok = b"1\r\n \r\n" * 20 + b"%x\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD)
    assert statuses(raw(small, post(ok, *CHUNKED, "Connection: close", length=False))) == [200]
    check_refused(small, post(b"1\r\n \r\n" * 60, *CHUNKED, length=False), 413)
    began = time.monotonic()
    check_refused(server, post(b"1\r\n \r\n" * 1_000_000, *CHUNKED, length=False), 413)
    assert time.monotonic() - began < 5


def test_endless_chunked_body_keeps_memory_flat(server):
    def resident():
        with open("/proc/self/statm") as f:
            return int(f.read().split()[1]) * 4096

    before, sent = resident(), 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as s:
        s.sendall(post(b"", *CHUNKED, length=False))
        block = b"10000\r\n" + b" " * 65536 + b"\r\n"
        try:
            while sent < 300 << 20:
                s.sendall(block)
                sent += len(block)
        except OSError:
            pass
        answer = read_all(s)
    # The limit is 64 MiB; the rest is read and dropped for a moment, so that the client can see the answer.
    assert statuses(answer) in ([413], []) and resident() - before < 200 << 20
    assert call(server.url, "/v2/health/live")[0] == 200


def test_bodies_of_all_connections_have_one_budget():
    with Server(toy(), name="toy", port=0, max_total_body_bytes=100_000) as server:
        head = post(b" " * 60_000)[:-1]
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as first:
            first.sendall(head)
            wait_for(lambda: metric(server.url, "maas_http_body_bytes") == 59_999)
            assert statuses(raw(server, head)) == [503]
            assert infer(server.url, body(X))[0] == 200
            wait_for(lambda: metric(server.url, "maas_http_body_bytes") == 59_999)
        wait_for(lambda: metric(server.url, "maas_http_body_bytes") == 0)


def test_timeouts(small):
    with socket.create_connection(("127.0.0.1", small.port), timeout=5) as s:
        assert read_all(s) == b""  # idle
    with socket.create_connection(("127.0.0.1", small.port), timeout=5) as s:
        s.sendall(b"GET /v2 HTT")
        assert statuses(read_all(s)) == [408]
    with socket.create_connection(("127.0.0.1", small.port), timeout=5) as s:
        s.sendall(post(GOOD)[:-5])
        assert statuses(read_all(s)) == [408]


def test_connection_limit(small):
    wait_for(lambda: metric(small.url, "maas_http_connections") <= 1)
    many = [socket.create_connection(("127.0.0.1", small.port)) for _ in range(40)]
    try:
        time.sleep(0.1)
        for s in many:
            s.settimeout(0.1)
        closed = sum(s.recv(1) == b"" for s in many[25:])
        assert closed == 15
    finally:
        for s in many:
            s.close()
    wait_for(lambda: metric(small.url, "maas_http_connections") <= 1)
    assert metric(small.url, "maas_http_connections_refused_total") >= 15


# ---- the JSON and the tensors


def tensor(**changes):
    t = {"name": "x", "shape": [1, 16], "datatype": "FP32", "data": [1] * 16}
    t.update(changes)
    return {"inputs": [{k: v for k, v in t.items() if v is not ...}]}


NESTED = {
    "data": b'{"inputs":[{"name":"x","shape":[1,16],"datatype":"FP32","data":%s1%s}]}',
    "parameters": b'{"parameters":{"a":%s1%s},"inputs":[]}',
    "unknown": b'{"a":%s1%s}',
    "shape": b'{"inputs":[{"name":"x","datatype":"FP32","shape":%s1%s}]}',
    "whole": b"%s1%s",
}


@pytest.mark.parametrize("depth", [70, 50_000, 250_000])
@pytest.mark.parametrize("where", NESTED)
@pytest.mark.parametrize("kind", ["arrays", "objects", "unclosed"])
def test_s10_deep_nesting(server, depth, where, kind):
    opening, closing = (b'{"a":', b"}") if kind == "objects" else (b"[", b"]")
    closing = b"" if kind == "unclosed" else closing
    began = time.monotonic()
    status, answer = infer(server.url, (NESTED[where] % (opening * depth, closing * depth)).decode())
    assert status == 400 and "error" in answer and time.monotonic() - began < 1
    assert not LEAKS.search(answer["error"])


BAD = {
    "empty": "",
    "not json": "hello",
    "truncated": GOOD[:-1].decode(),
    "two documents": GOOD.decode() * 2,
    "array": "[]",
    "number": "1",
    "null": "null",
    "no inputs": "{}",
    "inputs null": '{"inputs":null}',
    "inputs object": '{"inputs":{}}',
    "inputs of numbers": '{"inputs":[1]}',
    "no input": '{"inputs":[]}',
    "inputs twice": GOOD.decode()[:-1] + ',"inputs":[]}',
    "comment": GOOD.decode()[:-1] + "/* */}",
    "trailing comma": GOOD.decode()[:-1] + ",}",
    "id number": body(X, id=5),
    "id long": body(X, id="a" * 2000),
    "outputs null": body(X, outputs=None),
    "outputs nameless": body(X, outputs=[{}]),
    "outputs many": body(X, outputs=[{"name": f"y{i}"} for i in range(1000)]),
    "unknown output": body(X, outputs=[{"name": "z"}]),
    "classification": body(X, outputs=[{"name": "y", "parameters": {"classification": -3}}]),
    "binary_data text": body(X, outputs=[{"name": "y", "parameters": {"binary_data": "yes"}}]),
    "binary_data_output 1": body(X, parameters={"binary_data_output": 1}),
    "timeout text": body(X, parameters={"timeout": "1"}),
    "timeout negative": body(X, parameters={"timeout": -1}),
    "timeout huge": '{"parameters":{"timeout":99999999999999999999},' + GOOD.decode()[1:],
    "timeout object": body(X, parameters={"timeout": {}}),
    "priority float": body(X, parameters={"priority": 1.5}),
    "sequence_start": body(X, parameters={"sequence_start": 1}),
    "parameters list": body(X, parameters=[]),
    "no name": tensor(name=...),
    "name number": tensor(name=1),
    "unknown input": tensor(name="z"),
    "long name": tensor(name="z" * 2000),
    "input twice": {"inputs": tensor()["inputs"] * 2},
    "no shape": tensor(shape=...),
    "no datatype": tensor(datatype=...),
    "no data": tensor(data=...),
    "other datatype": tensor(datatype="FP64"),
    "unknown datatype": tensor(datatype="FP31"),
    "bytes": tensor(datatype="BYTES", data=["a"] * 16),
    "datatype null": tensor(datatype=None),
    "shared memory": tensor(data=..., parameters={"shared_memory_region": "a"}),
    "data null": tensor(data=None),
    "data text": tensor(data="1"),
    "data of text": tensor(data=["1"] * 16),
    "data of null": tensor(data=[None] * 16),
    "data of bool": tensor(data=[True] * 16),
    "data of objects": tensor(data=[{}] * 16),
    "data empty": tensor(data=[]),
    "data short": tensor(data=[1] * 15),
    "data long": tensor(data=[1] * 17),
    "data ragged": tensor(data=[[1] * 15, [1]]),
    "data mixed depth": tensor(data=[[1] * 15, 1]),
    "data too deep": tensor(data=[[[1] * 16]]),
    "data with an empty list": tensor(data=[[], *[1] * 16]),
    "data with an empty list after": tensor(data=[*[1] * 16, []]),
    "data wrong nest": tensor(data=[[1] * 8, [1] * 8]),
    "size and data": tensor(parameters={"binary_data_size": 64}),
    "overflow": '{"inputs":[{"name":"x","shape":[1,16],"datatype":"FP32","data":[1e400' + ",1" * 15 + "]}]}",
    "overflow of FP32": tensor(data=[1e39] + [1] * 15),
    "late overflow": '{"inputs":[{"data":[1e99' + ",1" * 15 + '],"name":"x","shape":[1,16],"datatype":"FP32"}]}',
    "late short": '{"inputs":[{"data":[1],"name":"x","shape":[1,16],"datatype":"FP32"}]}',
    "invalid UTF-8": b'{"id":"\xff\xfe","inputs":[]}',
    "key of 10 kB": json.dumps({"k" * 10_000: 1}),
}
for shape in (
    [-1, 16],
    [0, 16],
    [2**32, 16],
    [2**32, 2**32],
    [2**63, 16],
    [2**64 - 1, 16],
    [1.0, 16],
    ["1", 16],
    [None, 16],
    [True, 16],
    [16],
    [],
    16,
    [[1, 16]],
    [1] * 33,
    [2, 16],
    [10**9, 16],
    {},
):
    BAD[f"shape {str(shape)[:40]}"] = tensor(shape=shape)
BAD["shape 1e3"] = GOOD.decode().replace("[1, 16]", "[1e3, 16]")
BAD["shape 01"] = GOOD.decode().replace("[1, 16]", "[01, 16]")
BAD["shape past 64 bits"] = GOOD.decode().replace("[1, 16]", "[99999999999999999999, 16]")


@pytest.mark.parametrize("case", BAD)
def test_s15_s21_s24_bad_bodies(server, case):
    status, headers, text = call(server.url, "/v2/models/toy/infer", BAD[case] or b"", "POST")
    assert status == 400 and headers["Content-Type"] == "application/json"
    answer = json.loads(text)
    assert set(answer) == {"error"} and not LEAKS.search(answer["error"])
    assert metric(server.url, "maas_inference_in_flight") == 0 and metric(server.url, "maas_queue_depth") == 0
    status, answer = infer(server.url, body(X))
    assert status == 200 and rows_of(answer).tobytes() == affine(X).tobytes()


@pytest.mark.parametrize("value", ["1e9223372036854775807", "-12e9223372036854775807", "123456e9223372036854775800"])
def test_exponents_at_the_end_of_64_bits_are_overflow(server, value):
    status, answer = infer(server.url, GOOD.decode().replace("1.0", value, 1))
    assert status == 400 and "out of the range" in answer["error"]


@pytest.mark.parametrize(
    "value",
    [
        "0.001e-9223372036854775808",
        "1e-400",
        "-1e-60",
        "1E+2",
        "-0",
        "0.1e1",
        "NaN",
        "-Infinity",
        "123456789012345678901",
    ],
)
def test_numbers_at_the_edges_of_the_format(server, value):
    text = GOOD.decode().replace("1.0", value, 1)
    x = X.copy()
    x[0, 0] = np.float32(float(value))
    status, answer = infer(server.url, text)
    assert status == 200 and np.array_equal(rows_of(answer), affine(x), equal_nan=True)


def binary(x, header=None, size=None, tail=b"", name="x"):
    raw_bytes = np.asarray(x, np.float32).tobytes()
    size = len(raw_bytes) if size is None else size
    t = {"name": name, "shape": list(np.shape(x)), "datatype": "FP32", "parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [t]}).encode()
    return head + raw_bytes + tail, str(len(head)) if header is None else header


BINARY = {
    f"header {h!r}": binary(X, header=h)
    for h in ("-1", "+1", " 5", "0x10", "99999999999999999999", "1000000", "1.5", "", "abc", "0")
}
BINARY |= {f"size {s!r}": binary(X, size=s) for s in (-1, 0, 63, 65, 2**62, 2**64, 1.5, "64", True, [64])}
BINARY |= {
    "more after": binary(X, tail=b"\0"),
    "ends early": (binary(X)[0][:-1], binary(X)[1]),
    "unknown input": binary(X, name="z"),
}


@pytest.mark.parametrize("case", BINARY)
def test_s15_bad_binary_requests(server, case):
    data, header = BINARY[case]
    status, answer = infer(server.url, data, headers={"Inference-Header-Content-Length": header})
    assert status == 400 and not LEAKS.search(answer["error"])
    good, header = binary(X)
    assert infer(server.url, good, headers={"Inference-Header-Content-Length": header})[0] == 200
    assert metric(server.url, "maas_queue_depth") == 0


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "gzip, deflate", "zstd", "gzip;q=1"])
def test_other_codings_are_415(server, coding):
    status, answer = infer(server.url, GOOD, headers={"Content-Encoding": coding})
    assert status == 415 and "error" in answer
    two = post(GOOD, "Content-Encoding: gzip", "Content-Encoding: deflate", "Connection: close")
    assert statuses(raw(server, two)) == [415]


def test_random_mutations_never_break_it(server):
    rng = random.Random(7)
    for _ in range(400):
        data = bytearray(GOOD)
        for _ in range(rng.randint(1, 4)):
            i = rng.randrange(len(data))
            action = rng.randrange(3)
            if action == 0:
                data[i] = rng.randrange(256)
            elif action == 1:
                del data[i]
            else:
                data[i:i] = bytes([rng.choice(b'[]{},:"0-eE.ntf')])
        status, answer = infer(server.url, bytes(data))
        assert status in (200, 400) and ("error" in answer) == (status == 400)
    assert metric(server.url, "maas_inference_in_flight") == 0


def test_s23_clients_that_vanish(server):
    rng = random.Random(3)
    data = post(GOOD)
    for _ in range(300):
        s = socket.create_connection(("127.0.0.1", server.port))
        s.sendall(data[: rng.randrange(len(data) + 1)])
        if rng.random() < 0.5:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    wait_for(lambda: metric(server.url, "maas_inference_in_flight") == 0)
    wait_for(lambda: metric(server.url, "maas_http_connections") <= 1)
    assert infer(server.url, body(X))[0] == 200


def test_file_descriptors_come_back(server):
    def count():
        return len(os.listdir("/proc/self/fd"))

    wait_for(lambda: metric(server.url, "maas_http_connections") <= 1)
    before = count()
    for _ in range(100):
        assert infer(server.url, body(X))[0] == 200
    wait_for(lambda: count() <= before + 1)
