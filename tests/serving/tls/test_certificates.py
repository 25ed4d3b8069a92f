"""Certificates: of clients, rotated, and files that are not what they should be."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import types

import pytest

import maas
from maas.serving import Server

from ..conftest import body, read_all, toy, wait_for
from .certificates import Authority, put
from .clients import X, connect, refused, serial, serve, trusting, works

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


# ---- gRPC, the command


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

        where = types.SimpleNamespace(port=port)
        assert serial(where, trusting(ca)) == first.serial
        put(both, second.pem + second.key_pem)
        process.send_signal(signal.SIGHUP)
        assert process.stdout.readline().startswith("maas: read keys and certificates again")
        assert serial(where, trusting(ca)) == second.serial
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        process.stdout.close()
