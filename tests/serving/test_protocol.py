"""Open Inference Protocol v2 over HTTP, asked by real clients."""

import http.client
import json

import numpy as np
import pytest
import tritonclient.http as triton
from prometheus_client.parser import text_string_to_metric_families

from maas.serving import PythonModel, Server

from .conftest import affine, body, call, echo, infer, metric, rows_of, toy

X = np.random.default_rng(1).standard_normal((5, 16)).astype(np.float32)


@pytest.fixture
def client(server):
    c = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    yield c
    c.close()


def triton_input(x, binary, name="x"):
    datatype = {"float32": "FP32", "int64": "INT64", "bool": "BOOL", "float16": "FP16"}[str(x.dtype)]
    i = triton.InferInput(name, list(x.shape), datatype)
    i.set_data_from_numpy(x, binary_data=binary)
    return i


def test_triton_client_reads_health_and_metadata(client):
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("toy")
    assert client.is_model_ready("toy", "1") and not client.is_model_ready("toy", "2")
    assert client.get_server_metadata()["name"] == "maas"
    assert client.get_model_metadata("toy") == {
        "name": "toy",
        "versions": ["1"],
        "platform": "maas_python",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 16]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}],
    }


@pytest.mark.parametrize("binary_in", [False, True])
@pytest.mark.parametrize("binary_out", [False, True, None])
def test_triton_client_infers_bit_for_bit(client, binary_in, binary_out):
    outputs = None if binary_out is None else [triton.InferRequestedOutput("y", binary_data=binary_out)]
    r = client.infer("toy", [triton_input(X, binary_in)], outputs=outputs, request_id="a-1", model_version="1")
    assert r.as_numpy("y").tobytes() == affine(X).tobytes()
    assert r.get_response()["id"] == "a-1"
    assert r.get_response()["model_version"] == "1"


def test_triton_client_sees_the_error_text(client):
    with pytest.raises(triton.InferenceServerException, match="shape must be .-1,16., received .5,7."):
        client.infer("toy", [triton_input(X[:, :7].copy(), False)])
    with pytest.raises(triton.InferenceServerException, match="unknown model: 'nope' is not found"):
        client.infer("nope", [triton_input(X, False)])


def test_bodies_of_the_small_routes(server):
    for path, want in {
        "/": {"status": "alive"},
        "/v2/health/live": {"live": True},
        "/v2/health/ready": {"ready": True, "live": True},
        "/v2/models": {"models": ["toy"]},
        "/v2/models/toy/ready": {"name": "toy", "ready": True},
        "/v2/models/%74oy/versions/1/ready?x=1": {"name": "toy", "ready": True},
    }.items():
        status, headers, text = call(server.url, path)
        assert (status, json.loads(text)) == (200, want)
        assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "path",
    [
        "/v3",
        "/v2//models",
        "/v2/models/",
        "/v2/./models",
        "/V2",
        "/v2/models/toy/infer/",
        "/%76%32",
        "/v2/models/a%2fb",
    ],
)
def test_unknown_routes_are_404(server, path):
    status, headers, text = call(server.url, path)
    assert status == 404 and set(json.loads(text)) == {"error"}
    assert headers["Content-Type"] == "application/json"


def test_unknown_model_has_the_agreed_text(server):
    status, _, text = call(server.url, "/v2/models/nope")
    assert (status, json.loads(text)) == (404, {"error": "Request for unknown model: 'nope' is not found"})
    assert call(server.url, "/v2/models/toy/versions/7")[0] == 404


@pytest.mark.parametrize("name", ["..", "%2e%2e", "%252e", "a;b", "-%00", "%ff", "a%20b", "x" * 129, "%zz", "%2"])
def test_names_that_are_not_names_are_404(server, name):
    assert call(server.url, f"/v2/models/{name}")[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"])
def test_wrong_method_is_405_with_allow(server, method):
    status, headers, text = call(server.url, "/v2/models/toy", b"", method)
    assert status == 405 and headers["Allow"] == "GET, HEAD" and "error" in json.loads(text)
    if method != "POST":
        status, headers, _ = call(server.url, "/v2/models/toy/infer", b"{}", method)
        assert status == 405 and headers["Allow"] == "POST"


def test_head_has_the_length_and_no_body(server):
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    for _ in range(3):  # on one connection: a body would be read as the next answer
        c.request("HEAD", "/v2/health/live")
        r = c.getresponse()
        assert (r.status, r.getheader("Content-Length"), r.read()) == (200, "13", b"")
    c.close()


def test_nested_flat_and_late_data_are_the_same(server):
    want = affine(X)
    nested = body(X)
    nested["inputs"][0]["data"] = X.tolist()
    t = body(X)["inputs"][0]
    late = {"inputs": [{"data": t["data"], "name": "x", "datatype": "FP32", "shape": t["shape"]}]}
    for data in (body(X), nested, late, body(X, model_name="toy", parameters={"anything": {"deep": [1, None]}})):
        status, answer = infer(server.url, data)
        assert status == 200 and rows_of(answer).tobytes() == want.tobytes()


def test_output_selection(server):
    status, answer = infer(server.url, body(X, outputs=[{"name": "y"}]))
    assert status == 200 and [o["name"] for o in answer["outputs"]] == ["y"]
    assert infer(server.url, body(X, outputs=[{"name": "z"}]))[0] == 400
    assert infer(server.url, body(X, outputs=[{"name": "y"}, {"name": "y"}]))[0] == 400


EXTREMES = {
    "float32": [0.0, -0.0, 1e-45, 3.4028234e38, -1.1754944e-38, 0.1, 16777216.0, np.nan, np.inf, -np.inf, 1 / 3],
    "float64": [0.0, -0.0, 5e-324, 1.7976931348623157e308, 0.1, 2.0**53, np.nan, np.inf, -np.inf, 1 / 3],
    "int8": [-128, 127, 0],
    "int64": [-(2**63), 2**63 - 1, 0],
    "uint64": [0, 2**64 - 1],
    "uint8": [0, 255],
    "bool": [True, False],
}


@pytest.mark.parametrize("dtype", EXTREMES)
@pytest.mark.parametrize("binary", [False, True])
def test_every_value_comes_back_bit_for_bit(dtype, binary):
    x = np.array([EXTREMES[dtype]], dtype)
    with Server(echo(dtype, (None, None)), name="echo", port=0) as s:
        c = triton.InferenceServerClient(f"127.0.0.1:{s.port}")
        i = triton.InferInput("x", list(x.shape), {"float32": "FP32", "float64": "FP64"}.get(dtype, dtype.upper()))
        i.set_data_from_numpy(x, binary_data=binary)
        out = [triton.InferRequestedOutput("y", binary_data=binary)]
        assert c.infer("echo", [i], outputs=out).as_numpy("y").tobytes() == x.tobytes()
        c.close()


def test_random_float32_bits_survive_json():
    bits = np.random.default_rng(5).integers(0, 2**32, 4096, dtype=np.uint64).astype(np.uint32)
    x = bits.view(np.float32)[None]
    x = np.where(np.isnan(x), np.float32(0), x)
    with Server(echo("float32", (None, None)), name="echo", port=0) as s:
        text = json.dumps({"inputs": [{"name": "x", "shape": [1, 4096], "datatype": "FP32", "data": x[0].tolist()}]})
        status, answer = infer(s.url, text, "echo")
        assert status == 200 and rows_of(answer).tobytes() == x.tobytes()


def test_float16_is_binary_only():
    x = np.arange(6, dtype=np.float16).reshape(2, 3)
    with Server(echo("float16", (None, 3)), name="echo", port=0) as s:
        c = triton.InferenceServerClient(f"127.0.0.1:{s.port}")
        assert c.infer("echo", [triton_input(x, True)]).as_numpy("y").tobytes() == x.tobytes()
        data = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP16", "data": [1, 2, 3]}]}
        assert infer(s.url, data, "echo")[0] == 400
        c.close()


def test_several_models_inputs_and_outputs():
    two = PythonModel(
        lambda a: [a[0] + a[1], a[0] * a[1]],
        [("a", (None, None), "float32"), ("b", (None, None), "float32")],
        [("sum", (None, None), "float32"), ("product", (None, None), "float32")],
    )
    fixed = PythonModel(lambda a: a[0] * 2, [("x", (2, 2), "int32")], [("y", (2, 2), "int32")])
    with Server({"two": two, "fixed": fixed, "toy": toy()}, port=0) as s:
        assert json.loads(call(s.url, "/v2/models")[2]) == {"models": ["fixed", "toy", "two"]}
        a, b = np.float32([[1, 2, 3]]), np.float32([[4, 5, 6]])
        c = triton.InferenceServerClient(f"127.0.0.1:{s.port}")
        r = c.infer("two", [triton_input(b, False, "b"), triton_input(a, True, "a")])
        assert r.as_numpy("sum").tolist() == [[5, 7, 9]] and r.as_numpy("product").tolist() == [[4, 10, 18]]
        c.close()
        data = {"inputs": [{"name": "x", "shape": [2, 2], "datatype": "INT32", "data": [[1, 2], [3, 4]]}]}
        assert infer(s.url, data, "fixed")[1]["outputs"][0]["data"] == [2, 4, 6, 8]
        assert infer(s.url, body(X), "toy")[0] == 200
        data = {"inputs": [{"name": "a", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}
        assert "'b' of model 'two' is missing" in infer(s.url, data, "two")[1]["error"]


def test_metrics_parse_and_count(server):
    before = metric(server.url, "maas_inference_requests_total", outcome="success")
    bad = metric(server.url, "maas_inference_requests_total", outcome="invalid")
    for _ in range(3):
        assert infer(server.url, body(X))[0] == 200
    assert infer(server.url, "{")[0] == 400
    status, headers, text = call(server.url, "/metrics")
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = {f.name: f for f in text_string_to_metric_families(text.decode())}
    assert all(f.documentation and f.type != "unknown" for f in families.values())
    assert metric(server.url, "maas_inference_requests_total", outcome="success", model="toy") == before + 3
    assert metric(server.url, "maas_inference_requests_total", outcome="invalid") == bad + 1
    for name in ("queue_seconds", "compute_seconds", "latency_seconds"):
        family = families[f"maas_inference_{name}"]
        buckets = [s.value for s in family.samples if s.name.endswith("_bucket")]
        count = next(s.value for s in family.samples if s.name.endswith("_count"))
        assert family.type == "histogram" and buckets == sorted(buckets) and buckets[-1] == count > 0
    assert metric(server.url, "maas_inference_in_flight") == 0


def test_thousand_requests_on_one_connection_keep_memory_flat(server):
    def resident():
        with open("/proc/self/statm") as f:
            return int(f.read().split()[1]) * 4096

    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    data = json.dumps(body(X))
    want = affine(X).tobytes()

    def ask():
        c.request("POST", "/v2/models/toy/infer", data)
        assert rows_of(json.loads(c.getresponse().read())).tobytes() == want

    for _ in range(200):
        ask()
    before = resident()
    for _ in range(1000):
        ask()
    assert resident() - before < 5 << 20
    c.close()
