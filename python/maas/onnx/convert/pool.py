"""Pooling."""

import functools
import math

import numpy as np

from maas import _core, ops
from maas.onnx.convert.common import is_float, like
from maas.onnx.convert.windows import Windows, to_last, to_second
from maas.onnx.registry import converts


def _lowest(x):
    from maas.ops.core import _LIMITS

    return float("-inf") if is_float(x) else float(_LIMITS[x.dtype][0])


@converts("MaxPool")
def max_pool(call, x):
    w = Windows(call, x.dims[2:], call.need("kernel_shape"))
    if call.count == 1 and w.is_plain and is_float(x) and x.ndim <= 5 and all(
        b < e and a + more < e for (b, a), e, more in zip(w.pads, w.extent, w.extra)
    ):  # fmt: skip
        return to_second(
            _core.max_pool(to_last(x), pool_size=w.kernel, strides=w.strides, padding="explicit", pads=w.flat_pads())
        )
    if call.count == 1:
        return functools.reduce(_core.maximum, [part for _, part in w.slices(x, _lowest(x))])
    return _max_and_places(call, x, w)


def _max_and_places(call, x, w):
    """The maxima and their places in the flattened input."""
    sizes = [int(n) for n in x.dims]
    best = place = None
    for at, part in w.slices(x, _lowest(x)):
        flat = np.zeros([1] * x.ndim, "int64")
        order = range(len(at)) if not call.attr("storage_order", 0) else reversed(range(len(at)))
        step = 1
        for axis in reversed(list(order)):
            where = np.arange(w.out[axis]) * w.strides[axis] + at[axis] * w.dilations[axis] - w.pads[axis][0]
            shape = [1] * x.ndim
            shape[axis + 2] = -1
            flat = flat + where.reshape(shape) * step
            step *= sizes[axis + 2]
        flat = _core.broadcast_to(ops.convert_to_tensor(flat), shape=list(part.dims))
        if best is None:
            best, place = part, flat
        else:
            more = _core.greater(part, best)
            best, place = _core.where(more, part, best), _core.where(more, flat, place)
    image = math.prod(sizes[2:])
    start = np.arange(sizes[0] * sizes[1], dtype="int64").reshape(sizes[0], sizes[1], *[1] * (x.ndim - 2)) * image
    return best, _core.add(place, ops.convert_to_tensor(start))


@converts("AveragePool")
def average_pool(call, x):
    w = Windows(call, x.dims[2:], call.need("kernel_shape"))
    with_border = call.attr("count_include_pad", 0)
    padded = any(b or a for b, a in w.pads)
    if with_border and padded and w.is_plain and x.ndim <= 5 and not any(w.extra):
        # A border that counts is one of zeros.
        x = _core.pad(x, before=[0, 0, *(b for b, _ in w.pads)], after=[0, 0, *(a for _, a in w.pads)], value=0.0)
        y = _core.average_pool(
            to_last(x), pool_size=w.kernel, strides=w.strides, padding="explicit", pads=[0] * len(w.flat_pads())
        )
        return to_second(y)
    if w.is_plain and x.ndim <= 5 and (not with_border or not padded) and all(
        b < e and a + more < e for (b, a), e, more in zip(w.pads, w.extent, w.extra)
    ):  # fmt: skip
        y = _core.average_pool(
            to_last(x), pool_size=w.kernel, strides=w.strides, padding="explicit", pads=w.flat_pads()
        )
        return to_second(y)
    total = functools.reduce(_core.add, [part for _, part in w.slices(x, 0.0)])
    counts = np.ones([1] * x.ndim)
    for axis, (n, k, s, d) in enumerate(zip(w.sizes, w.kernel, w.strides, w.dilations)):
        before, after = w.pads[axis]
        at = np.arange(int(w.out[axis]))[:, None] * s + np.arange(k)[None] * d - before
        low, high = (-before, n + after) if with_border else (0, n)
        shape = [1] * x.ndim
        shape[axis + 2] = -1
        counts = counts * ((at >= low) & (at < high)).sum(1).reshape(shape)
    return _core.divide(total, like(ops.convert_to_tensor(counts.astype("float32")), x))


@converts("LpPool")
def lp_pool(call, x):
    w, p = Windows(call, x.dims[2:], call.need("kernel_shape")), call.attr("p", 2)
    powers = [_power(part, p) for _, part in w.slices(x, 0.0)]
    return _root(functools.reduce(_core.add, powers), p)


def _power(x, p):
    return _core.square(x) if p == 2 else _core.absolute(x) if p == 1 else _core.power(_core.absolute(x), like(p, x))


def _root(x, p):
    return _core.sqrt(x) if p == 2 else x if p == 1 else _core.power(x, like(1.0 / p, x))


@converts("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(call, x):
    axes = list(range(2, x.ndim))
    if call.op == "GlobalAveragePool":
        return _core.mean(x, axis=axes, keepdims=True)
    if call.op == "GlobalMaxPool":
        return _core.max(x, axis=axes, keepdims=True)
    p = call.attr("p", 2)
    return _root(_core.sum(_power(x, p), axis=axes, keepdims=True), p)


@converts("MaxUnpool")
def max_unpool(call, x, places, output_shape=None):
    """Zeros, and every value of `x` at its place in the flattened result."""
    kernel = call.need("kernel_shape")
    rank = len(kernel)
    strides, pads = call.attr("strides", [1] * rank), call.attr("pads", [0] * (2 * rank))
    sizes = [(n - 1) * s + k - b - a for n, s, k, b, a in zip(x.dims[2:], strides, kernel, pads[:rank], pads[rank:])]
    natural = [*x.dims[:2], *sizes]
    flat = _core.reshape(x, shape=[-1])
    index = _core.reshape(places, shape=[-1, 1])
    y = _core.scatter(index, flat, shape=[math.prod(natural)], mode="add")
    y = _core.reshape(y, shape=natural)
    if output_shape is None:
        return y
    wanted = call.sizes(2, "output_shape")
    after = [max(b - a, 0) for a, b in zip(natural, wanted)]
    return _core.pad(y, before=[0] * y.ndim, after=after, value=0.0) if any(after) else y
