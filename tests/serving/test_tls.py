"""TLS: versions and ciphers (S-45), certificates of clients, rotation, and that limits hold as without it (S-17)."""

import contextlib
import ctypes
import ctypes.util
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import urllib.request

import numpy as np
import pytest

import maas
from maas import _core
from maas.serving import Server

from .certificates import Authority, put
from .conftest import affine, body, metric_text, read_all, rows_of, tool, toy, wait_for

X = np.arange(32, dtype=np.float32).reshape(2, 16)


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def pair(ca):
    return ca.server()


def serve(pair, **more):
    return Server(toy(), name="toy", port=0, tls_cert=pair.cert_path, tls_key=pair.key_path, **more)


@pytest.fixture(scope="module")
def server(pair):
    with serve(pair) as s:
        yield s


def trusting(ca, client=None):
    context = ssl.create_default_context(cafile=ca.path)
    if client:
        context.load_cert_chain(client.cert_path, client.key_path)
    return context


def connect(server, context):
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    try:
        return context.wrap_socket(plain, server_hostname="localhost")
    except BaseException:
        plain.close()
        raise


def ask(server, context, data=None, path="/v2/models/toy/infer"):
    request = urllib.request.Request(server.url + path, None if data is None else json.dumps(data).encode())
    with urllib.request.urlopen(request, timeout=20, context=context) as r:
        return r.read()


def works(server, context):
    return np.array_equal(rows_of(json.loads(ask(server, context, body(X)))), affine(X))


def refused(server, context):
    # With TLS 1.3 the client has finished before the server looks at its certificate: the refusal comes when it reads.
    try:
        with connect(server, context) as s:
            s.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            return s.recv(100) == b""
    except (ssl.SSLError, ConnectionError):
        return True


def serial(server, context):
    from cryptography import x509

    with connect(server, context) as s:
        return x509.load_der_x509_certificate(s.getpeercert(binary_form=True)).serial_number


# ---- the protocol


def test_answers_are_the_same_as_without(server, ca):
    assert server.url.startswith("https://") and works(server, trusting(ca))
    big = np.random.default_rng(0).standard_normal((4000, 16)).astype(np.float32)
    assert np.array_equal(rows_of(json.loads(ask(server, trusting(ca), body(big)))), affine(big))


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_versions_that_are_spoken(server, ca, version):
    context = trusting(ca)
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    assert works(server, context)
    with connect(server, context) as s:
        assert s.version() == version.replace("_", ".")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_versions_that_are_refused(server, ca, version):
    context = trusting(ca)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(server, context)


@pytest.mark.parametrize(
    "cipher", ["ECDHE-ECDSA-AES256-SHA", "ECDHE-ECDSA-AES128-SHA256", "AES128-GCM-SHA256", "eNULL"]
)
def test_ciphers_that_are_refused(server, ca, cipher):
    context = trusting(ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{cipher}:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(server, context)


def test_only_http_1_is_agreed_on(server, ca):
    context = trusting(ca)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with connect(server, context) as s:
        assert s.selected_alpn_protocol() == "http/1.1"
    context.set_alpn_protocols(["h2"])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(server, context)


def test_no_renegotiation(server, ca):
    command = [tool("openssl"), "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2", "-CAfile", str(ca.path)]
    result = subprocess.run(command, input=b"R\n", capture_output=True, timeout=20)
    assert b"RENEGOTIATING" in result.stderr and b":no renegotiation:" in result.stderr, result.stdout + result.stderr


def test_a_scanner_finds_only_what_is_meant(server):
    scan = subprocess.run(
        [tool("sslscan"), "--no-colour", f"127.0.0.1:{server.port}"], capture_output=True, text=True, timeout=100
    ).stdout
    found = dict(re.findall(r"^(SSLv2|SSLv3|TLSv1\.\d)\s+(enabled|disabled)$", scan, re.M))
    old = dict.fromkeys(["SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"], "disabled")
    assert found == old | {"TLSv1.2": "enabled", "TLSv1.3": "enabled"}, scan
    assert "Session renegotiation not supported" in scan
    ciphers = re.findall(r"^(?:Preferred|Accepted)\s+TLSv1\.\d\s+\d+ bits\s+(\S+)", scan, re.M)
    assert ciphers and all(re.match(r"TLS_(AES|CHACHA20)|ECDHE-\S*(GCM|CHACHA20)", c) for c in ciphers), ciphers
    assert "vulnerable to" not in scan.replace("not vulnerable to", "")
    # Groups of numbers modulo a large prime would cost the server far more than the client.
    groups = re.findall(r"^TLSv1\.\d\s+\d+ bits\s+(\S+)", scan, re.M)
    assert set(groups) == {"x25519", "secp256r1", "secp384r1"}, groups


def test_plain_http_gets_a_clean_end(server, ca):
    failed = 'maas_tls_handshakes_total{outcome="error"}'
    before = metric_text(ask(server, trusting(ca), path="/metrics"), failed)
    for text in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0" * 3000, b"\x16\x03\x01\xff\xff" + b"x" * 70000):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as s:
            s.sendall(text)
            got = b""
            while chunk := s.recv(1000):  # a reset would raise
                got += chunk
            assert len(got) <= 7  # nothing, or one alert
    assert metric_text(ask(server, trusting(ca), path="/metrics"), failed) == before + 3
    assert works(server, trusting(ca))


def test_pipelined_and_split_requests(server, ca):
    request = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(server, trusting(ca)) as s:
        s.sendall(request * 20)
        for byte in request * 2:
            s.sendall(bytes([byte]))
        s.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert read_all(s).count(b"HTTP/1.1 200 OK") == 23


def test_the_end_is_said(server, ca):
    # Without close_notify Python raises SSLEOFError, unless told not to.
    with connect(server, trusting(ca)) as s:
        s.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = b""
        while chunk := s.read(1000):
            got += chunk
        assert got.endswith(b'{"live":true}')


# ---- limits


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


# ---- clients that prove who they are


def test_client_certificates(pair, ca, tmp_path):
    good, bad, expired = ca.client("good"), ca.client("bad"), ca.client("expired", days=-1)
    stranger = Authority(tmp_path, "stranger").client()
    authorities = tmp_path / "clients.pem"
    authorities.write_bytes(ca.pem)
    with serve(pair, client_ca=authorities) as server:
        for client in (good, bad):
            assert works(server, trusting(ca, client))
        for client in (None, expired, stranger, pair):  # the last is for servers only
            assert refused(server, trusting(ca, client))
        with connect(server, trusting(ca, bad)) as old:
            request = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
            old.sendall(request)
            assert old.recv(1000).startswith(b"HTTP/1.1 200")
            put(authorities, ca.pem + ca.revoked(bad))
            server.reload()
            # A connection that was made before ends too.
            assert old.recv(1000) == b""
        assert works(server, trusting(ca, good)) and refused(server, trusting(ca, bad))
        put(authorities, Authority(tmp_path, "other").pem)
        server.reload()
        assert refused(server, trusting(ca, good))


def test_a_connection_in_use_ends_with_its_answer(pair, ca, tmp_path):
    client, authorities = ca.client("busy"), tmp_path / "clients.pem"
    authorities.write_bytes(ca.pem)
    with serve(pair, client_ca=authorities) as server, connect(server, trusting(ca, client)) as s:
        text = json.dumps(body(X)).encode()
        request = b"POST /v2/models/toy/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(text) + text
        s.sendall(request[:-5])
        time.sleep(0.1)
        server.reload()
        s.sendall(request[-5:])
        assert b"Connection: close" in read_all(s)


# ---- rotation


def test_rotation_by_file_change_and_by_hand(ca, tmp_path, capfd):
    first, second = ca.server("first"), ca.server("second")
    cert, key = tmp_path / "now.pem", tmp_path / "now.key"
    put(cert, first.pem)
    put(key, first.key_pem)
    context = trusting(ca)
    with Server(toy(), name="toy", port=0, tls_cert=cert, tls_key=key, header_timeout=0.2) as server:
        assert serial(server, context) == first.serial
        with connect(server, context) as s:
            put(cert, second.pem)
            wait_for(lambda: "stays as it was: TLS: the key is not that of the certificate" in capfd.readouterr().err)
            assert serial(server, context) == first.serial  # half of a change changes nothing
            put(key, second.key_pem)
            wait_for(lambda: serial(server, context) == second.serial)
            s.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert s.recv(1000).startswith(b"HTTP/1.1 200")  # who is connected stays
        put(cert, b"rubbish")
        with pytest.raises(ValueError, match="must hold PEM certificates"):
            server.reload()
        assert serial(server, context) == second.serial
        put(cert, first.pem + first.key_pem)
        put(key, first.key_pem)
        server.reload()
        assert serial(server, context) == first.serial


def test_files_that_were_read_late_do_not_come_back(ca, tmp_path):
    """What the server read by itself must not replace what a later reload read, however long the files took."""
    first, second = ca.server("first"), ca.server("second")
    cert, key = tmp_path / "now.pem", tmp_path / "now.key"
    put(cert, first.pem)
    put(key, first.key_pem)
    with Server(toy(), name="toy", port=0, tls_cert=cert, tls_key=key, header_timeout=0.2) as server:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe, 0o600)
        os.replace(pipe, key)
        with open(key, "wb", buffering=0) as late:  # waits until the server reads it
            put(cert, second.pem)
            put(key, second.key_pem)
            reload = threading.Thread(target=server.reload)
            reload.start()
            reload.join(0.5)
            late.write(first.key_pem)
        reload.join(10)
        assert not reload.is_alive()
        wait_for(lambda: serial(server, trusting(ca)) == second.serial)
        time.sleep(0.3)
        assert serial(server, trusting(ca)) == second.serial


def test_a_key_that_others_may_read_is_warned_of(ca, capfd):
    pair = ca.server("open")
    serve(pair)
    assert "warning" not in capfd.readouterr().err
    pair.key_path.chmod(0o640)
    serve(pair)
    assert re.search(
        r"warning: others may read the TLS key \(mode 0640\); chmod 600 '.*open\.key'", capfd.readouterr().err
    )
    expired = ca.server("expired", days=-1)
    serve(expired)
    assert "warning: TLS: the certificate has expired" in capfd.readouterr().err


def test_files_that_are_not_what_they_should_be(ca, pair, tmp_path):
    from cryptography.hazmat.primitives import serialization

    locked = tmp_path / "locked.key"
    encryption = serialization.BestAvailableEncryption(b"secret")
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    put(locked, pair.key.private_bytes(*form, encryption))
    nothing = tmp_path / "nothing"
    nothing.write_bytes(b"")
    cert, key = pair.cert_path, pair.key_path
    both = tmp_path / "both.pem"
    put(both, pair.pem + pair.key_pem)
    for files, error, text in (
        ({"tls_cert": tmp_path / "none", "tls_key": key}, RuntimeError, "the certificate cannot be read"),
        ({"tls_cert": cert, "tls_key": nothing}, RuntimeError, "the key cannot be read"),
        ({"tls_cert": tmp_path, "tls_key": key}, RuntimeError, "the certificate cannot be read"),
        ({"tls_cert": key, "tls_key": key}, ValueError, "must hold PEM certificates"),
        ({"tls_cert": cert}, ValueError, "must hold a PEM private key"),
        ({"tls_cert": cert, "tls_key": locked}, ValueError, "without a password"),
        ({"tls_cert": cert, "tls_key": ca.server("x").key_path}, ValueError, "not that of the certificate"),
        ({"tls_cert": cert, "tls_key": key, "client_ca": key}, ValueError, "authorities must hold PEM certificates"),
        ({"tls_key": key}, ValueError, "need a certificate"),
        ({"client_ca": ca.path}, ValueError, "need a certificate"),
    ):
        with pytest.raises(error, match=text):
            Server(toy(), name="toy", port=0, **files)
    with Server(toy(), name="toy", port=0, tls_cert=both) as server:
        assert works(server, trusting(ca))


# ---- gRPC, clients, the command


def channel(server, ca, client=None):
    import grpc

    mine = (client.key_pem, client.pem) if client else (None, None)
    credentials = grpc.ssl_channel_credentials(ca.pem, *mine)
    # Without this, channels share one connection.
    return grpc.secure_channel(f"localhost:{server.grpc_port}", credentials, [("grpc.use_local_subchannel_pool", 1)])


def alive(channel):
    import grpc

    try:
        return channel.unary_unary("/inference.GRPCInferenceService/ServerLive")(b"", timeout=10) == b"\x08\x01"
    except grpc.RpcError as error:
        return error.code().name


def test_grpc_has_the_same_certificates(ca, tmp_path):
    first, second, good, bad = ca.server("g1"), ca.server("g2"), ca.client("g-good"), ca.client("g-bad")
    cert, key, clients = tmp_path / "now.pem", tmp_path / "now.key", tmp_path / "clients.pem"
    put(cert, first.pem)
    put(key, first.key_pem)
    clients.write_bytes(ca.pem)
    stranger = Authority(tmp_path, "stranger").client()

    def shown(server):
        plain = socket.create_connection(("127.0.0.1", server.grpc_port), timeout=10)
        context = trusting(ca, good)
        context.set_alpn_protocols(["h2"])
        with context.wrap_socket(plain, server_hostname="localhost") as s:
            from cryptography import x509

            return x509.load_der_x509_certificate(s.getpeercert(binary_form=True)).serial_number

    with (
        Server(toy(), name="toy", port=0, grpc_port=0, tls_cert=cert, tls_key=key, client_ca=clients) as server,
        channel(server, ca, good) as c,
        channel(server, ca, bad) as b,
    ):
        assert alive(c) is True and alive(b) is True and shown(server) == first.serial
        for client in (None, stranger):
            with channel(server, ca, client) as other:
                assert alive(other) == "UNAVAILABLE"
        put(cert, second.pem)
        put(key, second.key_pem)
        put(clients, ca.pem + ca.revoked(bad))
        server.reload()
        # Over the connections of before, and over new ones.
        assert alive(c) is True and alive(b) == "UNAUTHENTICATED" and shown(server) == second.serial
        with channel(server, ca, bad) as again, channel(server, ca, good) as fine:
            assert alive(again) == "UNAUTHENTICATED" and alive(fine) is True


def test_tritonclient(server, ca):
    import tritonclient.http as triton

    client = triton.InferenceServerClient(
        f"localhost:{server.port}", ssl=True, ssl_options={"ca_certs": str(ca.path)}, ssl_context_factory=None
    )
    given = triton.InferInput("x", [2, 16], "FP32")
    given.set_data_from_numpy(X)
    assert np.array_equal(client.infer("toy", [given]).as_numpy("y"), affine(X))
    client.close()


def test_the_command_reads_certificates_again(ca, tmp_path):
    first, second = ca.server("c1"), ca.server("c2")
    both = tmp_path / "both.pem"
    put(both, first.pem + first.key_pem)
    model = maas.Sequential([maas.Input((3,)), maas.layers.Dense(2)])
    model.save(tmp_path / "m.keras")
    command = [sys.executable, "-m", "maas.cli", "serve", str(tmp_path / "m.keras"), "--port", "0"]
    command += ["--management-port", "none"]
    process = subprocess.Popen([*command, "--tls-cert", str(both)], stdout=subprocess.PIPE, text=True)
    try:
        port = int(re.search(r"https://127\.0\.0\.1:(\d+)", process.stdout.readline())[1])

        class Where:
            pass

        where = Where()
        where.port = port
        assert serial(where, trusting(ca)) == first.serial
        put(both, second.pem + second.key_pem)
        process.send_signal(signal.SIGHUP)
        assert process.stdout.readline().startswith("maas: read keys and certificates again")
        assert serial(where, trusting(ca)) == second.serial
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        process.stdout.close()


def test_a_build_without_openssl_says_so(pair, tmp_path):
    copy = tmp_path / "maas"
    shutil.copytree(os.path.dirname(maas.__file__), copy, ignore=shutil.ignore_patterns("__pycache__", "libmaas*"))
    binaries = os.path.dirname(_core.__file__)
    for name in os.listdir(binaries):
        if name.startswith(("_core", "libmaas.so")):
            shutil.copy(os.path.join(binaries, name), copy)
    program = (
        "import sys; sys.meta_path[:] = [f for f in sys.meta_path if 'Scikit' not in type(f).__name__]\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "import maas; assert maas.__file__.startswith(sys.path[0])\n"
        "from maas.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "serve", "m.keras", "--tls-cert", str(pair.cert_path)]
    model = maas.Sequential([maas.Input((3,)), maas.layers.Dense(2)])
    model.save(tmp_path / "m.keras")
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert result.returncode != 0 and "TLS is not built in: install OpenSSL's headers" in result.stderr, result.stderr
