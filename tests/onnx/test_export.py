"""Models written as ONNX: valid files with open sizes that ONNX Runtime and this package run to the same outputs."""

import numpy as np
import onnx
import pytest

import maas
from maas import layers as L
from maas.onnx.export import encode_onnx
from tests.onnx import export_cases
from tests.onnx.oracle import answers

NAMES = list(
    "dense two_inputs functions conv_same conv_valid conv_dilated conv_1d conv_3d depthwise transposed resized pools "
    "normalised lstm gru rnn bidirectional embedding attention causal grouped resnet mobilenet efficientnet unet gpt2 "
    "bert".split()
)


@pytest.fixture(scope="module")
def exported():
    """dict of name to `(model, calls, bytes)`; a call takes all rows, another one row."""
    found = {}
    for name, (model, xs) in export_cases.cases().items():
        found[name] = (model, [xs, [x[:1] for x in xs]], encode_onnx(model))
    return found


@pytest.fixture(scope="module")
def expected(exported):
    return answers({name: (data, calls) for name, (_, calls, data) in exported.items()})


def _outputs(y):
    return [np.asarray(v) for v in (y if isinstance(y, (list, tuple)) else [y])]


def test_all_cases_are_named(exported):
    assert NAMES == list(exported)


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_the_same(name, exported, expected):
    model, calls, data = exported[name]
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    back = maas.onnx.load(data)
    for xs, wanted in zip(calls, expected[name]):
        mine = _outputs(model.predict(xs if len(xs) > 1 else xs[0], verbose=0))
        for ours, theirs, again in zip(mine, wanted, _outputs(back(*xs)), strict=True):
            assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
            atol = 1e-5 * max(1, np.abs(ours).max())
            np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=atol)
            np.testing.assert_allclose(again, ours, rtol=1e-4, atol=atol)


def test_batch_and_time_stay_open(exported):
    inputs = {}
    for name, (_, _, data) in exported.items():
        ports = onnx.load_from_string(data).graph.input
        inputs[name] = [[d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim] for i in ports]
    assert inputs["dense"] == [["batch", 6]]
    assert inputs["lstm"][0][0] == "batch" and isinstance(inputs["lstm"][0][1], str) and inputs["lstm"][0][2] == 4
    assert [len(s) for s in inputs["two_inputs"]] == [2, 2]


def test_export_writes_the_file(tmp_path):
    model = maas.Sequential([maas.Input((3,)), L.Dense(2)])
    path = tmp_path / "m.onnx"
    model.export(path, verbose=False)
    x = np.ones((2, 3), "float32")
    np.testing.assert_allclose(maas.onnx.load(path)(x).numpy(), model.predict(x, verbose=0), rtol=1e-6)
    assert onnx.load(path).producer_name == "maas"


def test_a_loaded_model_is_written_again():
    model = maas.Sequential([maas.Input((6, 6, 2)), L.Conv2D(3, 3), L.Flatten(), L.Dense(4)])
    x = np.random.default_rng(0).standard_normal((2, 6, 6, 2)).astype("float32")
    again = maas.onnx.load(encode_onnx(maas.onnx.load(encode_onnx(model))))
    np.testing.assert_allclose(again(x).numpy(), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


def test_what_cannot_be_written_is_told(tmp_path):
    x = maas.Input((4, 4))
    model = maas.Model(x, maas.ops.cholesky(x), name="roots")
    with pytest.raises(NotImplementedError, match="roots: the op 'cholesky' has no writer to ONNX; there are .*matmul"):
        model.export(tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_another_format_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"as 'maas' or 'onnx' .*, received 'tflite'"):
        maas.Sequential([maas.Input((3,)), L.Dense(2)]).export(tmp_path / "m.tflite")
