"""Models that torch exported: the same outputs as ONNX Runtime, open sizes, training, files."""

import json
import subprocess
import sys
import urllib.request

import numpy as np
import pytest

import maas
from tests.onnx.graphs import filled
from tests.onnx.oracle import answers


def _feeds():
    rng = np.random.default_rng(1)

    def floats(*shape):
        return rng.standard_normal(shape, dtype="float32")

    def ids(*shape):
        return rng.integers(0, 1000, shape)

    lengths = (np.arange(16) < np.array([[16], [9], [4]])).astype("int64")
    return {
        "resnet50": [[floats(1, 3, 224, 224)], [floats(2, 3, 224, 224)]],
        "mobilenet_v2": [[floats(1, 3, 224, 224)], [floats(2, 3, 224, 224)]],
        "bert_base": [[ids(2, 9), np.ones((2, 9), "int64")], [ids(3, 16), lengths]],
        "gpt2_past": [[ids(2, 3), floats(4, 2, 2, 12, 5, 64)], [ids(1, 1), floats(4, 2, 1, 12, 9, 64)]],
        "lstm": [[floats(2, 11, 40)], [floats(3, 5, 40)]],
        "detector": [[floats(1, 3, 320, 320)], [floats(1, 3, 320, 320) * 2]],
    }


@pytest.fixture(scope="module")
def feeds():
    return _feeds()


@pytest.fixture(scope="module")
def expected(feeds):
    return answers({name: (name, calls) for name, calls in feeds.items()})


@pytest.mark.parametrize("name", list(_feeds()))
def test_outputs_are_those_of_onnx_runtime(name, feeds, expected):
    model = maas.onnx.load(filled(name).SerializeToString())
    for feed, wanted in zip(feeds[name], expected[name]):
        results = model(*feed)
        results = results if isinstance(results, list) else [results]
        assert len(results) == len(wanted)
        for y, e in zip(results, wanted):
            assert (y.shape, y.dtype) == (e.shape, str(e.dtype))
            np.testing.assert_allclose(y.numpy(), e, rtol=1e-3, atol=2e-5 * np.abs(e).max())
    assert len(model._onnx_programs) == 1, "open sizes need one program"


@pytest.fixture(scope="module")
def lstm():
    return maas.onnx.load(filled("lstm").SerializeToString())


def test_inputs_have_their_names(lstm):
    x = np.zeros((2, 7, 40), "float32")
    assert [(i.name, i.shape) for i in lstm.inputs] == [("x", (None, None, 40))]
    assert lstm.input_names == ["x"] and lstm.output_names == ["y"]
    y = lstm(x).numpy()
    for other in (lstm(x=x), lstm({"x": x}), lstm([x])):
        np.testing.assert_array_equal(other.numpy(), y)
    np.testing.assert_allclose(lstm.predict(x, verbose=0), y, atol=1e-6)


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((), {}, r"inputs are \['x'\], received 0 by position"),
        ((), {"z": np.zeros((1, 1, 40))}, "received 0 by position and \\['z'\\]"),
        ((np.zeros((2, 40), "float32"),), {}, r"'x' must have shape \(.*40\), received shape \(2, 40\)"),
        ((np.zeros((2, 3, 41), "float32"),), {}, r"received shape \(2, 3, 41\)"),
    ],
)
def test_wrong_inputs_are_told(lstm, args, kwargs, text):
    with pytest.raises(ValueError, match=text):
        lstm(*args, **kwargs)


def test_wrong_dtype_is_told(lstm):
    with pytest.raises(TypeError, match="'x' must be float32, received complex64"):
        lstm(np.zeros((1, 2, 40), "complex64"))


def test_training_changes_the_weights():
    model = maas.onnx.load(filled("lstm").SerializeToString())
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((16, 6, 40)).astype("float32"), rng.standard_normal((16, 6, 10)).astype("float32")
    before = [w.numpy() for w in model.trainable_weights]
    assert len(before) >= 12
    model.compile(optimizer=maas.optimizers.Adam(0.01), loss="mse")
    losses = model.fit(x, y, epochs=6, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]
    changed = [not np.array_equal(a, w.numpy()) for a, w in zip(before, model.trainable_weights)]
    assert all(changed)
    # A call sees the weights of now.
    np.testing.assert_allclose(model(x).numpy(), model.predict(x, verbose=0), atol=1e-6)


def test_saved_file_runs_without_onnx(lstm, tmp_path):
    path = tmp_path / "lstm.maas"
    lstm.save(path)
    x = np.random.default_rng(3).standard_normal((3, 5, 40)).astype("float32")
    code = (
        "import sys, numpy as np, maas; m = maas.saving.load_model(sys.argv[1]);"
        "print([i.name for i in m.inputs], [o.name for o in m.outputs]);"
        "np.save(sys.argv[2], m(np.load(sys.argv[3])).numpy()); assert 'onnx' not in sys.modules"
    )
    np.save(tmp_path / "x.npy", x)
    done = subprocess.run(
        [sys.executable, "-c", code, path, tmp_path / "y.npy", tmp_path / "x.npy"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == "['x'] ['y']"
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), lstm(x).numpy())


@pytest.fixture(scope="module")
def served(lstm, tmp_path_factory):
    """Address of a server that has the model as `.onnx` and as `.maas`."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "words.onnx").write_bytes(filled("lstm").SerializeToString())
    lstm.export(folder / "kept.maas")
    with maas.Server({n: folder / f for n, f in (("words", "words.onnx"), ("kept", "kept.maas"))}, port=0) as server:
        yield server.url


@pytest.mark.parametrize("name", ["words", "kept"])
@pytest.mark.parametrize("shape", [(1, 1, 40), (3, 5, 40)])
def test_server_answers_bit_for_bit(served, lstm, name, shape):
    x = np.random.default_rng(4).standard_normal(shape).astype("float32")
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": shape, "data": x.reshape(-1).tolist()}]}
    request = urllib.request.Request(
        f"{served}/v2/models/{name}/infer", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as reply:
        (y,) = json.load(reply)["outputs"]
    assert (y["name"], y["datatype"]) == ("y", "FP32")
    np.testing.assert_array_equal(np.array(y["data"], "float32").reshape(y["shape"]), lstm(x).numpy())
