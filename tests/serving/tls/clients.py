"""A toy server under TLS, and what its clients do."""

import json
import socket
import ssl
import urllib.request

import numpy as np

from maas.serving import Server

from ..conftest import affine, body, rows_of, toy

X = np.arange(32, dtype=np.float32).reshape(2, 16)


def serve(pair, **more):
    return Server(toy(), name="toy", port=0, tls_cert=pair.cert_path, tls_key=pair.key_path, **more)


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
