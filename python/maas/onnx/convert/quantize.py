"""Quantisation: values to small integers and back, and products of them."""

import numpy as np

from maas import _core, ops
from maas.onnx.convert import exact
from maas.onnx.convert.casting import cast_to
from maas.onnx.convert.common import is_float, shaped
from maas.onnx.convert.conv import integer_convolution
from maas.onnx.convert.matmul import product
from maas.onnx.dtypes import dtype_name
from maas.onnx.registry import converts

_RANGE = {"int4": (-8, 7), "int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767), "uint16": (0, 65535),
          "int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1)}  # fmt: skip


def spread(v, x, axis, block=0):
    """A scale or zero point in a shape that broadcasts with `x`: one value, one per index of `axis`, or per block."""
    if v is None or v.size == 1:
        return None if v is None else _core.reshape(v, shape=[])
    if block:
        return ops.get_item(
            ops.repeat(v, block, axis=axis),
            tuple(slice(0, x.dims[i]) if i == axis else slice(None) for i in range(x.ndim)),
        )
    if v.ndim != 1:
        return v
    return _core.reshape(v, shape=[-1 if i == axis else 1 for i in range(x.ndim)])


def _axis(call, x):
    axis = call.attr("axis", 1)
    if x.ndim and not -x.ndim <= axis < x.ndim:
        # One scale for all needs no axis.
        return 0
    return axis % x.ndim if x.ndim else 0


def quantize(x, scale, zero, dtype, saturate=True):
    """`round(x / scale) + zero` in `dtype`, stopped at its ends."""
    y = _core.divide(x, scale)
    if dtype.startswith("float8"):
        return cast_to(y, dtype, saturate)
    y = _core.round(y)
    wide = "float64" if dtype.endswith("32") else "float32"
    y = ops.cast(y, wide)
    if zero is not None:
        y = _core.add(y, ops.cast(ops.cast(zero, "int32"), wide))
    low, high = _RANGE[dtype]
    y = _core.minimum(_core.maximum(y, float(low)), float(high))
    return ops.cast(ops.cast(y, "int32"), dtype) if dtype == "int4" else ops.cast(y, dtype)


def dequantize(x, scale, zero, dtype):
    """`(x - zero) * scale` in `dtype`."""
    if is_float(x):
        y = ops.cast(x, "float32")
        y = y if zero is None else _core.subtract(y, ops.cast(zero, "float32"))
    elif zero is None:
        y = ops.cast(x, "float32")
    else:
        y = ops.cast(_core.subtract(ops.cast(x, "int32"), ops.cast(zero, "int32")), "float32")
    return ops.cast(_core.multiply(y, ops.cast(scale, "float32")), dtype)


@converts("QuantizeLinear")
def quantize_linear(call, x, scale, zero=None):
    axis, block = _axis(call, x), call.attr("block_size", 0)
    if zero is not None:
        dtype = zero.dtype
    else:
        code = call.attr("output_dtype", 0)
        dtype = dtype_name(code, "the result") if code else "uint8"
    precision = call.attr("precision", 0)
    x = ops.cast(x, dtype_name(precision, "precision") if precision else scale.dtype)
    scale = ops.cast(spread(scale, x, axis, block), x.dtype)
    return quantize(x, scale, spread(zero, x, axis, block), dtype, bool(call.attr("saturate", 1)))


@converts("DequantizeLinear")
def dequantize_linear(call, x, scale, zero=None):
    axis, block = _axis(call, x), call.attr("block_size", 0)
    code = call.attr("output_dtype", 0)
    dtype = dtype_name(code, "the result") if code else scale.dtype
    return dequantize(x, spread(scale, x, axis, block), spread(zero, x, axis, block), dtype)


@converts("MatMulInteger")
def matmul_integer(call, a, b, a_zero=None, b_zero=None):
    return _centered_product(a, a_zero, b, b_zero)


def _centered_product(a, a_zero, b, b_zero):
    """The product of integers less their zero points, in int32: by float32 where that is proved to be exact."""
    a_zero, b_zero = None if a_zero is None else _rows(a_zero), None if b_zero is None else _flat(b_zero)
    y = exact.product(a, a_zero, b, b_zero)
    if y is not None:
        return y
    a, b = ops.cast(a, "int32"), ops.cast(b, "int32")
    a = a if a_zero is None else _core.subtract(a, ops.cast(a_zero, "int32"))
    b = b if b_zero is None else _core.subtract(b, ops.cast(b_zero, "int32"))
    return product(a, b)


def _flat(z):
    return shaped(z, []) if z.size == 1 else z


@converts("QLinearMatMul")
def qlinear_matmul(call, a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero):
    y = ops.cast(_centered_product(a, a_zero, b, b_zero), "float32")
    a_scale = _rows(a_scale)
    factor = _core.multiply(ops.cast(a_scale, "float32"), ops.cast(_flat(b_scale), "float32"))
    y = _core.multiply(y, factor)
    return quantize(y, ops.cast(_rows(y_scale), "float32"), _rows(y_zero), y_zero.dtype)


def _rows(v):
    """One value for each row."""
    return shaped(v, [-1, 1]) if v.ndim == 1 and v.size > 1 else _flat(v)


@converts("QLinearConv")
def qlinear_conv(call, x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias=None):
    """The sums are exact; they are scaled in float32."""
    y = integer_convolution(call, x, w, _flat(x_zero), w_zero, bias)
    scale = _core.multiply(ops.cast(_flat(x_scale), "float32"), ops.cast(_flat(w_scale), "float32"))
    scale = _core.reshape(scale, shape=[1, -1] + [1] * (w.ndim - 2)) if scale.ndim else scale
    y = _core.multiply(ops.cast(y, "float32"), scale)
    return quantize(y, ops.cast(_flat(y_scale), "float32"), _flat(y_zero), y_zero.dtype)


@converts("BitCast")
def bit_cast(call, x):
    return _bits_as(x, dtype_name(call.need("to"), "the result"))


def _bits_as(x, dtype):
    if not is_float(x) and "float" not in dtype:
        return ops.cast(x, dtype)  # integers of one width keep their bits
    raise NotImplementedError(f"BitCast from {x.dtype} to {dtype} is not available")


def _microsoft(x, scale, zero):
    return dequantize(x, _flat(scale), _flat(zero) if zero is not None else None, "float32")


@converts("QLinearAdd", "QLinearMul", domain="com.microsoft")
def qlinear_binary(call, a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero=None):
    function = _core.add if call.op == "QLinearAdd" else _core.multiply
    y = function(_microsoft(a, a_scale, a_zero), _microsoft(b, b_scale, b_zero))
    return quantize(y, _flat(y_scale), _flat(y_zero) if y_zero is not None else None, a.dtype)


@converts("QLinearSigmoid", "QLinearLeakyRelu", domain="com.microsoft")
def qlinear_unary(call, x, x_scale, x_zero, y_scale, y_zero=None):
    v = _microsoft(x, x_scale, x_zero)
    y = _core.sigmoid(v) if call.op == "QLinearSigmoid" else _core.leaky_relu(v, np.float32(call.attr("alpha", 0.01)))
    return quantize(y, _flat(y_scale), _flat(y_zero) if y_zero is not None else None, x.dtype)


@converts("QLinearGlobalAveragePool", domain="com.microsoft")
def qlinear_global_average_pool(call, x, x_scale, x_zero, y_scale, y_zero):
    last = call.attr("channels_last", 0)
    axes = list(range(1, x.ndim - 1)) if last else list(range(2, x.ndim))
    y = _core.mean(_microsoft(x, x_scale, x_zero), axis=axes, keepdims=True)
    return quantize(y, _flat(y_scale), _flat(y_zero), x.dtype)


@converts("QLinearConcat", domain="com.microsoft")
def qlinear_concat(call, y_scale, y_zero, *parts):
    values = [_microsoft(*parts[i : i + 3]) for i in range(0, len(parts), 3)]
    return quantize(_core.concatenate(*values, axis=call.need("axis")), _flat(y_scale), _flat(y_zero), y_zero.dtype)
