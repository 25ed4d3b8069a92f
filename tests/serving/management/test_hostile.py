"""What a web page or a hostile client gets from the management port."""

import re
import socket
import time

import pytest

from maas.serving import management as module

from ..conftest import call, raw, read_all, wait_for
from .port import Port, ask, key_line, routes_of_the_router

# ---- web pages


HOSTS = {
    "evil.example": 421,
    "evil.example:80": 421,
    "localhost.evil.example": 421,
    "127.0.0.1.evil.example": 421,
    "a/../v2": 421,
    "localhost:80/v2/health": 421,
    "localhost:": 421,
    "localhost:x": 421,
    "0.0.0.0": 421,
    "169.254.169.254": 421,
    "[::1": 421,
    "": 421,
    "localhost": 200,
    "LOCALHOST:9": 200,
    "127.0.0.1:8001": 200,
    "[::1]:1": 200,
    "[::1]": 200,
}


@pytest.mark.parametrize("host", HOSTS)
def test_s05_s07_hosts(locked, ring, host):
    request = f"GET /v2 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{key_line(ring, 'read')}\r\n\r\n"
    answer = raw(Port(locked), request.encode())
    assert int(answer[9:12]) in (HOSTS[host], 400 if HOSTS[host] == 421 else 200), answer
    assert b"access-control" not in answer.lower()


def test_s05_two_hosts_and_none(locked, ring):
    for lines in ("Host: localhost\r\nHost: localhost\r\n", ""):
        answer = raw(Port(locked), f"GET /v2 HTTP/1.1\r\n{lines}{key_line(ring, 'read')}\r\n\r\n".encode())
        assert answer[9:12] == b"400"


@pytest.mark.parametrize("origin", ["https://evil", "null", "http://localhost.evil", "http://localhost:1", ""])
def test_s07_other_origins_are_refused_with_a_key_and_without(locked, ring, origin):
    for lines in ([key_line(ring, "admin")], []):
        for method in ("GET", "POST", "OPTIONS", "DELETE"):
            status, answer = ask(locked, method, "/v2/repository/index", f"Origin: {origin}", *lines)
            assert status == 403 and b"access-control" not in answer.lower()
    assert ask(locked, "GET", "/v2", "Origin: http://localhost", key_line(ring, "read"))[0] == 200


# ---- hostile bodies


DEEP = {
    "arrays": b"[" * 50_000 + b"]" * 50_000,
    "many arrays": b"[" * 250_000,
    "objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "in parameters": b'{"parameters":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_001,
    "mixed": b'[{"a":' * 20_000,
    "not utf-8": b'{"name":"\xff"}',
    "a list": b"[]",
    "cut": b'{"name":"a"',
}


@pytest.mark.parametrize("case", DEEP)
def test_s11_deep_json_on_every_route(locked, ring, case):
    for name, path, methods in routes_of_the_router(locked):
        if "POST" not in methods:
            continue
        began = time.monotonic()
        status, _ = ask(locked, "POST", path, key_line(ring, "admin"), data=DEEP[case])
        assert status == 400 and time.monotonic() - began < 1, name


def test_s11_s13_bodies_are_bounded(locked, ring):
    line = key_line(ring, "admin")
    assert ask(locked, "POST", "/manage/keys", line, data=b" " * (module.MAX_BODY_BYTES + 1))[0] == 413
    assert ask(locked, "POST", "/v2/repository/index", line, data=b" " * (module.MAX_BODY_BYTES - 2) + b"{}")[0] == 200
    assert ask(locked, "POST", "/v2/repository/index", line, "Content-Encoding: gzip", data=b"x")[0] == 415
    for extra, status in {
        "X: " + "a" * (20 << 10): 431,
        "\r\n".join("X: a" for _ in range(101)): 431,
        "X: a": 200,
    }.items():
        assert ask(locked, "GET", "/v2", line, extra)[0] == status
    assert ask(locked, "GET", "/v2?" + "a" * 9000, line)[0] == 414
    answer = raw(Port(locked), b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * (600 << 10) + b"\r\n\r\n")
    assert answer[9:12] in (b"400", b"431", b"")
    # Nobody without a right gets a body read.
    with socket.create_connection(("127.0.0.1", locked.management_port), timeout=5) as s:
        s.sendall(b"POST /manage/keys HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n")
        assert s.recv(100)[9:12] == b"401"


def test_s18_multipart_is_no_form(locked, ring, monkeypatch):
    from starlette import formparsers

    def parse(*_, **__):
        parsed.append(1)
        raise AssertionError("a form is parsed")

    parsed = []
    for parser in (formparsers.MultiPartParser, formparsers.FormParser):
        monkeypatch.setattr(parser, "__init__", parse)
    boundary = "-" * 1_000_000
    for kind in (f"multipart/form-data; boundary={boundary}", "multipart/form-data; boundary=" + "-" * 70):
        began = time.monotonic()
        head = f"POST /manage/keys HTTP/1.1\r\nHost: localhost\r\n{key_line(ring, 'admin')}\r\nContent-Type: {kind}\r\n"
        data = ("--" + boundary[:900_000]).encode()
        answer = raw(Port(locked), f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data, timeout=0.3)
        assert answer[9:12] in (b"400", b"431", b"") and time.monotonic() - began < 1
    assert not parsed


POST = "POST /manage/keys HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
FRAMING = {
    "both lengths": f"{POST}Content-Length: 5\r\n{CHUNKED}\r\n0\r\n\r\n",
    "two lengths": f"{POST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "a chunk size": f"{POST}{CHUNKED}\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "a space": "GET /v2 HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "no HTTP": "\x16\x03\x01\x02\x00\x01\r\n\r\n",
    "a NUL": "GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
}
NEXT = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("case", FRAMING)
def test_s16_framing(locked, case):
    answer = raw(Port(locked), FRAMING[case].encode("latin-1") + NEXT)
    # Nothing after it is answered: at most one refusal, and the connection ends.
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) in ([b"400"], [b"401"]), answer


def test_slow_clients_are_let_go(locked, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.2)
    began = time.monotonic()
    for begin in (b"", b"GET /v2 HT"):
        with socket.create_connection(("127.0.0.1", locked.management_port), timeout=5) as s:
            s.sendall(begin)
            assert read_all(s) == b""
    assert time.monotonic() - began < 3


def test_connections_are_bounded(locked, monkeypatch):
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 8)
    many = [socket.create_connection(("127.0.0.1", locked.management_port), timeout=5) for _ in range(12)]
    try:
        wait_for(lambda: sum(_closed(s) for s in many) >= 4)
    finally:
        for s in many:
            s.close()
    monkeypatch.undo()
    wait_for(lambda: call(locked.at, "/v2/health/live")[0] == 200)


def _closed(s):
    s.setblocking(False)
    try:
        return s.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
