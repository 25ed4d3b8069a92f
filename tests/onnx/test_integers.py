"""Products and convolutions of integers: exact for every value, by the fast kernels where that can be proved."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import maas
from maas.onnx.convert import exact
from tests.onnx.oracle import answers

KINDS = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8}


def model_of(op, x, weights, outer=(), kind=TensorProto.INT32, **attributes):
    """Bytes of a model: `op` of an input `x` and of constants; names in `outer` are inputs too."""
    names = ["x", *weights]
    arrays = {"x": x, **weights}
    ports = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(arrays[n].dtype), arrays[n].shape)
        for n in ("x", *outer)
    ]
    constants = [numpy_helper.from_array(v, n) for n, v in weights.items() if n not in outer]
    node = helper.make_node(op, names, ["y"], **attributes)
    graph = helper.make_graph([node], "g", ports, [helper.make_tensor_value_info("y", kind, None)], constants)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    proto.ir_version = 10
    return proto.SerializeToString()


def load(op, x, weights, outer=(), **attributes):
    arrays = {"x": x, **weights}
    return maas.onnx.load(model_of(op, x, weights, outer, **attributes)), [arrays[n] for n in ("x", *outer)]


def extremes(kind, shape, rng):
    """Values at both ends of the range, the sums of which grow fastest, and some between."""
    low, high = (0, 255) if kind == "uint8" else (-128, 127)
    x = np.where(rng.random(shape) < 0.9, high, low).astype(kind)
    x[..., ::7] = rng.integers(low, high + 1, x[..., ::7].shape)
    return x


@pytest.mark.parametrize("k", [1, 257, 300, 4096])
@pytest.mark.parametrize("a_kind", KINDS)
@pytest.mark.parametrize("b_kind", KINDS)
@pytest.mark.parametrize("outer", [(), ("b",)])
def test_products_are_exact(k, a_kind, b_kind, outer):
    rng = np.random.default_rng(k)
    a, b = extremes(a_kind, (5, k), rng), extremes(b_kind, (k, 6), rng)
    zeros = {"az": np.array(0 if a_kind == "uint8" else -128, a_kind), "bz": np.array(127, b_kind)}
    model, xs = load("MatMulInteger", a, {"b": b, **zeros}, outer)
    expected = (a.astype("int64") - int(zeros["az"])) @ (b.astype("int64") - int(zeros["bz"]))
    np.testing.assert_array_equal(model(*xs).numpy(), expected)
    kernels = [kernel for _, kernel in next(iter(model._onnx_programs.values())).kernels]
    assert any(kernel.startswith("gemm_f32") for kernel in kernels), kernels


@pytest.mark.parametrize("window", [(1, 1), (3, 3), (5, 2)])
@pytest.mark.parametrize("channels", [3, 200])
@pytest.mark.parametrize("options", [{}, {"pads": [1, 0, 2, 1]}, {"strides": [2, 1], "dilations": [1, 2]}], ids=str)
@pytest.mark.parametrize("outer", [(), ("w", "wz")])
def test_convolutions_are_exact(window, channels, options, outer):
    rng = np.random.default_rng(channels)
    x, w = extremes("uint8", (2, channels, 9, 12), rng), extremes("int8", (17, channels, *window), rng)
    zeros = {"xz": np.array(3, "uint8"), "wz": rng.integers(-128, 128, 17).astype("int8")}
    model, xs = load("ConvInteger", x, {"w": w, **zeros}, outer, **options)
    x, w = x.astype("int64") - 3, w.astype("int64") - zeros["wz"].astype("int64")[:, None, None, None]
    pads, strides, dilations = (
        options.get(key, d) for key, d in (("pads", [0] * 4), ("strides", [1, 1]), ("dilations", [1, 1]))
    )
    x = np.pad(x, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
    size = [(n - (k - 1) * d - 1) // s + 1 for n, k, d, s in zip(x.shape[2:], window, dilations, strides)]
    expected = 0
    for i, j in np.ndindex(*window):
        rows = i * dilations[0] + np.arange(size[0]) * strides[0]
        columns = j * dilations[1] + np.arange(size[1]) * strides[1]
        expected = expected + np.einsum("nchw,oc->nohw", x[:, :, rows][:, :, :, columns], w[:, :, i, j])
    np.testing.assert_array_equal(model(*xs).numpy(), expected)
    kernels = [kernel for _, kernel in next(iter(model._onnx_programs.values())).kernels]
    assert not any("f64" in k or "winograd" in k or k == "conv_ref" for k in kernels), kernels


def test_a_depthwise_one_too():
    rng = np.random.default_rng(0)
    x, w = extremes("uint8", (1, 32, 8, 8), rng), extremes("int8", (32, 1, 3, 3), rng)
    model, xs = load("ConvInteger", x, {"w": w}, group=32)
    y = model(*xs).numpy()
    expected = sum(x[:, :, i : i + 6, j : j + 6].astype("int64") * w[:, 0, i, j].astype("int64")[:, None, None]
                   for i in range(3) for j in range(3))  # fmt: skip
    np.testing.assert_array_equal(y, expected)


def test_chunks_stay_below_the_limit():
    for widest, cost in ((255, 255), (255, 128), (1, 1), (255, 255 * 49)):
        parts = exact.chunks(1000, cost, widest)
        assert parts[0][0] == 0 and parts[-1][1] == 1000 and all(a[1] == b[0] for a, b in zip(parts, parts[1:]))
        assert max((j - i) * cost * widest for i, j in parts) < 2**24
    costs = np.random.default_rng(0).integers(0, 128, (5000, 7))
    parts = exact.chunks(5000, costs, 255)
    assert 1 < len(parts) < 8 and max(costs[i:j].sum(0).max() * 255 for i, j in parts) < 2**24
    assert exact.chunks(3, 2**20, 255) is None


@pytest.mark.parametrize("channels", [4, 300])
@pytest.mark.parametrize("bias", [None, 1000, 2**30])
def test_quantised_convolutions_are_those_of_onnx_runtime(channels, bias):
    rng = np.random.default_rng(channels)
    x, w = (
        rng.integers(0, 256, (2, channels, 7, 7)).astype("uint8"),
        rng.integers(-99, 99, (9, channels, 3, 3)).astype("int8"),
    )
    scale = 5e-7 if bias == 2**30 else 0.022 / channels**0.5
    weights = {
        "xs": np.array(0.3, "float32"), "xz": np.array(120, "uint8"), "w": w, "ws": np.full(9, scale, "float32"),
        "wz": np.zeros(9, "int8"), "ys": np.array(1.7, "float32"), "yz": np.array(77, "uint8"),
    }  # fmt: skip
    if bias is not None:
        weights["b"] = rng.integers(-bias, bias, 9).astype("int32")
    proto = model_of("QLinearConv", x, weights, kind=TensorProto.UINT8, pads=[1] * 4)
    (expected,) = answers({"q": (proto, [[x]])})["q"][0]
    y = maas.onnx.load(proto)(x).numpy()
    assert len(np.unique(expected)) > (5 if bias == 2**30 else 20)
    # Products with scales that are no powers of two may lie on either side of a tie.
    assert (y != expected).mean() < 1e-3 and abs(y.astype(int) - expected).max() <= 1
