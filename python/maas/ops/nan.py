"""Reductions that leave NaN out."""

import math

from maas import _core
from maas.backend import is_float_dtype
from maas.backend.symbolic import op
from maas.ops import reduction
from maas.ops.arrays import cumprod
from maas.ops.core import as_tensor, cast, floating
from maas.ops.sorting import _METHODS, _between, _reduced, _shares

__all__ = [
    "nanargmax", "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin", "nanpercentile",
    "nanprod", "nanquantile", "nanstd", "nansum", "nanvar",
]  # fmt: skip

_AXES = """

    Args:
        x: Tensor of any shape.
        axis: int, list of ints, or None for all axes.
        keepdims: bool, keep reduced axes with size 1.
    """


def _filled(x, value):
    """`x` with a number in place of NaN."""
    x = as_tensor(x)
    return _core.where(_core.isnan(x), cast(float(value), x.dtype), x) if is_float_dtype(x.dtype) else x


def _wide(dtype):
    """The dtype of counts and sums: float16 cannot count beyond 2048, and overflows at 65,504."""
    return "float64" if dtype == "float64" else "float32"


def _count(x, axis, keepdims=True):
    """How many numbers there are, float32 or float64."""
    return reduction.sum(cast(_core.logical_not(_core.isnan(x)), _wide(x.dtype)), axis, keepdims)


def _mean(x, axis, keepdims):
    return _core.divide(nansum(x, axis, keepdims), _count(x, axis, keepdims))


@op
def nansum(x, axis=None, keepdims=False):
    """Sum of what is not NaN, 0 where nothing is."""
    return reduction.sum(_filled(x, 0), axis, keepdims)


@op
def nanprod(x, axis=None, keepdims=False):
    """Product of what is not NaN, 1 where nothing is."""
    return reduction.prod(_filled(x, 1), axis, keepdims)


@op
def nanmean(x, axis=None, keepdims=False):
    """Mean of what is not NaN, NaN where nothing is."""
    x = floating(x)
    return cast(_mean(cast(x, _wide(x.dtype)), axis, keepdims), x.dtype)


@op
def nanvar(x, axis=None, keepdims=False):
    """Variance of what is not NaN, NaN where nothing is."""
    dtype = floating(x).dtype
    x = cast(x, _wide(dtype))
    # The NaN of `x` goes before the square: 0 times the square's slope, NaN, would be NaN.
    apart = _core.where(_core.isnan(x), cast(0.0, x.dtype), _core.subtract(x, _mean(x, axis, True)))
    y = _core.divide(reduction.sum(_core.square(apart), axis, keepdims), _count(x, axis, keepdims))
    return cast(y, dtype)


@op
def nanstd(x, axis=None, keepdims=False):
    """Standard deviation of what is not NaN, NaN where nothing is."""
    return _core.sqrt(nanvar(x, axis, keepdims))


def _extreme(x, axis, keepdims, reduce, value):
    x = as_tensor(x)
    if not is_float_dtype(x.dtype):
        return reduce(x, axis, keepdims)
    y = reduce(_filled(x, value), axis, keepdims)
    return _core.where(_core.equal(_count(x, axis, keepdims), 0.0), cast(math.nan, x.dtype), y)


@op
def nanmax(x, axis=None, keepdims=False):
    """Largest of what is not NaN, NaN where nothing is."""
    return _extreme(x, axis, keepdims, reduction.max, -math.inf)


@op
def nanmin(x, axis=None, keepdims=False):
    """Smallest of what is not NaN, NaN where nothing is."""
    return _extreme(x, axis, keepdims, reduction.min, math.inf)


def _place(x, axis, keepdims, find, value):
    x = as_tensor(x)
    y = find(_filled(x, value), axis, keepdims)
    if not is_float_dtype(x.dtype):
        return y
    none = reduction.all(_core.isnan(x), axis, keepdims)
    return _core.where(none, cast(-1, y.dtype), y)


@op
def nanargmax(x, axis=None, keepdims=False):
    """Position of the first largest element that is not NaN, -1 where there is none. `axis` is one int or None."""
    return _place(x, axis, keepdims, reduction.argmax, -math.inf)


@op
def nanargmin(x, axis=None, keepdims=False):
    """Position of the first smallest element that is not NaN, -1 where there is none. `axis` is one int or None."""
    return _place(x, axis, keepdims, reduction.argmin, math.inf)


@op
def nancumsum(x, axis=None, dtype=None):
    """Running sum in which NaN counts as 0. Arguments as `cumsum`."""
    return reduction.cumsum(_filled(x, 0), axis, dtype)


@op
def nancumprod(x, axis=None, dtype=None):
    """Running product in which NaN counts as 1. Arguments as `cumprod`."""
    return cumprod(_filled(x, 1), axis, dtype)


@op
def nanquantile(x, q, axis=None, method="linear", keepdims=False):
    """The values below which the shares `q` of the elements that are not NaN lie.

    Args:
        x: Tensor; integers give float32.
        q: number or Tensor of numbers in [0, 1].
        axis: int, tuple of ints, or None for all axes.
        method: "linear", "lower", "higher", "midpoint" or "nearest".
        keepdims: bool.

    Returns:
        Tensor with the axes of `q` first; NaN where there is nothing but NaN.
    """
    from maas.ops.views import moveaxis, transpose

    if method not in _METHODS:
        raise ValueError(f"nanquantile: method must be one of {list(_METHODS)}, received method={method!r}")
    x = floating(x)
    axes = _reduced("nanquantile", x, axis)
    kept = [a for a in range(x.ndim) if a not in axes]
    flat = _core.reshape(transpose(x, kept + axes), shape=[*(x.dims[a] for a in kept), -1])
    ordered = _core.sort(flat, axis=-1)  # NaN last
    count = _count(flat, -1)
    q = _shares("nanquantile", q, count.dtype)
    place = _core.multiply(_core.reshape(q, shape=[-1]), _core.maximum(_core.subtract(count, 1.0), 0.0))
    low, high = _core.floor(place), _core.ceil(place)
    if method == "nearest":  # of both the lower where they are equally near
        low = _core.where(_core.less_equal(_core.subtract(place, low), 0.5), low, high)
    below, above = (_core.take_along_axis(ordered, cast(p, "int32"), axis=-1) for p in (low, high))
    y = _between(below, above, cast(_core.subtract(place, low), x.dtype), method)
    y = _core.where(_core.equal(count, 0.0), cast(math.nan, x.dtype), y)
    y = moveaxis(y, -1, 0)
    shape = [1 if a in axes else x.dims[a] for a in range(x.ndim)] if keepdims else [x.dims[a] for a in kept]
    return _core.reshape(y, shape=[*q.dims, *shape])


@op
def nanpercentile(x, q, axis=None, method="linear", keepdims=False):
    """`nanquantile` of `q / 100`."""
    return nanquantile(x, _core.divide(as_tensor(q), 100.0), axis, method, keepdims)


@op
def nanmedian(x, axis=None, keepdims=False):
    """The middle of what is not NaN, the mean of both middle ones for an even number."""
    return nanquantile(x, 0.5, axis, "linear", keepdims)


for _name in ("nansum", "nanprod", "nanmean", "nanvar", "nanstd", "nanmax", "nanmin", "nanmedian"):
    globals()[_name].__doc__ += _AXES
