"""What /metrics tells, read by Prometheus's own tools."""

import subprocess

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

import maas
from maas.serving import Server
from maas.serving import keys as api_keys

from .conftest import body, call, infer, metric, tool, toy, wait_for

X = np.ones((2, 16), np.float32)
# Name -> type and labels, of everything that dashboards may count on.
FAMILIES = {
    "maas_build_info": ("gauge", {"version"}),
    "maas_http_connections": ("gauge", set()),
    "maas_http_responses": ("counter", {"code"}),
    "maas_tls_handshakes": ("counter", {"outcome"}),
    "maas_access_log_lines": ("counter", {"outcome"}),
    "maas_auth_failures": ("counter", {"code"}),
    "maas_inference_requests": ("counter", {"model", "version", "protocol", "outcome"}),
    "maas_inference_queue_seconds": ("histogram", {"model", "version", "le"}),
    "maas_inference_compute_seconds": ("histogram", {"model", "version", "le"}),
    "maas_inference_latency_seconds": ("histogram", {"model", "version", "le"}),
    "maas_batch_size": ("histogram", {"model", "version", "le"}),
    "maas_batch_close": ("counter", {"model", "version", "reason"}),
    "maas_queue_depth": ("gauge", {"model", "version"}),
    "maas_model_load_seconds": ("gauge", {"model", "version"}),
    "maas_model_memory_bytes": ("gauge", {"model", "version"}),
}


@pytest.fixture
def busy(tmp_path):
    """A server that has seen all sorts of requests; its address and a key for its metrics."""
    text, row = api_keys.make("ops", ["infer", "read"])
    api_keys.add(tmp_path / "keys.json", row)
    key = {"Authorization": f"Bearer {text}"}
    models = {"toy": toy(), "A-b.c_9": toy()}
    with Server(models, port=0, keys=tmp_path / "keys.json", access_log=tmp_path / "log") as server:
        assert infer(server.url, body(X), headers=key)[0] == 200
        assert infer(server.url, "{", headers=key)[0] == 400
        assert infer(server.url, body(X))[0] == 401
        assert call(server.url, "/%22%0a%5c", headers=key)[0] == 404
        server.load(toy(), "more", version="2.x")
        yield server, key


def test_the_families(busy):
    server, key = busy
    families = {
        f.name: f for f in text_string_to_metric_families(call(server.url, "/metrics", headers=key)[2].decode())
    }
    for name, (kind, labels) in FAMILIES.items():
        family = families[name]
        assert family.type == kind and family.documentation
        assert set().union(*(s.labels for s in family.samples)) == labels, name
    assert {s.labels["version"] for s in families["maas_queue_depth"].samples} == {"1", "2.x"}


def test_promtool_finds_no_fault(busy):
    server, key = busy
    text = call(server.url, "/metrics", headers=key)[2]
    check = subprocess.run([tool("promtool"), "check", "metrics"], input=text, capture_output=True, timeout=60)
    assert check.returncode == 0 and check.stdout + check.stderr == b"", check


def test_memory_of_a_model():
    def model(units):
        return maas.Sequential([maas.Input((16,)), maas.layers.Dense(units), maas.layers.Dense(4)])

    with Server(model(10), name="small", port=0) as server:
        server.load(model(20000), "large")
        small, large = (metric(server.url, "maas_model_memory_bytes", model=name) for name in ("small", "large"))
        weights = 4 * (16 * 10 + 10 + 10 * 4 + 4)
        assert weights <= small < 300_000
        # The packed form of weights is kept beside them; inputs of batches and memory of runs come on top.
        weights = 4 * (16 * 20000 + 20000 + 20000 * 4 + 4)
        assert weights <= large < 6 * weights
        server.unload("large")
        wait_for(lambda: metric(server.url, "maas_model_memory_bytes", model="large") == 0)


def test_batches_of_a_python_model_count():
    with Server(toy(), name="toy", port=0, max_batch_size=8) as server:
        assert metric(server.url, "maas_model_memory_bytes") == 0
        assert infer(server.url, body(X))[0] == 200
        assert metric(server.url, "maas_model_memory_bytes") == 8 * 16 * 4
