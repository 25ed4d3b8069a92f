"""Calls, data, files and copies of models read from ONNX."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import maas
from maas.layers import InputSpec
from maas.onnx import model as onnx_model
from maas.onnx.model import OnnxModel
from maas.saving.maas_file import load_graph

F, I32, I64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64


def port(name, shape, kind=F):
    return helper.make_tensor_value_info(name, kind, shape)


def load(nodes, inputs, outputs, weights=(), opset=20):
    graph = helper.make_graph(nodes, "g", inputs, outputs, [numpy_helper.from_array(v, k) for k, v in weights])
    return maas.onnx.load(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]).SerializeToString())


@pytest.fixture
def table():
    """Rows of a table by int32 indices."""
    rows = np.arange(12, dtype="float32").reshape(6, 2)
    return load(
        [helper.make_node("Gather", ["t", "ids"], ["y"])], [port("ids", ["batch"], I32)], [port("y", None)],
        [("t", rows)],
    )  # fmt: skip


@pytest.fixture
def dense():
    w = np.random.default_rng(0).standard_normal((8, 4)).astype("float32")
    return load(
        [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Relu", ["a"], ["y"])],
        [port("x", ["batch", 8])], [port("y", ["batch", 4])], [("w", w)],
    )  # fmt: skip


@pytest.fixture
def shaped():
    """A result whose shape is the values of an input."""
    return load(
        [helper.make_node("Reshape", ["x", "s"], ["y"])], [port("x", ["n"]), port("s", [2], I64)], [port("y", None)]
    )


def test_integers_that_fit_are_narrowed(table):
    ids = np.array([5, 0, 3])
    for dtype in ("int64", "uint8", "int16", "uint64"):
        np.testing.assert_array_equal(table(ids.astype(dtype)).numpy()[:, 0], [10, 0, 6])
    np.testing.assert_array_equal(table.predict(ids, verbose=0)[:, 0], [10, 0, 6])


@pytest.mark.parametrize("method", ["__call__", "predict", "predict_on_batch"])
@pytest.mark.parametrize("value", [2**32 + 1, -(2**31) - 1, 2**63 - 1])
def test_integers_that_do_not_fit_are_told(table, method, value):
    with pytest.raises(
        ValueError, match=rf"'ids' must be int32, from -2147483648 to 2147483647, received {value} in int"
    ):
        getattr(table, method)(np.array([0, value]))


def test_a_file_takes_the_same_integers(table, tmp_path):
    table.export(tmp_path / "t.maas")
    graph = load_graph(tmp_path / "t.maas")
    np.testing.assert_array_equal(graph(np.array([5, 0])).numpy(), table(np.array([5, 0])).numpy())
    for method in (graph, graph.predict, graph.predict_on_batch):
        with pytest.raises(ValueError, match="'ids' must be int32, .* received 4294967297 in uint64"):
            method(np.array([0, 2**32 + 1], "uint64"))
        with pytest.raises(TypeError, match="'ids' must be int32, received float64"):
            method(np.array([0.5]))


def test_values_that_make_shapes_are_asked_of_calls(shaped):
    x, s = np.arange(6, dtype="float32"), np.array([2, 3])
    assert shaped(x, s).shape == (2, 3) and shaped(x, np.array([3, 2])).shape == (3, 2)
    with pytest.raises(ValueError, match=r"Reshape.* depends on the values of \['s'\]; only calls with arrays"):
        shaped.predict([x[:2], np.array([2, 1])], verbose=0)
    with pytest.raises(ValueError, match="a file or server would have to know it"):
        shaped.serving_program()


def test_one_array_runs_the_program_at_once(dense, monkeypatch):
    x = np.random.default_rng(1).standard_normal((3, 8)).astype("float32")
    y = dense(x).numpy()

    def slow(*_, **__):
        raise AssertionError("took the long way")

    monkeypatch.setattr(OnnxModel, "_call_slowly", slow)
    np.testing.assert_array_equal(dense(x).numpy(), y)
    np.testing.assert_array_equal(dense(x[:1]).numpy(), y[:1])
    with pytest.raises(AssertionError, match="long way"):
        dense(x.astype("float64"))


def test_the_short_way_sees_new_weights_and_other_shapes(dense):
    x = np.ones((2, 8), "float32")
    before = dense(x).numpy()
    dense.weights[0].assign(dense.weights[0].numpy() * 2)
    np.testing.assert_allclose(dense(x).numpy(), before * 2, rtol=1e-6)
    with pytest.raises(ValueError, match=r"'x' must have shape \(batch, 8\), received shape \(2, 7\)"):
        dense(x[:, :7])


def test_known_sizes_are_traced_once_each(monkeypatch):
    """Pooling in ceil mode needs sizes: the open trace is tried for the first call alone."""
    pool = {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}
    model = load(
        [helper.make_node("MaxPool", ["x"], ["y"], **pool)], [port("x", ["n", 1, "h", "w"])], [port("y", None)]
    )
    traces = []
    results = OnnxModel._results
    monkeypatch.setattr(OnnxModel, "_results", lambda self, v: traces.append(1) or results(self, v))
    for h, w, count in ((5, 5, 2), (7, 6, 3), (5, 5, 3), (9, 3, 4)):
        x = np.random.default_rng(h).standard_normal((2, 1, h, w)).astype("float32")
        y = model(x).numpy()
        assert (
            y.shape == (2, 1, -(-h // 2), -(-w // 2))
            and y[0, 0, -1, -1] == x[0, 0, (h - 1) // 2 * 2 :, (w - 1) // 2 * 2 :].max()
        )
        assert len(traces) == count
        np.testing.assert_array_equal(model(x).numpy(), y)


def test_undeclared_outputs_and_signatures(tmp_path):
    """Outputs say nothing of their type; the input has no rank until export() is told."""
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [port("x", None)], [])
    graph.output.add(name="y")
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model = maas.onnx.load(proto.SerializeToString())
    x = np.array([[-1.0, 2.0]], "float32")
    np.testing.assert_array_equal(model(x).numpy(), [[0, 2]])
    with pytest.raises(ValueError, match="'x' needs a declared rank and dtype; export"):
        model.export(tmp_path / "m.maas")
    model.export(tmp_path / "m.maas", input_signature=InputSpec(shape=(None, 2), dtype="float32"))
    np.testing.assert_array_equal(load_graph(tmp_path / "m.maas")(np.repeat(x, 3, 0)).numpy(), [[0, 2]] * 3)
    with pytest.raises(ValueError, match=r"must be float32\(any\), received int32\(1, 2\) in input_signature"):
        model.export(tmp_path / "n.maas", input_signature=InputSpec(shape=(1, 2), dtype="int32"))


def test_a_signature_that_contradicts_the_file_is_told(dense, tmp_path):
    with pytest.raises(ValueError, match=r"'x' must be float32\(batch, 8\), received float32\(None, 7\)"):
        dense.export(tmp_path / "m.maas", input_signature=InputSpec(shape=(None, 7), dtype="float32"))


def test_optimize_keeps_weights_and_sets_accuracy():
    w = np.random.default_rng(0).standard_normal((16, 16, 3, 3)).astype("float32")
    model = load([helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 4)], [port("x", ["n", 16, 24, 24])],
                 [port("y", None)], [("w", w)])  # fmt: skip
    exact = model.optimize(accuracy="exact")
    x = np.random.default_rng(1).standard_normal((1, 16, 24, 24)).astype("float32")
    np.testing.assert_allclose(exact(x).numpy(), model(x).numpy(), rtol=1e-4, atol=1e-4)
    kernels = [{k for _, k in next(iter(m._onnx_programs.values())).kernels} for m in (model, exact)]
    assert any("winograd" in k for k in kernels[0]) and not any("winograd" in k for k in kernels[1]), kernels
    assert exact.weights[0] is model.weights[0]
    with pytest.raises(ValueError, match="accuracy must be 'fast' or 'exact', received 'best'"):
        model.optimize(accuracy="best")


def test_summary_shows_ports_and_numbers(dense):
    lines = []
    dense.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert "float32" in text and "(batch, 8)" in text and "2 nodes, 32 parameters in 1 tensors" in text
    assert onnx_model.OnnxModel is type(dense)
