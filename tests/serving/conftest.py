"""A toy model whose answers show mixed up rows, and raw access to the socket."""

import json
import shutil
import socket
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from maas.serving import PythonModel, Server

WEIGHTS = np.random.default_rng(0).standard_normal((16, 4)).astype(np.float32)


def affine(x):
    # Row by row, so that an answer cannot depend on the batch it rode in.
    return np.stack([row @ WEIGHTS + 1 for row in np.asarray(x, np.float32)])


def toy(function=None):
    function = function or (lambda arrays: affine(arrays[0]))
    return PythonModel(function, [("x", (None, 16), "float32")], [("y", (None, 4), "float32")])


def echo(dtype, shape):
    return PythonModel(lambda arrays: arrays[0], [("x", shape, dtype)], [("y", shape, dtype)])


class Gate:
    """A model that waits until it is let through, and records the rows of each run."""

    def __init__(self):
        self.open = threading.Event()
        self.entered = threading.Semaphore(0)
        self.rows = []

    def __call__(self, arrays):
        self.rows.append(len(arrays[0]))
        self.entered.release()
        assert self.open.wait(20)
        return affine(arrays[0])


def body(x, **more):
    x = np.asarray(x, np.float32)
    return {"inputs": [{"name": "x", "shape": list(x.shape), "datatype": "FP32", "data": x.ravel().tolist()}], **more}


def call(url, path, data=None, method=None, headers=None):
    """Status, headers and body of one request; a dict is sent as JSON."""
    if isinstance(data, dict):
        data = json.dumps(data)
    if isinstance(data, str):
        data = data.encode()
    request = urllib.request.Request(url + path, data=data, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=20) as r:
            return r.status, r.headers, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.headers, e.read()


def infer(url, data, model="toy", headers=None):
    status, _, text = call(url, f"/v2/models/{model}/infer", data, headers=headers)
    return status, json.loads(text)


def rows_of(answer):
    out = answer["outputs"][0]
    return np.array(out["data"], np.float32).reshape(out["shape"])


def raw(server, data, timeout=5.0, half_close=False):
    """Everything the server sends for these bytes until it closes or falls silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as s:
        try:
            s.sendall(data)
            if half_close:
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return read_all(s)


def read_all(s):
    got = b""
    try:
        while chunk := s.recv(65536):
            got += chunk
    except (TimeoutError, ConnectionResetError):
        pass
    return got


def metric_text(text, start):
    """Sum of the samples of an exposition whose lines start so."""
    lines = [line for line in text.decode().splitlines() if line.startswith(start)]
    assert lines, f"no metric {start}"
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def tool(name):
    """Path of a program of .ci/packages."""
    path = shutil.which(name)
    assert path is not None, f"{name} is not installed (see .ci/packages)"
    return path


def metric(url, name, **labels):
    from prometheus_client.parser import text_string_to_metric_families

    text = call(url, "/metrics")[2].decode()
    total = 0.0
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                total += sample.value
    return total


def wait_for(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "condition did not become true in time"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def server():
    with Server(toy(), name="toy", port=0) as s:
        yield s
        assert call(s.url, "/v2/health/live")[0] == 200, "the server died during the tests"
