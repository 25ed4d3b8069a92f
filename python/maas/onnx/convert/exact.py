"""Sums of products of small integers, exactly, by the fast float32 kernels.

float32 holds every integer up to 2^24, so a sum is exact in any order if the sum of the absolute values of its terms
stays below. Longer sums are cut into chunks that are, and the chunks are added as int32.
"""

import math

import numpy as np

from maas import _core, ops
from maas.onnx.trace import is_known

_MOST = 2**24 - 1
_RANGES = {"int8": (-128, 127), "uint8": (0, 255)}


class Centered:
    """Integers of 8 bits less their zero points, as float32.

    Args:
        x: tensor.
        zero: its zero points in a shape that broadcasts with `x`, or None.

    Attributes:
        value: the tensor.
        known: NumPy array of int64 where the values are known, else None.
        widest: int, no absolute value is larger.
    """

    def __init__(self, x, zero):
        low, high = _RANGES[x.dtype]
        zeros = np.zeros(1, "int64") if zero is None else zero.numpy().astype("int64") if is_known(zero) else None
        self.widest = 255 if zeros is None else max(high - int(zeros.min()), int(zeros.max()) - low)
        self.known = None
        if is_known(x) and zeros is not None:
            self.known = x.numpy().astype("int64") - zeros
            self.value = _core.Tensor(self.known.astype("float32"))
            self.widest = int(abs(self.known).max(initial=0))
        else:
            self.value = ops.cast(x, "float32")
            if zero is not None:
                self.value = _core.subtract(self.value, ops.cast(zero, "float32"))


def chunks(count, costs, widest, room=_MOST):
    """(begin, end) of parts of `count` indices, each of exact sums; None if one index alone is too much.

    Args:
        count: int.
        costs: array (count, results), what an index adds to the absolute sum of each result, or a number for all.
        widest: int, the largest absolute value of what it is multiplied with.
        room: int, what a sum may come to.
    """
    if count == 0 or widest == 0:
        return [(0, count)]
    most = room // widest
    if isinstance(costs, int):
        size = most // costs if costs else count
        return None if not size else [(i, min(i + size, count)) for i in range(0, count, size)]
    parts, begin, total = [], 0, np.zeros(costs.shape[1], "int64")
    for i, cost in enumerate(costs):
        if cost.max(initial=0) > most:
            return None
        if (total + cost).max(initial=0) > most:
            parts.append((begin, i))
            begin, total = i, np.zeros_like(total)
        total = total + cost
    return [*parts, (begin, count)]


def _added(parts):
    """int32 sums of exact float32 parts."""
    parts = [ops.cast(p, "int32") for p in parts]
    total = parts[0]
    for p in parts[1:]:
        total = _core.add(total, p)
    return total


def product(a, a_zero, b, b_zero):
    """int32 matrix product of 8-bit integers less their zero points; None where this file has no way."""
    if a.dtype not in _RANGES or b.dtype not in _RANGES or a.ndim < 1 or b.ndim < 2 or not isinstance(b.dims[-2], int):
        return None
    a, b, k = Centered(a, a_zero), Centered(b, b_zero), int(b.dims[-2])
    if b.known is None:
        costs = b.widest
    else:
        costs = np.moveaxis(abs(b.known), -2, 0).reshape(k, -1)
    parts = chunks(k, costs, a.widest)
    if parts is None:
        return None
    if len(parts) == 1:
        return _added([ops.matmul(a.value, b.value)])
    return _added([ops.matmul(a.value[..., i:j], b.value[..., i:j, :]) for i, j in parts])


def convolution(call, run, x, x_zero, kernel, kernel_zero, bias=None):
    """Convolution of 8-bit integers less their zero points plus an int32 bias: exact numbers in int32, in float32 where
    all of them fit; None where this file has no way.

    Args:
        call: `Call`.
        run: `function(call, x, kernel, plain=True)`, the convolution of floats by products and sums alone.
    """
    if x.dtype not in _RANGES or kernel.dtype not in _RANGES or not isinstance(kernel.dims[1], int):
        return None
    x, kernel = Centered(x, x_zero), Centered(kernel, kernel_zero)
    taps, channels = math.prod(kernel.value.shape[2:]), kernel.value.shape[1]
    if kernel.known is None:
        costs = kernel.widest * taps
    else:
        costs = abs(kernel.known).reshape(*kernel.known.shape[:2], -1).sum(2).T
    row = None if bias is None else _core.reshape(bias, shape=[1, -1] + [1] * (kernel.value.ndim - 2))
    high = 0 if bias is None else int(abs(bias.numpy().astype("int64")).max(initial=0)) if is_known(bias) else _MOST
    if high < _MOST // 2:
        parts = chunks(channels, costs, x.widest, _MOST - high)
        if parts is not None and len(parts) == 1:
            y = run(call, x.value, kernel.value, plain=True)
            return y if row is None else _core.add(y, ops.cast(row, "float32"))
    parts = chunks(channels, costs, x.widest)
    if parts is None or (len(parts) > 1 and call.attr("group", 1) != 1):
        return None
    if len(parts) == 1:
        y = _added([run(call, x.value, kernel.value, plain=True)])
    else:
        y = _added([run(call, x.value[:, i:j], kernel.value[:, i:j], plain=True) for i, j in parts])
    return y if row is None else _core.add(y, row)
