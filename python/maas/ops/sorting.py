"""Order: sorting, the largest elements, quantiles, places in a sorted sequence."""

import builtins
import math

import numpy as np

from maas import _core
from maas.backend import is_float_dtype, result_type
from maas.backend.config import floatx
from maas.backend.symbolic import op
from maas.ops.core import as_tensor, cast

__all__ = [
    "argpartition",
    "argsort",
    "digitize",
    "histogram",
    "in_top_k",
    "median",
    "percentile",
    "quantile",
    "searchsorted",
    "sort",
    "top_k",
]


def _flat(x, axis):
    return (_core.reshape(x, shape=[-1]), 0) if axis is None or x.ndim == 0 else (x, axis)


@op
def sort(x, axis=-1):
    """The elements of `x` in ascending order along `axis`; NaN last, equal ones in their order.

    Args:
        x: Tensor.
        axis: int, or None to sort the flattened `x`.

    Returns:
        Tensor of the shape and dtype of `x`. The gradient of an element goes to where it came from.

    Raises:
        ValueError: if `axis` is out of range.
    """
    x, axis = _flat(as_tensor(x), axis)
    return _core.sort(x, axis=axis)


@op
def argsort(x, axis=-1):
    """The indices that sort `x` along `axis`: ascending, stable, NaN last.

    Args:
        x: Tensor.
        axis: int, or None to sort the flattened `x`.

    Returns:
        Tensor of int32.

    Raises:
        ValueError: if `axis` is out of range.
    """
    x, axis = _flat(as_tensor(x), axis)
    return _core.argsort(x, axis=axis)


@op
def argpartition(x, kth, axis=-1):
    """Indices with which the `kth` element in order is at its place, smaller ones before it and larger ones behind.

    Args:
        x: Tensor.
        kth: int.
        axis: int, or None for the flattened `x`.

    Returns:
        Tensor of int32; here it sorts `x`.
    """
    x, axis = _flat(as_tensor(x), axis)
    size = x.shape[axis]
    if size is not None and not -size <= kth < size:
        raise ValueError(f"argpartition: kth must be in [{-size}, {size}), received kth={kth}")
    return _core.argsort(x, axis=axis)


@op
def top_k(x, k, sorted=True):
    """The `k` largest elements along the last axis, largest first, and their indices.

    Args:
        x: Tensor (..., n). A NaN counts as larger than all numbers; of equal elements the first come first.
        k: int, at most n.
        sorted: bool; the result is sorted in any case.

    Returns:
        Tuple of Tensors (..., k): values, and indices in int32.

    Raises:
        ValueError: if `k` is out of range.
    """
    return _core.top_k(as_tensor(x), k=int(k))


@op
def in_top_k(targets, predictions, k):
    """Whether fewer than `k` predictions are larger than that of the target.

    Args:
        targets: Tensor (n,) of integers, one class each.
        predictions: Tensor (n, classes).
        k: int.

    Returns:
        Tensor (n,) of bool. A target whose prediction is NaN is in it only if no number is above -inf.

    Raises:
        IndexError: if a target is out of range, naming its position.
    """
    predictions, targets = as_tensor(predictions), as_tensor(targets)
    places = _core.reshape(targets, shape=[*targets.dims, 1])
    rule = f"in_top_k: targets must be in [{-predictions.dims[-1]}, {predictions.dims[-1]})"
    mine = _core.take_along_axis(predictions, places, axis=-1, rule=rule)
    mine = _core.where(_core.isnan(mine), -math.inf, mine)
    rank = _core.sum(_core.greater(predictions, mine), axis=[-1], keepdims=False)
    return _core.less(rank, int(k))


@op
def searchsorted(sorted_sequence, values, side="left"):
    """The places at which `values` go into a sorted sequence so that it stays sorted.

    Args:
        sorted_sequence: Tensor (n,), ascending.
        values: Tensor of any shape.
        side: "left" for the place before equal elements, "right" for the one behind them.

    Returns:
        Tensor of int32 of the shape of `values`, in [0, n].

    Raises:
        ValueError: if the sequence has not one axis, or for another `side`.
    """
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side must be 'left' or 'right', received side={side!r}")
    a, v = as_tensor(sorted_sequence), as_tensor(values)
    if a.ndim != 1:
        raise ValueError(f"searchsorted: sorted_sequence must have one axis, received shape {a.shape}")
    dtype = result_type(a.dtype, v.dtype)
    return _core.searchsorted(cast(a, dtype), cast(v, dtype), right=side == "right")


@op
def digitize(x, bins):
    """The bin of every element: `i` where `bins[i - 1] <= x < bins[i]`, 0 below and `len(bins)` above all.

    Args:
        x: Tensor.
        bins: Tensor (n,), ascending, or descending: then `bins[i - 1] > x >= bins[i]`.

    Returns:
        Tensor of int32 of the shape of `x`.
    """
    bins = as_tensor(bins)
    if bins.ndim != 1 or bins.shape[0] == 0:
        raise ValueError(f"digitize: bins must have one axis that is not empty, received shape {bins.shape}")
    down = _core.less(bins[-1], bins[0])
    place = searchsorted(_core.where(down, _core.flip(bins, axis=[0]), bins), x, "right")
    return _core.where(down, _core.subtract(bins.dims[0], place), place)


_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


@op
def quantile(x, q, axis=None, method="linear", keepdims=False):
    """The values below which the shares `q` of the elements lie.

    Args:
        x: Tensor; integers give float32.
        q: number or Tensor of numbers in [0, 1].
        axis: int, tuple of ints, or None for all axes.
        method: "linear", "lower", "higher", "midpoint" or "nearest": what is taken between two elements.
        keepdims: bool, keep reduced axes with size 1.

    Returns:
        Tensor: the axes of `q`, then those of `x` that stay. NaN where an element is NaN.

    Raises:
        ValueError: for another method, an axis of unknown size, or a known `q` outside [0, 1].
    """
    if method not in _METHODS:
        raise ValueError(f"quantile: method must be one of {list(_METHODS)}, received method={method!r}")
    x = as_tensor(x)
    dtype = x.dtype if is_float_dtype(x.dtype) else floatx()
    x = cast(x, dtype)
    axes = _reduced("quantile", x, axis)
    kept = [a for a in range(x.ndim) if a not in axes]
    n = math.prod(x.shape[a] if x.shape[a] is not None else -1 for a in axes)
    if any(x.shape[a] is None for a in axes) or n == 0:
        raise ValueError(f"quantile: the reduced axes need known sizes of at least 1, received x of shape {x.shape}")
    rest = [x.dims[a] for a in kept]
    rows = _core.reshape(_core.transpose(x, axes=kept + axes) if x.ndim > 1 else x, shape=[*rest, n])
    rows = _core.sort(rows, axis=-1)
    last = _part(rows, n - 1, n)  # NaN if any is

    shares = _shares("quantile", q, "float64" if dtype == "float64" else "float32")
    at = _core.multiply(shares, float(n - 1))
    low, high = _core.floor(at), _core.ceil(at)
    if method == "nearest":
        low = _core.ceil(_core.subtract(at, 0.5))  # a half goes down
    low = _core.minimum(_core.maximum(low, 0.0), float(n - 1))
    high = _core.minimum(_core.maximum(high, 0.0), float(n - 1))
    below = _core.take(rows, cast(_core.reshape(low, shape=[-1]), "int32"), axis=-1)
    above = _core.take(rows, cast(_core.reshape(high, shape=[-1]), "int32"), axis=-1)
    y = _between(below, above, cast(_core.reshape(_core.subtract(at, low), shape=[-1]), dtype), method)
    y = _core.where(_core.isnan(last), last, y)  # (..., number of q)
    y = _core.transpose(y, axes=[y.ndim - 1, *range(y.ndim - 1)]) if y.ndim > 1 else y
    if keepdims:
        rest = [1 if a in axes else x.dims[a] for a in range(x.ndim)]
    return _core.reshape(y, shape=[*shares.dims, *rest])


def _part(rows, begin, end):
    low, high = [0] * rows.ndim, list(rows.dims)
    low[-1], high[-1] = begin, end
    return _core.slice(rows, begin=low, end=high, step=[1] * rows.ndim)


def _reduced(name, x, axis):
    """The reduced axes in their order, counted from the front."""
    axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    for a in axes:
        if not -x.ndim <= a < x.ndim:
            raise ValueError(f"{name}: axis must be in [{-x.ndim}, {x.ndim}), received axis={axis}")
    return builtins.sorted(a % x.ndim for a in axes)


def _between(below, above, weight, method):
    """What lies between two neighbours in order, as far from the lower one as `weight` for "linear"."""
    if method in ("lower", "nearest"):
        return below
    if method == "higher":
        return above
    if method == "midpoint":
        return below * 0.5 + above * 0.5
    mixed = _core.add(_core.multiply(below, _core.subtract(1.0, weight)), _core.multiply(above, weight))
    # An infinite neighbour that weighs nothing must not give NaN.
    return _core.where(_core.equal(weight, 0.0), below, mixed)


def _shares(name, q, dtype):
    if not isinstance(q, (_core.Tensor, _core.Variable)):
        known = np.asarray(q, "float64")
        if not ((known >= 0) & (known <= 1)).all():
            raise ValueError(f"{name}: q must be in [0, 1], received q={q}")
        return _core.Tensor(known, dtype)
    return cast(q, dtype)


@op
def percentile(x, q, axis=None, method="linear", keepdims=False):
    """`quantile(x, q / 100)`.

    Args:
        x: Tensor; integers give float32.
        q: number or Tensor of numbers in [0, 100].
        axis, method, keepdims: as in `quantile`.
    """
    q = _core.divide(cast(q, floatx()), 100.0) if isinstance(q, (_core.Tensor, _core.Variable)) else np.asarray(q) / 100
    return quantile(x, q, axis, method, keepdims)


@op
def median(x, axis=None, keepdims=False):
    """The middle element in order, or the mean of the two middle ones.

    Args:
        x: Tensor; integers give float32.
        axis: int, tuple of ints, or None for all axes.
        keepdims: bool, keep reduced axes with size 1.

    Returns:
        Tensor; NaN where an element is NaN.
    """
    return quantile(x, 0.5, axis, "midpoint", keepdims)


@op
def histogram(x, bins=10, range=None):
    """How many elements lie in each of equally wide bins; the last bin holds its upper bound too.

    Args:
        x: Tensor (n,).
        bins: int.
        range: (low, high), or None for the least and greatest element. Elements outside are not counted.

    Returns:
        Tuple: counts (bins,) in the floating dtype of `x`, and the bins' bounds (bins + 1,).

    Raises:
        ValueError: if `bins` is not a positive int, or the range is turned round.
    """
    from maas import ops

    if not isinstance(bins, int) or bins <= 0:
        raise ValueError(f"histogram: bins must be a positive int, received bins={bins!r}")
    x = as_tensor(x)
    if x.ndim != 1:
        raise ValueError(f"histogram: x must have one axis, received shape {x.shape}")
    x = x if is_float_dtype(x.dtype) else cast(x, floatx())
    if range is not None:
        if range[0] >= range[1]:
            raise ValueError(f"histogram: the range must go upwards, received range={range}")
        low, high = (cast(v, x.dtype) for v in (float(range[0]), float(range[1])))
    else:
        low, high = ops.min(x, initial=None), ops.max(x, initial=None)
        same = _core.equal(low, high)
        low, high = _core.where(same, low - 0.5, low), _core.where(same, high + 0.5, high)
    step = _core.divide(_core.subtract(high, low), float(bins))
    places = cast(as_tensor(np.arange(bins + 1, dtype="int32")), x.dtype)
    bounds = _core.where(_core.equal(places, float(bins)), high, _core.add(low, _core.multiply(places, step)))
    at = _core.subtract(searchsorted(bounds, x, "right"), 1)
    at = _core.where(_core.equal(x, high), bins - 1, at)
    inside = _core.logical_and(_core.greater_equal(at, 0), _core.less(at, bins))
    counts = _core.scatter(
        _core.reshape(_core.where(inside, at, 0), shape=[*at.dims, 1]), cast(inside, "int32"), shape=[bins], mode="add"
    )
    return cast(counts, x.dtype), bounds
