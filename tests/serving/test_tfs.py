"""TensorFlow Serving's REST protocol."""

import base64
import json
import re

import numpy as np
import pytest

from maas.serving import PythonModel, Server

from .conftest import affine, call, echo, toy

X = np.random.default_rng(4).standard_normal((3, 16)).astype(np.float32)


def two_model():
    return PythonModel(
        lambda a: [a[0] + a[1], a[0][:, 0] * 2],
        [("a", (None, 2), "float32"), ("b", (None, 2), "float32")],
        [("sum", (None, 2), "float32"), ("first", (None,), "float32")],
    )


def labelled():
    names = np.array([b"cat", b"dog"], object)
    return PythonModel(
        lambda a: [np.tile(names, (len(a[0]), 1)), a[0]],
        [("x", (None, 2), "float32")],
        [("classes", (None, 2), "bytes"), ("scores", (None, 2), "float32")],
    )


@pytest.fixture(scope="module")
def tfs():
    models = {
        "toy": toy(),
        "two": two_model(),
        "labelled": labelled(),
        "scalar": echo("float32", (None,)),
        "column": PythonModel(lambda a: a[0] * 2, [("x", (None, 1), "float32")], [("y", (None, 1), "float32")]),
        "cube": echo("int32", (None, 2, 3)),
        "words": PythonModel(
            lambda a: [a[0], a[0]],
            [("w", (None, None), "bytes")],
            [("text", (None, None), "bytes"), ("text_bytes", (None, None), "bytes")],
        ),
        "half": echo("float16", (None, 2)),
        "whole": echo("float64", (2, 2)),
        "truth": echo("bool", (None, 2)),
    }
    with Server(models, port=0) as s:
        yield s
        assert call(s.url, "/v2/health/live")[0] == 200


def short(values):
    """As the server writes them: the shortest text that reads back to the same float32."""
    return [[float(str(v)) for v in row] for row in values]


def ask(s, model, data, method="predict", where=""):
    status, headers, text = call(s.url, f"/v1/models/{model}{where}:{method}", data)
    assert headers["Content-Type"] == "application/json"
    return status, json.loads(text)


def test_rows_and_columns_are_bit_equal(tfs):
    want = short(affine(X))
    for where in ("", "/versions/1", "/versions/0"):
        assert ask(tfs, "toy", {"instances": X.tolist()}, where=where) == (200, {"predictions": want})
    assert ask(tfs, "toy", {"instances": [{"x": row} for row in X.tolist()]}) == (200, {"predictions": want})
    assert ask(tfs, "toy", {"inputs": X.tolist()}) == (200, {"outputs": want})
    assert ask(tfs, "toy", {"inputs": {"x": X.tolist(), "other": [1]}}) == (200, {"outputs": want})
    assert ask(tfs, "toy", {"signature_name": "serving_default", "more": [{}], "inputs": X.tolist()})[0] == 200
    assert ask(tfs, "toy", {"instances": X.tolist()}, method="PreDict")[0] == 200


def test_several_inputs_and_outputs(tfs):
    rows = {"instances": [{"a": [1, 2], "b": [3, 4]}, {"b": [0, 0], "a": [5, 6]}]}
    want = [{"sum": [4, 6], "first": 2}, {"sum": [5, 6], "first": 10}]
    assert ask(tfs, "two", rows) == (200, {"predictions": want})
    columns = {"inputs": {"a": [[1, 2], [5, 6]], "b": [[3, 4], [0, 0]]}}
    assert ask(tfs, "two", columns) == (200, {"outputs": {"sum": [[4, 6], [5, 6]], "first": [2, 10]}})


def test_shapes(tfs):
    assert ask(tfs, "scalar", {"instances": [1.5, -2]}) == (200, {"predictions": [1.5, -2]})
    assert ask(tfs, "scalar", {"inputs": [1.5, -2]}) == (200, {"outputs": [1.5, -2]})
    cube = np.arange(12).reshape(2, 2, 3).tolist()
    assert ask(tfs, "cube", {"instances": cube}) == (200, {"predictions": cube})
    assert ask(tfs, "cube", {"inputs": cube}) == (200, {"outputs": cube})
    assert ask(tfs, "whole", {"inputs": [[1, 2], [3, 4]]}) == (200, {"outputs": [[1, 2], [3, 4]]})
    assert ask(tfs, "truth", {"instances": [[True, False]]}) == (200, {"predictions": [[True, False]]})


def test_floats_keep_their_bits_and_their_kind(tfs):
    x = np.float32([1, -0.0, 1e-45, 3.4028234e38, 0.1, 16777216, 1e10, 12345678])
    _, _, text = call(tfs.url, "/v1/models/scalar:predict", json.dumps({"instances": x.tolist()}))
    got = json.loads(text)["predictions"]
    assert all(type(v) is float for v in got) and np.float32(got).tobytes() == x.tobytes()
    status, _, text = call(tfs.url, "/v1/models/scalar:predict", '{"instances": [NaN, Infinity, -Infinity]}')
    assert status == 200 and text == b'{"predictions":[NaN,Infinity,-Infinity]}'


def b64(data):
    return {"b64": base64.b64encode(data).decode()}


def test_strings(tfs):
    words = [b"a", b"\xff\0\1", "é".encode()]
    status, answer = ask(tfs, "words", {"instances": [[b64(w)] for w in words if w != words[1]]})
    want = [{"text": [w.decode()], "text_bytes": [b64(w)]} for w in (words[0], words[2])]
    assert (status, answer["predictions"]) == (200, want)
    assert ask(tfs, "words", {"instances": [["a", "b"]]})[1]["predictions"][0]["text"] == ["a", "b"]
    assert ask(tfs, "words", {"inputs": {"w": [["a"], [b64(b"b")]]}})[1]["outputs"]["text"] == [["a"], ["b"]]
    status, answer = ask(tfs, "words", {"instances": [[b64(words[1])]]})
    assert status == 400 and "UTF-8" in answer["error"]
    flat = PythonModel(lambda a: a[0], [("w", (None,), "bytes")], [("w_bytes", (None,), "bytes")])
    with Server(flat, name="flat", port=0) as s:
        for data in ({"instances": [b64(w) for w in words]}, {"instances": [{"w": b64(w)} for w in words]}):
            assert ask(s, "flat", data) == (200, {"predictions": [b64(w) for w in words]})
        assert ask(s, "flat", {"inputs": {"w": [b64(b"")]}}) == (200, {"outputs": [b64(b"")]})


@pytest.mark.parametrize("text", ["a", "ab=", "a===", "====", "YQ==YQ==", "Y Q=", "YQ=a", "YR==", "Y-Q_", "é"])
def test_base64_that_is_not(tfs, text):
    assert ask(tfs, "words", {"instances": [[{"b64": text}]]})[0] == 400


def test_base64_without_padding(tfs):
    for n in range(5):
        data = bytes(range(n))
        text = base64.b64encode(data).decode().rstrip("=")
        answer = ask(tfs, "words", {"instances": [[{"b64": text}]]})[1]["predictions"][0]
        assert answer["text_bytes"] == [b64(data)]


def test_classify(tfs):
    data = {"examples": [{"x": [0.25, 0.5]}, {"x": [1, 2]}]}
    want = [[["cat", 0.25], ["dog", 0.5]], [["cat", 1], ["dog", 2]]]
    assert ask(tfs, "labelled", data, "classify") == (200, {"results": want})
    status, answer = ask(tfs, "toy", {"examples": [{"x": row} for row in X.tolist()]}, "classify")
    assert status == 200 and answer["results"] == [[["", v] for v in row] for row in short(affine(X))]
    assert ask(tfs, "cube", {"examples": [{"x": list(range(6))}]}, "classify")[0] == 400


def test_regress(tfs):
    assert ask(tfs, "column", {"examples": [{"x": 3}, {"x": [4.5]}]}, "regress") == (200, {"results": [6, 9]})
    status, answer = ask(tfs, "toy", {"examples": [{"x": X[0].tolist()}]}, "regress")
    assert status == 400 and answer["error"].startswith("Expected output Tensor shape to be either [batch_size]")


def test_context_holds_for_every_example(tfs):
    data = {"context": {"b": [10, 20], "unknown": "a"}, "examples": [{"a": [1, 2]}, {"a": [3, 4], "other": [[1]]}]}
    for order in (data, dict(reversed(data.items()))):
        assert ask(tfs, "two", order, "regress") == (200, {"results": [2, 6]})
    assert ask(tfs, "two", {"examples": [{"a": [1, 2]}]}, "regress")[0] == 400
    mixed = {"examples": [{"a": [1, 2], "b": [1, 2]}, {"a": [1, 2]}]}
    assert ask(tfs, "two", mixed, "regress")[0] == 400


def peak():
    with open("/proc/self/status") as f:
        return int(next(line for line in f if line.startswith("VmHWM")).split()[1]) << 10


@pytest.mark.parametrize("free", [False, True])
def test_a_context_costs_no_memory_before_the_limits(free):
    """One row of context stands for every `{}` of the examples: 12 KB that ask for 4 GB."""
    size = None if free else 1024
    model = PythonModel(
        lambda a: a[0][:, :1] + a[1][:, :1],
        [("a", (None, size), "float64"), ("b", (None, size), "float64")],
        [("y", (None, 1), "float64")],
    )
    row, rows = [1] * 1024, 500_000
    text = json.dumps({"context": {"a": row, "b": row}})[:-1] + ', "examples": [' + "{}," * (rows - 1) + "{}]}"
    with Server(model, name="m", port=0) as s:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
        before = peak()
        status, answer = ask(s, "m", text, "regress")
        assert status in (400, 429) and set(answer) == {"error"}
        assert peak() - before < 700 << 20
        few = {"context": {"a": row, "b": row}, "examples": [{}] * 3}
        assert ask(s, "m", few, "regress") == (200, {"results": [2, 2, 2]})


def test_status_and_metadata(tfs):
    for where in ("", "/versions/1", "/versions/0"):
        status = json.loads(call(tfs.url, "/v1/models/toy" + where)[2])
        assert status["model_version_status"] == [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
        assert status["ready"] is True and status["id"] == status["name"] == "toy" and status["object"] == "model"
        meta = json.loads(call(tfs.url, "/v1/models/toy" + where + "/metadata")[2])
        assert meta["model_spec"] == {"name": "toy", "signature_name": "", "version": "1"}
        signature = meta["metadata"]["signature_def"]["signature_def"]["serving_default"]
        assert signature["method_name"] == "tensorflow/serving/predict"
        dims = [{"size": "-1", "name": ""}, {"size": "16", "name": ""}]
        assert signature["inputs"]["x"] == {
            "dtype": "DT_FLOAT",
            "tensor_shape": {"dim": dims, "unknown_rank": False},
            "name": "x:0",
        }
    models = json.loads(call(tfs.url, "/v1/models")[2])
    assert models["object"] == "list" and "toy" in models["models"] and models["data"][0]["object"] == "model"


def test_what_is_not_there(tfs):
    body = {"instances": [[0] * 16]}
    assert ask(tfs, "no", body) == (404, {"error": "Servable not found for request: Latest(no)"})
    want = (404, {"error": "Servable not found for request: Specific(toy, 7)"})
    assert ask(tfs, "toy", body, where="/versions/7") == want
    status, _, text = call(tfs.url, "/v1/models/no")
    assert (status, json.loads(text)) == (404, {"error": "Could not find any versions of model no"})
    want = (400, {"error": "Unrecognized servable version label: stable"})
    assert ask(tfs, "toy", body, where="/labels/stable") == want
    for path in ("/v1/models/toy:frobnicate", "/v1/models/:predict", "/v1/models/toy:predict:predict", "/v1/x"):
        assert call(tfs.url, path, "{}")[0] in (404, 405)
    assert call(tfs.url, "/v1/models/toy:predict")[0] == 405


BAD = {
    "": "JSON Parse error: The document is empty",
    "{": "JSON Parse error",
    "[]": "Is not object",
    "1": "Is not object",
    "{}": "Missing 'inputs' or 'instances' key",
    '{"instances": 1}': "'instances' value to be an list/array",
    '{"instances": {}}': "'instances' value to be an list/array",
    '{"instances": []}': "No values in 'instances' array",
    '{"instances": [[1]], "inputs": [[1]]}': "expecting only one of",
    '{"signature_name": 1, "instances": [[1]]}': "'signature_name' key must be a string value",
    '{"signature_name": "x", "instances": [[1]]}': 'Serving signature name: "x" not found in signature def',
    '{"instances": [[]]}': "input 'x': the tensor is empty",
    '{"instances": [[1,2],[3]]}': "Encountered list at unexpected size: 1 at level: 0 expected size: 2",
    '{"instances": [[1,[2]]]}': "input 'x': Encountered list at unexpected level",
    '{"instances": [[[2],1]]}': "input 'x': JSON Value found at incorrect level",
    '{"instances": [["a"]]}': "JSON Value of type String is not of expected type FP32",
    '{"instances": [[null]]}': "JSON Value of type Null is not of expected type FP32",
    '{"instances": [[1e39]]}': "out of the range of FP32",
    '{"instances": [[{"b64": "YQ=="}]]}': "JSON Value of type Object is not of expected type FP32",
    '{"instances": [[{"c": 1}]]}': "not formatted correctly for base64 data",
    '{"instances": [{"z": [1]}]}': "does not have named input: z",
    '{"instances": [{}]}': "JSON object misses the named input: x",
    '{"instances": [{"x": [1], "x": [1]}]}': "input 'x' is given twice",
    '{"instances": [{"x": [1]}, [1]]}': "Expecting object but got list at item 1 of input list",
    '{"instances": [[1], {"x": [1]}]}': "Expecting value/list but got object at item 1 of input list",
    '{"instances": [{"b64": "YQ==", "x": [1]}]}': "",
    '{"instances": [[1,2,3]]}': "input 'x': shape must be [-1,16], received [1,3]",
    '{"inputs": {}}': "Missing named input: x",
    '{"inputs": null}': "Null is not of expected type",
    '{"inputs": {"b64": 1}}': "not formatted correctly for base64 data",
    '{"instances": [[' + "1," * 15 + "1]]} x": "JSON Parse error",
}


@pytest.mark.parametrize("data", BAD)
def test_bad_bodies(tfs, data):
    status, answer = ask(tfs, "toy", data)
    assert status == 400 and set(answer) == {"error"} and BAD[data] in answer["error"], answer
    assert not re.search(r"0x[0-9a-f]{6}|/work|std::|boost", answer["error"])


@pytest.mark.parametrize(
    "data",
    [
        '{"examples": {}}',
        '{"examples": []}',
        '{"examples": [1]}',
        '{"examples": [[1]]}',
        "{}",
        '{"examples": [{"x": [[1]]}]}',
        '{"examples": [{"x": [1]}]}',
        '{"examples": [{"x": []}]}',
        '{"context": 1, "examples": [{"x": 1}]}',
        '{"context": [], "examples": [{"x": 1}]}',
    ],
)
@pytest.mark.parametrize("method", ["classify", "regress"])
def test_bad_examples(tfs, data, method):
    status, answer = ask(tfs, "toy", data, method)
    assert status == 400 and set(answer) == {"error"}


def test_plain_values_for_several_inputs(tfs):
    want = "as multiple input tensors required as per tensorinfo_map"
    for data in ({"instances": [[1, 2]]}, {"inputs": [[1, 2]]}, {"inputs": 1}):
        status, answer = ask(tfs, "two", data)
        assert status == 400 and want in answer["error"]
    assert ask(tfs, "two", {"inputs": {"a": [[1, 2]]}}) == (400, {"error": "Missing named input: b"})
    uneven = {"inputs": {"a": [[1, 2]], "b": [[1, 2], [3, 4]]}}
    assert ask(tfs, "two", uneven)[0] == 400


def test_half_precision_has_no_json_form(tfs):
    assert ask(tfs, "half", {"instances": [[1, 2]]})[0] == 501


@pytest.mark.parametrize("n", [63, 64, 65, 50_000, 250_000])
@pytest.mark.parametrize("shape", ["[", '{"a":', '[{"x":'])
def test_s10_deep_nesting(tfs, n, shape):
    for key in ("instances", "inputs", "unknown"):
        status, answer = ask(tfs, "toy", f'{{"{key}": ' + shape * n)
        assert status == 400 and "error" in answer


def test_more_rows_than_a_batch(tfs):
    status, answer = ask(tfs, "scalar", {"instances": [1.0] * 33})
    assert status == 200 and len(answer["predictions"]) == 33
    assert ask(tfs, "scalar", {"instances": [1.0] * 32})[0] == 200
