"""Limits hold as without TLS, and clients that are slow, vanish or flood do not stop others (S-17)."""

import contextlib
import ctypes
import ctypes.util
import json
import os
import random
import re
import socket
import ssl
import struct
import threading
import time

import numpy as np
import pytest

from ..conftest import affine, body, metric_text, read_all, rows_of, wait_for
from .clients import ask, connect, serve, trusting, works


def test_a_handshake_has_a_time_limit(pair, ca):
    with serve(pair, header_timeout=0.3) as server:
        began = time.monotonic()
        hello = ssl.MemoryBIO()
        client = trusting(ca).wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        for start in (b"", hello.read()[:40]):
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as s:
                s.sendall(start)
                assert s.recv(100) == b""
        assert time.monotonic() - began < 5 and works(server, trusting(ca))


def test_limits_of_http_hold(pair, ca):
    with serve(pair, max_body_bytes=5000, max_header_bytes=1000, idle_timeout=0.3) as server:

        def status(text):
            with connect(server, trusting(ca)) as s:
                s.sendall(text)
                return int(read_all(s).split(b" ", 2)[1])

        head = b"POST /v2/models/toy/infer HTTP/1.1\r\nHost: x\r\n"
        assert status(head + b"Content-Length: 5001\r\n\r\n" + b"x" * 5001) == 413
        assert status(head + b"X: " + b"x" * 1000 + b"\r\n\r\n") == 431
        chunk = b"fff\r\n" + b"x" * 4095 + b"\r\n"
        assert status(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 2) == 413
        with connect(server, trusting(ca)) as s:
            assert s.recv(10) == b""  # idle
        assert works(server, trusting(ca))


def test_slow_clients_do_not_slow_others(pair, ca):
    # Half of them never say hello, half say it and then nothing.
    context, before = trusting(ca), len(os.listdir("/proc/self/fd"))
    with serve(pair) as server:
        slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(150)]
        slow += [connect(server, context) for _ in range(150)]
        for s in slow[150:]:
            s.sendall(b"POST /v2/models/toy/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{")
        request = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
        with connect(server, context) as s:
            took = []
            for _ in range(200):
                began = time.perf_counter()
                s.sendall(request)
                assert s.recv(1000).startswith(b"HTTP/1.1 200")
                took.append(time.perf_counter() - began)
        assert sorted(took)[197] < 0.05
        for s in slow:
            s.close()
        wait_for(lambda: metric_text(ask(server, context, path="/metrics"), "maas_http_connections ") <= 1)
    wait_for(lambda: len(os.listdir("/proc/self/fd")) <= before)


def key_updates(connection, count):
    """Shakes hands over a TCP connection; returns so many KeyUpdate messages of TLS 1.3 to send there."""
    lib = ctypes.CDLL(ctypes.util.find_library("ssl"))

    def make(name, *arguments):
        function = getattr(lib, name)
        function.restype = ctypes.c_void_p
        return ctypes.c_void_p(function(*arguments))

    context = make("SSL_CTX_new", make("TLS_client_method"))
    client = make("SSL_new", context)
    received, to_send = (make("BIO_new", make("BIO_s_mem")) for _ in range(2))
    lib.SSL_set_bio(client, received, to_send)
    lib.SSL_set_connect_state(client)

    def taken():
        out, piece = bytearray(), ctypes.create_string_buffer(1 << 20)
        while (n := lib.BIO_read(to_send, piece, len(piece))) > 0:
            out += piece.raw[:n]
        return bytes(out)

    while lib.SSL_do_handshake(client) != 1:
        connection.sendall(taken())
        data = connection.recv(65536)
        assert data
        lib.BIO_write(received, data, len(data))
    connection.sendall(taken())
    for _ in range(count):
        assert lib.SSL_key_update(client, 0) == 1 and lib.SSL_do_handshake(client) == 1
    data = taken()
    lib.SSL_free(client)
    lib.SSL_CTX_free(context)
    return data


def test_a_flood_of_key_updates_does_not_stop_others(server, ca):
    request = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as flood, connect(server, trusting(ca)) as other:
        data = key_updates(flood, 100_000)

        def send():
            with contextlib.suppress(OSError):
                flood.sendall(data)

        sender, took = threading.Thread(target=send), []
        sender.start()
        while sender.is_alive() or len(took) < 50:
            began = time.perf_counter()
            other.sendall(request)
            assert other.recv(1000).startswith(b"HTTP/1.1 200")
            took.append(time.perf_counter() - began)
        assert max(took) < 0.2


def test_clients_that_vanish(server, ca):
    context, chance = trusting(ca), random.Random(0)
    text = json.dumps(body(np.ones((50, 16)))).encode()
    request = b"POST /v2/models/toy/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(text) + text
    for _ in range(200):
        s = connect(server, context)
        s.sendall(request[: chance.randrange(len(request) + 1)])
        if chance.random() < 0.5:  # a reset
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    wait_for(lambda: metric_text(ask(server, context, path="/metrics"), 'maas_inference_in_flight{model="toy"') == 0)
    assert works(server, context)


def test_a_slow_reader_gets_all(pair, ca):
    big = np.ones((20000, 16), np.float32)
    text = json.dumps(body(big)).encode()
    with serve(pair) as server, connect(server, trusting(ca)) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        head = b"POST /v2/models/toy/infer HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        s.sendall(head % len(text) + text)
        time.sleep(0.3)
        answer = read_all(s).split(b"\r\n\r\n", 1)[1]
        assert np.array_equal(rows_of(json.loads(answer)), affine(big))


def small_server_buffer(server, client):
    """Makes the server's end of a connection of this process take little at once."""
    for fd in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as s:
            if s.getpeername() == client.getsockname():
                s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
                return
    raise AssertionError("the server's socket was not found")


@pytest.mark.parametrize("more", [0, 20, 40, 60])
def test_continue_does_not_eat_the_answer_where_nobody_reads(server, ca, more):
    context = trusting(ca)
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
    plain.settimeout(10)
    plain.connect(("127.0.0.1", server.port))
    with context.wrap_socket(plain, server_hostname="localhost") as s:
        small_server_buffer(server, s)
        path = b"/no" + b"x" * more
        head = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
        for _ in range(60):
            s.sendall(head)
            time.sleep(0.003)
            s.sendall(b"x")
            time.sleep(0.003)
        s.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = read_all(s)
    answers = re.split(rb"(?=HTTP/1.1 )", got.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b""))[1:]
    want = b'{"error":"there is no such route"}'
    assert len(answers) == 61 and all(a.endswith(b"\r\n\r\n" + want) for a in answers[:-1])
    assert answers[-1].endswith(b'{"live":true}')
