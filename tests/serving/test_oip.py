"""Open Inference Protocol over REST: what is beyond plain JSON inference, against tritonclient and by hand."""

import json
import struct

import numpy as np
import pytest
import tritonclient.http as triton

from maas.serving import PythonModel, Server

from .conftest import affine, body, call, echo, infer, toy

X = np.random.default_rng(2).standard_normal((3, 16)).astype(np.float32)
WORDS = np.array([[b"", b"a,b"], ['é"\\\n'.encode(), b"x" * 70000], [b"null", b"1"]], object)


def upper():
    return PythonModel(
        lambda a: np.frompyfunc(bytes.upper, 1, 1)(a[0]),
        [("x", (None, None), "bytes")],
        [("y", (None, None), "bytes")],
    )


@pytest.fixture(scope="module")
def words():
    with Server({"upper": upper(), "raw": echo("bytes", (None, 1))}, port=0) as s:
        yield s
        assert call(s.url, "/v2/health/live")[0] == 200


def frame(head, *tensors):
    text = json.dumps(head).encode()
    return text + b"".join(tensors), {"Inference-Header-Content-Length": str(len(text))}


def test_routes_of_one_model(server):
    for prefix in ("/v2/models/toy", "/v2/models/toy/versions/1"):
        config = json.loads(call(server.url, prefix + "/config")[2])
        assert config["name"] == "toy" and config["max_batch_size"] == 32 and config["backend"] == "maas"
        assert config["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": [16]}]
        assert config["output"] == [{"name": "y", "data_type": "TYPE_FP32", "dims": [4]}]
        assert call(server.url, prefix + "/stats")[0] == 200
        assert call(server.url, prefix + "/infer", body(X))[0] == 200
    for path in ("/v2/models/toy/versions/2/config", "/v2/models/no/stats", "/v2/models/no/config"):
        assert call(server.url, path)[0] == 404


def test_statistics_count_requests_batches_and_rows():
    with Server({"toy": toy(), "other": toy()}, port=0) as s:
        client = triton.InferenceServerClient(f"127.0.0.1:{s.port}")
        for n in (1, 3, 3):
            assert infer(s.url, body(X[:n]))[0] == 200
        assert infer(s.url, "{")[0] == 400
        stats = client.get_inference_statistics("toy")["model_stats"][0]
        assert (stats["name"], stats["version"]) == ("toy", "1")
        assert (stats["inference_count"], stats["execution_count"]) == (7, 3)
        inner = stats["inference_stats"]
        assert inner["success"]["count"] == 3 and inner["fail"]["count"] == 1
        assert inner["success"]["ns"] >= inner["compute_infer"]["ns"] > 0
        assert {b["batch_size"]: b["compute_infer"]["count"] for b in stats["batch_stats"]} == {1: 1, 3: 2}
        assert stats["last_inference"] > 1_600_000_000_000
        every = client.get_inference_statistics()["model_stats"]
        assert {m["name"]: m["inference_count"] for m in every} == {"toy": 7, "other": 0}
        client.close()


def test_strings_in_every_form(words):
    client = triton.InferenceServerClient(f"127.0.0.1:{words.port}")
    want = [[w.upper() for w in row] for row in WORDS.tolist()]
    for binary_in in (False, True):
        for binary_out in (False, True):
            i = triton.InferInput("x", list(WORDS.shape), "BYTES")
            i.set_data_from_numpy(WORDS, binary_data=binary_in)
            o = triton.InferRequestedOutput("y", binary_data=binary_out)
            got = client.infer("upper", [i], outputs=[o]).as_numpy("y")
            got = [[w if isinstance(w, bytes) else w.encode() for w in row] for row in got.tolist()]
            assert got == want
    client.close()
    data = [w.decode() for w in WORDS.ravel()]
    for order in (["name", "shape", "datatype", "data"], ["data", "datatype", "shape", "name"]):
        tensor = {"name": "x", "shape": [3, 2], "datatype": "BYTES", "data": data}
        status, answer = infer(words.url, {"inputs": [{k: tensor[k] for k in order}]}, "upper")
        assert status == 200 and answer["outputs"][0]["data"] == [w.decode() for row in want for w in row]


def test_strings_that_are_not_text_are_binary_only(words):
    head = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "BYTES", "parameters": {"binary_data_size": 5}}]}
    data, headers = frame(head, struct.pack("<I", 1) + b"\xff")
    status, answer = infer(words.url, data, "upper", headers)
    assert status == 400 and "UTF-8" in answer["error"]
    head["parameters"] = {"binary_data_output": True}
    data, headers = frame(head, struct.pack("<I", 1) + b"\xff")
    status, _, text = call(words.url, "/v2/models/upper/infer", data, headers=headers)
    assert status == 200 and text.endswith(struct.pack("<I", 1) + b"\xff")


def strings(*parts, shape=(1, 1), size=None):
    tensor = b"".join(parts)
    head = {"name": "x", "shape": list(shape), "datatype": "BYTES"}
    head["parameters"] = {"binary_data_size": len(tensor) if size is None else size}
    return frame({"inputs": [head]}, tensor)


N = struct.Struct("<I").pack


@pytest.mark.parametrize(
    "data",
    [
        strings(N(2) + b"a"),
        strings(N(2**32 - 1) + b"a"),
        strings(b"\1\0\0"),
        strings(N(1) + b"ab"),
        strings(N(1) + b"a", N(1) + b"b"),
        strings(N(1) + b"a", shape=(1, 2)),
        strings(N(1) + b"a", shape=(2**31, 2**16)),
        strings(N(1) + b"a", size=4),
        strings(N(1) + b"a", size=6),
        strings(N(1) + b"a", size=2**62),
        strings(b"", shape=(1, 1)),
    ],
)
def test_s15_strings_that_lie(words, data):
    status, answer = infer(words.url, data[0], "upper", data[1])
    assert status == 400 and set(answer) == {"error"}


@pytest.mark.parametrize("data", [[1], [None], [True], [["a"], "b"], ["a", "b"], []])
def test_s15_json_that_holds_no_strings(words, data):
    tensor = {"name": "x", "shape": [1, 1], "datatype": "BYTES", "data": data}
    assert infer(words.url, {"inputs": [tensor]}, "upper")[0] == 400


def test_raw_requests(server, words):
    headers = {"Inference-Header-Content-Length": "0"}
    status, h, text = call(server.url, "/v2/models/toy/infer", X.tobytes(), headers=headers)
    n = int(h["Inference-Header-Content-Length"])
    assert status == 200 and text[n:] == affine(X).tobytes()
    assert json.loads(text[:n])["outputs"][0]["shape"] == [3, 4]
    for bad in (b"", X.tobytes()[:-1], X.tobytes()[:60]):
        assert infer(server.url, bad, headers=headers)[0] == 400
    status, h, text = call(words.url, "/v2/models/raw/infer", b"hello", headers=headers)
    assert status == 200 and text.endswith(N(5) + b"hello")
    two = PythonModel(
        lambda a: a[0] + a[1],
        [("a", (None, 2), "float32"), ("b", (None, 2), "float32")],
        [("c", (None, 2), "float32")],
    )
    with Server(two, name="two", port=0) as s:
        status, answer = infer(s.url, b"\0" * 8, "two", headers)
        assert status == 400 and "one input" in answer["error"]


DATATYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
}


def test_every_datatype_mixed_binary_and_json():
    x = {d: np.arange(6).reshape(2, 3).astype(d) for d in DATATYPES}
    model = PythonModel(
        lambda a: a, [(d, (None, 3), d) for d in DATATYPES], [(d + "_out", (None, 3), d) for d in DATATYPES]
    )
    with Server(model, name="all", port=0) as s:
        client = triton.InferenceServerClient(f"127.0.0.1:{s.port}")
        for phase in (0, 1):
            inputs, outputs = [], []
            for k, d in enumerate(DATATYPES):
                binary = d == "float16" or k % 2 == phase
                inputs.append(triton.InferInput(d, [2, 3], DATATYPES[d]))
                inputs[-1].set_data_from_numpy(x[d], binary_data=binary)
                outputs.append(triton.InferRequestedOutput(d + "_out", binary_data=binary))
            r = client.infer("all", inputs, outputs=outputs)
            for d in DATATYPES:
                got = r.as_numpy(d + "_out")
                assert got.dtype == d and got.tobytes() == x[d].tobytes()
        client.close()


def test_classification():
    x = np.float32([[0.5, np.nan, 2, 2], [-1, -np.inf, 3, 0.25]])
    with Server({"echo": echo("float32", (None, 4)), "whole": echo("int32", (2, 2))}, port=0) as s:
        client = triton.InferenceServerClient(f"127.0.0.1:{s.port}")
        i = triton.InferInput("x", [2, 4], "FP32")
        i.set_data_from_numpy(x)
        want = [["2.000000:2", "2.000000:3", "0.500000:0"], ["3.000000:2", "0.250000:3", "-1.000000:0"]]
        for binary in (True, False):
            o = triton.InferRequestedOutput("y", binary_data=binary, class_count=3)
            got = client.infer("echo", [i], outputs=[o]).as_numpy("y")
            assert got.shape == (2, 3)
            assert [[v.decode() if isinstance(v, bytes) else v for v in row] for row in got.tolist()] == want
        o = triton.InferRequestedOutput("y", binary_data=False, class_count=100)
        assert client.infer("echo", [i], outputs=[o]).as_numpy("y").shape == (2, 4)
        client.close()
        tensor = {"name": "x", "shape": [2, 2], "datatype": "INT32", "data": [1, 7, 3, -4]}
        asked = {"inputs": [tensor], "outputs": [{"name": "y", "parameters": {"classification": 2}}]}
        answer = infer(s.url, asked, "whole")[1]["outputs"][0]
        assert (answer["shape"], answer["datatype"], answer["data"]) == ([2], "BYTES", ["7:1", "3:2"])


def test_more_rows_than_a_batch_are_answered_whole(server):
    status, answer = infer(server.url, body(np.zeros((33, 16), np.float32)))
    assert status == 200 and answer["outputs"][0]["shape"][0] == 33


# ---- the repository


class Store:
    def __init__(self):
        self.calls = []
        self.ready = {"a": True, "b": False}

    def index(self):
        return [(n, "1", "READY" if r else "UNAVAILABLE", "" if r else "unloaded") for n, r in self.ready.items()]

    def load(self, name, parameters):
        self.calls.append(("load", name, parameters))
        if name == "broken":
            raise RuntimeError("/secret/path 0xdeadbeef")
        if name not in self.ready:
            raise ValueError(f"there is no model '{name}' in the repository")
        self.ready[name] = True

    def unload(self, name, parameters):
        self.calls.append(("unload", name, parameters))
        self.ready[name] = False


def with_store(may_change):
    store, server = Store(), Server(toy(), name="toy", port=0, repository_api=True)
    server.set_model_store(store, may_change)
    return store, server


def test_repository_through_a_client():
    store, server = with_store(True)
    with server as s:
        client = triton.InferenceServerClient(f"127.0.0.1:{s.port}")
        key = {"Authorization": f"Bearer {s.management_key}"}
        assert [m["state"] for m in client.get_model_repository_index()] == ["READY", "UNAVAILABLE"]
        for own in ({}, {"Authorization": "Bearer maas_0_0"}):
            with pytest.raises(triton.InferenceServerException, match="API key"):
                client.load_model("b", headers=own)
        files = {"file:1/model.x": b"\0\1"}
        client.load_model("b", config='{"max_batch_size": 4}', files=files, headers=key)
        client.unload_model("a", headers=key)
        assert store.calls == [
            ("load", "b", {"config": '{"max_batch_size": 4}', "file:1/model.x": "AAE="}),
            ("unload", "a", {"unload_dependents": False}),
        ]
        assert {m["name"]: m["state"] for m in client.get_model_repository_index()} == {
            "a": "UNAVAILABLE",
            "b": "READY",
        }
        with pytest.raises(triton.InferenceServerException, match="there is no model 'c'"):
            client.load_model("c", headers=key)
        with pytest.raises(triton.InferenceServerException) as e:
            client.load_model("broken", headers=key)
        assert "secret" not in str(e.value) and "0x" not in str(e.value)
        client.close()
        status, _, text = call(s.url, "/v2/repository/index", {"ready": True})
        assert status == 200 and [m["name"] for m in json.loads(text)] == ["b"]
        for bad in ("[]", '{"ready": 1}', "{", '{"a":' * 50):
            assert call(s.url, "/v2/repository/index", bad)[0] == 400
        for bad in ("[]", '{"parameters": []}', '{"parameters": {"a": [1]}}', "{"):
            assert call(s.url, "/v2/repository/models/b/load", bad, headers=key)[0] == 400
        assert call(s.url, "/v2/repository/models/..%2f/load", "{}", headers=key)[0] == 404
        assert call(s.url, "/v2/repository/models/b/load", " " * (1 << 20) + "{}", headers=key)[0] == 413
        assert len(store.calls) == 4
        assert infer(s.url, body(X))[0] == 200


def test_repository_is_read_only_unless_allowed(server):
    assert json.loads(call(server.url, "/v2/repository/index", b"", "POST")[2]) == [
        {"name": "toy", "version": "1", "state": "READY", "reason": ""}
    ]
    store, closed = with_store(False)
    with closed as s:
        key = {"Authorization": f"Bearer {s.management_key}"}
        for act in ("load", "unload"):
            status, _, text = call(s.url, f"/v2/repository/models/toy/{act}", "{}", headers=key)
            assert status == 403 and "a model store that may change" in json.loads(text)["error"]
            # Without keys nobody may change anything, though whoever reaches the port may ask the model.
            assert call(s.url, f"/v2/repository/models/toy/{act}", "{}")[0] == 401
            assert call(server.url, f"/v2/repository/models/toy/{act}", "{}", headers=key)[0] == 401
        assert store.calls == []
