"""NumPy's functions on parts of arrays, sets and small matrices, composed of others."""

import math

import numpy as np

from maas import _core
from maas.backend import result_type
from maas.backend.symbolic import op
from maas.ops import reduction
from maas.ops.core import as_tensor, cast, zeros_like
from maas.ops.pointwise import floating
from maas.ops.shape import concatenate, diag
from maas.ops.views import split, transpose

__all__ = [
    "array_split", "cdist", "corrcoef", "correlate", "diagflat", "dsplit", "dstack", "empty_like", "geomspace",
    "hsplit", "isin", "psnr", "ptp", "trapezoid", "unravel_index", "vander", "vectorize", "vsplit",
]  # fmt: skip


@op
def empty_like(x, dtype=None):
    """A tensor in the shape and dtype of `x` whose values do not matter (they are zeros)."""
    return zeros_like(x, dtype)


@op
def array_split(x, indices_or_sections, axis=0):
    """`split` whose number of parts need not divide the size: the first parts are one longer."""
    x = as_tensor(x)
    if not isinstance(indices_or_sections, int):
        return split(x, indices_or_sections, axis)
    size, n = x.shape[axis], indices_or_sections
    if size is None or n < 1:
        raise ValueError(f"array_split: axis {axis} of x of shape {x.shape} cannot be cut, received {n} sections")
    ends = np.cumsum([size // n + (i < size % n) for i in range(n)])
    return split(x, [int(e) for e in ends[:-1]], axis)


def _along(name, x, parts, axis, least):
    x = as_tensor(x)
    if x.ndim < least:
        raise ValueError(f"{name}: x must have at least {least} axes, received x of shape {x.shape}")
    return split(x, parts, axis)


@op
def vsplit(x, indices_or_sections):
    """`split` along the first axis of a tensor of two axes or more."""
    return _along("vsplit", x, indices_or_sections, 0, 2)


@op
def hsplit(x, indices_or_sections):
    """`split` along the second axis, or along the only one."""
    x = as_tensor(x)
    return _along("hsplit", x, indices_or_sections, 0 if x.ndim == 1 else 1, 1)


@op
def dsplit(x, indices_or_sections):
    """`split` along the third axis."""
    return _along("dsplit", x, indices_or_sections, 2, 3)


@op
def dstack(xs):
    """Tensors joined along the third axis; what has fewer axes gets one in front (of one axis) and one behind."""

    def deep(x):
        x = as_tensor(x)
        if x.ndim >= 3:
            return x
        return _core.reshape(x, shape=[*x.dims, 1] if x.ndim == 2 else [1, -1, 1])

    return concatenate([deep(x) for x in xs], 2)


@op
def diagflat(x, k=0):
    """The matrix with the elements of `x`, in their order, on its `k`-th diagonal."""
    return diag(_core.reshape(as_tensor(x), shape=[-1]), k)


@op
def ptp(x, axis=None, keepdims=False):
    """`y = max(x) - min(x)`: from peak to peak."""
    return _core.subtract(reduction.max(x, axis, keepdims), reduction.min(x, axis, keepdims))


@op
def psnr(x1, x2, max_val):
    """Peak signal-to-noise ratio in decibel: `y = 20 log10(max_val) - 10 log10(mean((x1 - x2)^2))`.

    Args:
        x1, x2: Tensors of one shape.
        max_val: number, the largest value that a signal can have.

    Raises:
        ValueError: if the shapes differ.
    """
    from maas.ops.arrays import log10

    x1, x2 = floating(x1), floating(x2)
    if x1.shape != x2.shape:
        raise ValueError(f"psnr: both signals must have one shape, received {x1.shape} and {x2.shape}")
    error = reduction.mean(_core.square(_core.subtract(x1, x2)))
    peak = log10(cast(max_val, x2.dtype))
    return _core.subtract(_core.multiply(peak, 20.0), _core.multiply(log10(error), 10.0))


@op
def vander(x, N=None, increasing=False):
    """The matrix of powers: `y[i][j] = x[i]^(N - 1 - j)`, or `x[i]^j` with `increasing`.

    Args:
        x: Tensor (n,).
        N: int, number of columns, n by default.
        increasing: bool.
    """
    x = as_tensor(x)
    if x.ndim != 1:
        raise ValueError(f"vander: x must have one axis, received x of shape {x.shape}")
    powers = np.arange(x.shape[0] if N is None else N)
    powers = powers if increasing else powers[::-1]
    return _core.power(_core.reshape(x, shape=[-1, 1]), cast(as_tensor(powers.astype("int32")), x.dtype))


@op
def trapezoid(y, x=None, dx=1.0, axis=-1):
    """The integral by the trapezoidal rule: `sum_i (y[i] + y[i + 1]) / 2 (x[i + 1] - x[i])` along `axis`.

    Args:
        y: Tensor, the values.
        x: Tensor of places, in the shape of `y` or of one axis; None for places `dx` apart.
        dx: number.
        axis: int.
    """
    from maas.ops.arrays import diff
    from maas.ops.views import moveaxis

    y = moveaxis(floating(y), axis, -1)
    step = dx
    if x is not None:
        x = cast(x, y.dtype)
        step = diff(x if x.ndim == 1 else moveaxis(x, axis, -1), axis=-1)
    means = _core.multiply(_core.add(y[..., 1:], y[..., :-1]), 0.5)
    return reduction.sum(_core.multiply(means, step), -1)


@op
def isin(x1, x2, assume_unique=False, invert=False):
    """Whether each element of `x1` is among those of `x2`.

    Args:
        x1: Tensor.
        x2: Tensor of any shape.
        assume_unique: bool, a hint that changes nothing here.
        invert: bool; True asks for the elements that are not.

    Returns:
        Tensor of bool in the shape of `x1`.
    """
    x1, x2 = as_tensor(x1), as_tensor(x2)
    dtype = result_type(x1.dtype, x2.dtype)
    dtype = "int32" if dtype == "bool" else dtype
    x1, x2 = cast(x1, dtype), _core.sort(_core.reshape(cast(x2, dtype), shape=[-1]), axis=0)
    if x2.shape[0] == 0:
        found = _core.not_equal(zeros_like(x1), 0)
    else:
        place = _core.searchsorted(x2, x1, right=False)
        last = cast(as_tensor(x2.dims[0]), place.dtype) if not isinstance(x2.dims[0], int) else x2.dims[0]
        found = _core.equal(_core.take(x2, _core.minimum(place, _core.subtract(last, 1)), axis=0), x1)
    return _core.logical_not(found) if invert else found


@op
def unravel_index(indices, shape):
    """Places in an array of `shape` for places in its flat order.

    Args:
        indices: Tensor of integers; negative ones count from the end, and the first or last place takes what is beyond.
        shape: tuple of ints.

    Returns:
        Tuple of Tensors, one per axis.
    """
    indices, places = as_tensor(indices), []
    rest = cast(indices, "int64")  # limits and sizes need not fit the dtype of the indices
    n = math.prod(int(size) for size in shape)
    if n:
        rest = _core.mod(_core.minimum(_core.maximum(rest, -n), n - 1), n)
    for size in reversed(shape):
        places.append(cast(_core.mod(rest, int(size)), indices.dtype))
        rest = _core.floor_divide(rest, int(size))
    return tuple(reversed(places))


@op
def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    """`num` numbers from `start` to `stop` at equal ratios; both have one sign.

    Args:
        start, stop: numbers or arrays that broadcast.
        num: int.
        endpoint: bool, whether `stop` is the last one.
        dtype: str, default that of the arguments, at least a float.
        axis: int, the new axis.
    """
    given = [as_tensor(v) for v in (start, stop)]
    dtype = dtype or result_type(*(v.dtype for v in given), float)
    values = np.geomspace(*(np.asarray(v, "float64") for v in given), num, endpoint, axis=axis)
    return _core.Tensor(values, dtype)


@op
def corrcoef(x):
    """Correlation coefficients of the rows of `x`: `c[i][j] / sqrt(c[i][i] c[j][j])` of their covariances `c`.

    Args:
        x: Tensor (variables, observations), or (observations,): then the result is a scalar.
    """
    from maas.ops.linear import matmul

    x = floating(x)
    rows = _core.reshape(x, shape=[1, -1]) if x.ndim == 1 else x
    apart = _core.subtract(rows, reduction.mean(rows, -1, True))
    c = matmul(apart, transpose(apart))
    spread = _core.sqrt(diag(c))
    y = _core.divide(_core.divide(c, _core.reshape(spread, shape=[-1, 1])), spread)
    y = _core.minimum(_core.maximum(y, -1.0), 1.0)
    return _core.reshape(y, shape=[]) if x.ndim == 1 else y


@op
def correlate(x1, x2, mode="valid"):
    """Cross-correlation of two sequences: `y[k] = sum_n x1[n + k] x2[n]`.

    Args:
        x1, x2: Tensors of one axis.
        mode: "valid" (both overlap whole), "same" (as long as the longer) or "full".

    Raises:
        ValueError: for another mode, or other shapes.
    """
    from maas.ops.nn_conv import conv
    from maas.ops.shape import pad

    if mode not in ("valid", "same", "full"):
        raise ValueError(f"correlate: mode must be 'valid', 'same' or 'full', received mode={mode!r}")
    x1, x2 = as_tensor(x1), as_tensor(x2)
    if x1.ndim != 1 or x2.ndim != 1 or None in (x1.shape[0], x2.shape[0]) or 0 in (x1.shape[0], x2.shape[0]):
        raise ValueError(f"correlate: sequences of one axis are needed, received shapes {x1.shape} and {x2.shape}")
    dtype = result_type(x1.dtype, x2.dtype, float)
    x1, x2 = cast(x1, dtype), cast(x2, dtype)
    turned = x1.shape[0] < x2.shape[0]
    long, short = (x2, x1) if turned else (x1, x2)
    m = short.shape[0]
    before = {"valid": 0, "full": m - 1, "same": (m - 1) - (m - 1) // 2 if turned else m // 2}[mode]
    after = {"valid": 0, "full": m - 1, "same": m - 1 - before}[mode]
    long, short = pad(long, [(before, after)]), _core.reshape(short, shape=[-1, 1, 1])
    y = _core.reshape(conv(_core.reshape(long, shape=[1, -1, 1]), short, data_format="channels_last"), shape=[-1])
    return cast(_core.flip(y, axis=[0]) if turned else y, dtype)


@op
def cdist(x, y):
    """Euclidean distances of all pairs of rows: `d[i][j] = |x[i] - y[j]|`.

    Args:
        x: Tensor (..., m, n).
        y: Tensor (..., k, n).

    Returns:
        Tensor (..., m, k). Where two rows are equal its gradient is 0.
    """
    x, y = as_tensor(x), as_tensor(y)
    dtype = result_type(x.dtype, y.dtype, float)
    x, y = cast(x, dtype), cast(y, dtype)
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-1]:
        raise ValueError(f"cdist: rows of one length are needed, received shapes {x.shape} and {y.shape}")
    x = _core.reshape(x, shape=[*x.dims[:-1], 1, x.dims[-1]])
    y = _core.reshape(y, shape=[*y.dims[:-2], 1, *y.dims[-2:]])
    square = reduction.sum(_core.square(_core.subtract(x, y)), -1)
    apart = _core.greater(square, 0.0)
    return _core.where(apart, _core.sqrt(_core.where(apart, square, cast(1.0, dtype))), 0.0)


def vectorize(pyfunc, *, excluded=None, signature=None):
    """A function of scalars as a function of tensors, called for every element of arguments that broadcast.

    Args:
        pyfunc: function of Tensors.
        excluded: set of positions of arguments that are handed on as they are.
        signature: must be None.

    Returns:
        Function of Tensors.
    """
    if signature is not None:
        raise NotImplementedError(
            f"vectorize: signatures are not available, use vectorized_map; received signature={signature!r}"
        )
    from maas.ops.control import vectorized_map
    from maas.ops.views import broadcast_to

    fixed = set(excluded or ())

    def vectorized(*args):
        moving = [i for i in range(len(args)) if i not in fixed]
        tensors = [as_tensor(args[i]) for i in moving]
        together = sum(zeros_like(t, "int32") for t in tensors)
        flat = [_core.reshape(broadcast_to(t, together.dims), shape=[-1]) for t in tensors]

        def one(values):
            given = list(args)
            for i, value in zip(moving, values):
                given[i] = value
            return pyfunc(*given)

        from maas import tree

        y = vectorized_map(one, flat)
        return tree.map_structure(lambda part: _core.reshape(part, shape=[*together.dims, *part.dims[1:]]), y)

    vectorized.__name__ = getattr(pyfunc, "__name__", "vectorized")
    vectorized.__doc__ = pyfunc.__doc__
    return vectorized
