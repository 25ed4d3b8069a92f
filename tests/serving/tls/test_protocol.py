"""TLS itself: versions and ciphers (S-45), and that it ends as it should."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys

import numpy as np
import pytest

import maas
from maas import _core

from ..conftest import affine, body, metric_text, read_all, rows_of, tool
from .clients import X, ask, connect, trusting, works


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


def test_tritonclient(server, ca):
    import tritonclient.http as triton

    client = triton.InferenceServerClient(
        f"localhost:{server.port}", ssl=True, ssl_options={"ca_certs": str(ca.path)}, ssl_context_factory=None
    )
    given = triton.InferInput("x", [2, 16], "FP32")
    given.set_data_from_numpy(X)
    assert np.array_equal(client.infer("toy", [given]).as_numpy("y"), affine(X))
    client.close()


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
