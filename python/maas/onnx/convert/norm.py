"""Normalisations."""

import functools

from maas import _core, ops
from maas.onnx.convert.common import axis_of, is_float, like
from maas.onnx.dtypes import dtype_name
from maas.onnx.registry import converts


def _channels(x, *vectors):
    """Vectors of the second axis, in shapes that broadcast with `x`."""
    shape = [1, x.dims[1]] + [1] * (x.ndim - 2) if x.ndim > 1 else [x.dims[0]]
    return [_core.reshape(v, shape=shape) for v in vectors]


@converts("BatchNormalization")
def batch_normalization(call, x, scale, bias, mean, variance):
    if call.attr("training_mode", 0):
        raise NotImplementedError("training_mode must be 0: train the model with fit(), received 1")
    factor = ops.cast(
        _core.multiply(
            ops.cast(scale, mean.dtype), _core.rsqrt(_core.add(variance, like(call.attr("epsilon", 1e-5), variance)))
        ),
        mean.dtype,
    )
    summand = _core.subtract(ops.cast(bias, mean.dtype), _core.multiply(mean, factor))
    factor, summand = _channels(x, factor, summand)
    wide = x.dtype if x.dtype == factor.dtype else "float32"
    y = _core.add(_core.multiply(ops.cast(x, wide), ops.cast(factor, wide)), ops.cast(summand, wide))
    return ops.cast(y, x.dtype)


@converts("InstanceNormalization")
def instance_normalization(call, x, scale, bias):
    axes = list(range(2, x.ndim))
    y = _standardised(x, axes, call.attr("epsilon", 1e-5))
    scale, bias = _channels(x, scale, bias)
    return _core.add(_core.multiply(y, scale), bias)


def _standardised(x, axes, epsilon):
    centered = _core.subtract(x, _core.mean(x, axis=axes, keepdims=True))
    variance = _core.mean(_core.square(centered), axis=axes, keepdims=True)
    return _core.multiply(centered, _core.rsqrt(_core.add(variance, like(epsilon, x))))


@converts("GroupNormalization")
def group_normalization(call, x, scale, bias):
    groups, dtype = call.need("num_groups"), x.dtype
    stash = dtype_name(call.attr("stash_type", 1), "stash_type") if call.opset >= 21 else dtype
    n, c, rest = x.dims[0], x.dims[1], list(x.dims[2:])
    y = ops.cast(x, stash)
    y = _core.reshape(y, shape=[n, groups, c // groups, *rest])
    y = _standardised(y, list(range(2, y.ndim)), call.attr("epsilon", 1e-5))
    if call.opset >= 21:
        y = ops.cast(_core.reshape(y, shape=[n, c, *rest]), dtype)
        scale, bias = _channels(x, scale, bias)
        return _core.add(_core.multiply(y, scale), bias)
    # Older ones scale groups.
    shape = [1, groups] + [1] * (y.ndim - 2)
    y = _core.add(_core.multiply(y, _core.reshape(scale, shape=shape)), _core.reshape(bias, shape=shape))
    return _core.reshape(y, shape=[n, c, *rest])


@converts("LayerNormalization")
def layer_normalization(call, x, scale, bias=None):
    axis, epsilon = axis_of(call, x.ndim, -1), call.attr("epsilon", 1e-5)
    axes = list(range(axis, x.ndim))
    stash = dtype_name(call.attr("stash_type", 1), "stash_type")
    fits = scale.shape == x.shape[axis:] and (bias is None or bias.shape == scale.shape) and None not in scale.shape
    if call.count == 1 and fits and x.dtype == stash == scale.dtype:
        return _core.layer_norm(
            *[v for v in (x, scale, bias) if v is not None],
            axis=axes, epsilon=epsilon, scale=True, center=bias is not None, subtract_mean=True,
        )  # fmt: skip
    wide = ops.cast(x, stash)
    mean = _core.mean(wide, axis=axes, keepdims=True)
    centered = _core.subtract(wide, mean)
    variance = _core.mean(_core.square(centered), axis=axes, keepdims=True)
    inverse = _core.rsqrt(_core.add(variance, like(epsilon, variance)))
    y = _core.multiply(ops.cast(_core.multiply(centered, inverse), x.dtype), scale)
    y = y if bias is None else _core.add(y, bias)
    return (y, mean, inverse)[: call.count]


@converts("RMSNormalization", "SimplifiedLayerNormalization")
def rms_normalization(call, x, scale):
    axis = axis_of(call, x.ndim, -1)
    axes = list(range(axis, x.ndim))
    stash = dtype_name(call.attr("stash_type", 1), "stash_type")
    epsilon = call.attr("epsilon", 1e-5)
    if x.dtype == stash == scale.dtype and scale.shape == x.shape[axis:] and None not in scale.shape:
        return _core.layer_norm(x, scale, axis=axes, epsilon=epsilon, scale=True, center=False, subtract_mean=False)
    wide = ops.cast(x, stash)
    mean = _core.mean(_core.square(wide), axis=axes, keepdims=True)
    y = _core.multiply(wide, _core.rsqrt(_core.add(mean, like(epsilon, mean))))
    return _core.multiply(ops.cast(y, scale.dtype), scale)


@converts("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", domain="com.microsoft")
def skip_layer_normalization(call, x, skip, gamma, beta=None, bias=None):
    x = _core.add(x, skip)
    if call.op.startswith("SkipSimplified"):
        beta, bias = None, beta
    x = x if bias is None else _core.add(x, bias)
    y = _core.layer_norm(
        *[v for v in (x, gamma, beta) if v is not None],
        axis=[-1], epsilon=call.attr("epsilon", 1e-12), scale=True, center=beta is not None,
        subtract_mean=call.op == "SkipLayerNormalization",
    )  # fmt: skip
    return (y, None, None, x)[: call.count]


@converts("MeanVarianceNormalization")
def mean_variance_normalization(call, x):
    axes = [a % x.ndim for a in call.attr("axes", [0, 2, 3])]
    centered = _core.subtract(x, _core.mean(x, axis=axes, keepdims=True))
    deviation = _core.sqrt(_core.mean(_core.square(centered), axis=axes, keepdims=True))
    return _core.divide(centered, _core.add(deviation, like(1e-9, x)))


@converts("LRN")
def lrn(call, x):
    """Every value over the root of the squares of its neighbours in the channels."""
    size, alpha, beta = call.need("size"), call.attr("alpha", 1e-4), call.attr("beta", 0.75)
    before = (size - 1) // 2
    squares = _core.square(x)
    pads = [[0] * x.ndim, [0] * x.ndim]
    pads[0][1], pads[1][1] = before, size - 1 - before
    padded = _core.pad(squares, before=pads[0], after=pads[1], value=0.0)
    parts = []
    for i in range(size):
        begin, end = [0] * x.ndim, list(padded.dims)
        begin[1], end[1] = i, x.dims[1] + i
        parts.append(_core.slice(padded, begin=begin, end=end, step=[1] * x.ndim))
    total = functools.reduce(_core.add, parts)
    base = _core.add(_core.multiply(total, like(alpha / size, x)), like(call.attr("bias", 1.0), x))
    return _core.multiply(x, _core.power(base, like(-beta, x))) if is_float(x) else x
