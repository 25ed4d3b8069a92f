"""Sums, means, extremes and what is built from them. Names and semantics of `keras.ops`."""

from maas import _core
from maas.backend.symbolic import op
from maas.ops.core import as_tensor

__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "average",
    "count_nonzero",
    "cumsum",
    "logsumexp",
    "max",
    "mean",
    "min",
    "moments",
    "prod",
    "std",
    "sum",
    "var",
]


def _axes(axis):
    """An axis as the list that ops take; an empty list is all axes."""
    if axis is None:
        return []
    return [axis] if isinstance(axis, int) else list(axis)


def _fold(fold, x, axis, keepdims):
    x = as_tensor(x)
    if axis is not None and not isinstance(axis, int) and len(axis) == 0:
        # NumPy: no axes means nothing is reduced; the op itself reads an empty list as all axes.
        return fold(_core.broadcast_to(x, shape=[1] + [-1] * x.ndim), axis=[0], keepdims=False)
    return fold(x, axis=_axes(axis), keepdims=keepdims)


@op
def sum(x, axis=None, keepdims=False):
    """Sum of elements: `y = sum(x)` over the axes.

    Args:
        x: Tensor of any shape and dtype. Booleans and small integers are summed in int32 (uint8 in uint32).
        axis: int, list of ints, or None for all axes.
        keepdims: bool, keep reduced axes with size 1.

    Returns:
        Tensor. float32 sums run in an order that depends on the number of summed elements alone.

    Raises:
        ValueError: if an axis is out of range or named twice.
    """
    return _fold(_core.sum, x, axis, keepdims)


@op
def mean(x, axis=None, keepdims=False):
    """Mean of elements: `y = sum(x) / count`.

    Args:
        x: Tensor of any shape. The mean of integers and booleans is float32.
        axis: int, list of ints, or None for all axes.
        keepdims: bool, keep reduced axes with size 1.

    Returns:
        Tensor; NaN where nothing was averaged.
    """
    return _fold(_core.mean, x, axis, keepdims)


@op
def prod(x, axis=None, keepdims=False, dtype=None):
    """Product of elements.

    Args:
        x: Tensor of any shape and dtype.
        axis: int, list of ints, or None for all axes.
        keepdims: bool, keep reduced axes with size 1.
        dtype: dtype of the result, or None for that of `sum`.

    Returns:
        Tensor.
    """
    if dtype is not None:
        x = _core.cast(as_tensor(x), dtype=dtype)
    return _fold(_core.prod, x, axis, keepdims)


@op
def max(x, axis=None, keepdims=False, initial=None):
    """Largest element along the axes; NaN if one of them is NaN. Equal extremes share the gradient.

    Args:
        x: Tensor of any shape and dtype; the reduced axes must not be empty.
        axis: int, list of ints, or None for all axes.
        keepdims: bool, keep reduced axes with size 1.
        initial: number that the result is never below, or None.

    Returns:
        Tensor of `x`'s dtype.

    Raises:
        ValueError: if a reduced axis is empty.
    """
    y = _fold(_core.max, x, axis, keepdims)
    return y if initial is None else _core.maximum(y, initial)


@op
def min(x, axis=None, keepdims=False, initial=None):
    """Smallest element along the axes; NaN if one of them is NaN. Equal extremes share the gradient.

    Args:
        x: Tensor of any shape and dtype; the reduced axes must not be empty.
        axis: int, list of ints, or None for all axes.
        keepdims: bool, keep reduced axes with size 1.
        initial: number that the result is never above, or None.

    Returns:
        Tensor of `x`'s dtype.

    Raises:
        ValueError: if a reduced axis is empty.
    """
    y = _fold(_core.min, x, axis, keepdims)
    return y if initial is None else _core.minimum(y, initial)


amax = max
amin = min


@op
def any(x, axis=None, keepdims=False):
    """True where some element along the axes is not 0.

    Args:
        x: Tensor of any shape and dtype.
        axis: int, list of ints, or None for all axes.
        keepdims: bool, keep reduced axes with size 1.

    Returns:
        Tensor of dtype bool.
    """
    return _fold(_core.any, x, axis, keepdims)


@op
def all(x, axis=None, keepdims=False):
    """True where every element along the axes is not 0.

    Args:
        x: Tensor of any shape and dtype.
        axis: int, list of ints, or None for all axes.
        keepdims: bool, keep reduced axes with size 1.

    Returns:
        Tensor of dtype bool.
    """
    return _fold(_core.all, x, axis, keepdims)


@op
def argmax(x, axis=None, keepdims=False):
    """Position of the first largest element along an axis; a NaN counts as largest.

    Args:
        x: Tensor of any shape and dtype; the axis must not be empty.
        axis: int, or None for the position in the flattened `x`.
        keepdims: bool, keep reduced axes with size 1.

    Returns:
        Tensor of dtype int32.
    """
    return _core.argmax(as_tensor(x), axis=_axes(axis), keepdims=keepdims)


@op
def argmin(x, axis=None, keepdims=False):
    """Position of the first smallest element along an axis; a NaN counts as smallest.

    Args:
        x: Tensor of any shape and dtype; the axis must not be empty.
        axis: int, or None for the position in the flattened `x`.
        keepdims: bool, keep reduced axes with size 1.

    Returns:
        Tensor of dtype int32.
    """
    return _core.argmin(as_tensor(x), axis=_axes(axis), keepdims=keepdims)


@op
def var(x, axis=None, keepdims=False):
    """Variance: `mean((x - mean(x)) ** 2)`.

    The mean is taken out twice: a mean far from 0 is rounded, and what is left of it would cost the variance digits.

    Args:
        x: Tensor of any shape; integers give float32.
        axis: int, list of ints, or None for all axes.
        keepdims: bool, keep reduced axes with size 1.

    Returns:
        Tensor.
    Reference: Chan, Golub and LeVeque, 1983, "Algorithms for computing the sample variance".
    """
    x = as_tensor(x)
    centered = _core.subtract(x, mean(x, axis, keepdims=True))
    centered = _core.subtract(centered, mean(centered, axis, keepdims=True))
    return mean(_core.square(centered), axis, keepdims)


@op
def std(x, axis=None, keepdims=False):
    """Standard deviation: `sqrt(var(x))`.

    Args:
        x: Tensor of any shape; integers give float32.
        axis: int, list of ints, or None for all axes.
        keepdims: bool, keep reduced axes with size 1.

    Returns:
        Tensor.
    """
    return _core.sqrt(var(x, axis, keepdims))


@op
def moments(x, axes, keepdims=False, synchronized=False):
    """Mean and variance over the axes.

    Args:
        x: Tensor of any shape, floating dtype.
        axes: int, list of ints, or None for all axes.
        keepdims: bool, keep reduced axes with size 1.
        synchronized: must be False; statistics across devices are not computed here.

    Returns:
        Tuple of two tensors, mean and variance.

    Raises:
        NotImplementedError: if `synchronized` is True.
    """
    if synchronized:
        raise NotImplementedError("moments: statistics across devices are not available, received synchronized=True")
    return mean(x, axes, keepdims), var(x, axes, keepdims)


@op
def logsumexp(x, axis=None, keepdims=False):
    """`log(sum(exp(x)))` without overflow: the largest finite element is taken out first.

    Args:
        x: Tensor of any shape, floating dtype.
        axis: int, list of ints, or None for all axes.
        keepdims: bool, keep reduced axes with size 1.

    Returns:
        Tensor; -inf where every element is -inf.
    """
    x = as_tensor(x)
    top = _core.stop_gradient(max(x, axis, keepdims=True))
    top = _core.where(_core.isfinite(top), top, 0.0)
    total = _core.add(_core.log(sum(_core.exp(_core.subtract(x, top)), axis, keepdims=True)), top)
    return total if keepdims else sum(total, axis)


@op
def average(x, axis=None, weights=None):
    """Weighted mean: `sum(x * weights) / sum(weights)`.

    Args:
        x: Tensor of any shape.
        axis: int, list of ints, or None for all axes.
        weights: Tensor of `x`'s shape, or one-dimensional of the size of the one axis; None weighs all alike.

    Returns:
        Tensor.
    """
    if weights is None:
        return mean(x, axis)
    x, weights = as_tensor(x), as_tensor(weights)
    if weights.ndim == 1 and x.ndim > 1:
        if not isinstance(axis, int):
            raise ValueError(f"average: one axis is needed with one-dimensional weights, received axis={axis}")
        shape = [1] * x.ndim
        shape[axis] = weights.dims[0]
        weights = _core.reshape(weights, shape=shape)
    weighted = _core.multiply(x, weights)
    total = sum(_core.broadcast_to(weights, shape=list(weighted.dims)), axis)
    return _core.divide(sum(weighted, axis), total)


@op
def count_nonzero(x, axis=None):
    """Number of elements that are not 0, as int32.

    Args:
        x: Tensor of any shape and dtype.
        axis: int, list of ints, or None for all axes.
    """
    return sum(_core.not_equal(as_tensor(x), 0), axis)


@op
def cumsum(x, axis=None, dtype=None):
    """Running sum: `y[j] = x[0] + ... + x[j]` along one axis.

    Args:
        x: Tensor of any shape. Small integers wrap, booleans are counted in int32.
        axis: int, or None for the flat order of elements.
        dtype: dtype of the sums; that of `x` if None.

    Returns:
        Tensor of the shape of `x`, flat if `axis` is None. float32 sums run element by element.

    Raises:
        ValueError: if `axis` is out of range.
    """
    x = as_tensor(x)
    if dtype is not None:
        x = _core.cast(x, dtype=dtype)
    if axis is None:
        x, axis = _core.reshape(x, shape=[-1]), 0
    y = _core.cumsum(x, axis=axis)
    return y if x.dtype == "bool" or y.dtype == x.dtype else _core.cast(y, dtype=x.dtype)
