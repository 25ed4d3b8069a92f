"""Softmax, its logarithm and sparsemax."""

from maas import _core
from maas.backend.symbolic import op
from maas.ops.core import floating
from maas.ops.views import reshape

__all__ = ["log_softmax", "softmax", "sparsemax"]


def _along(x, axis, log):
    if isinstance(axis, (tuple, list)):
        # Several axes together: move them to the end, treat them as one, and move them back.
        from maas.ops.views import transpose

        axes = [a % x.ndim for a in axis]
        kept = [a for a in range(x.ndim) if a not in axes]
        order = kept + axes
        moved = transpose(x, order)
        flat = reshape(moved, [*(x.dims[a] for a in kept), -1])
        y = reshape(_core.softmax(flat, axis=-1, log=log), moved.dims)
        return transpose(y, [order.index(a) for a in range(x.ndim)])
    return _core.softmax(x, axis=-1 if axis is None else axis, log=log)


@op
def softmax(x, axis=-1):
    """Softmax along one axis: `y = exp(x - max(x)) / sum(exp(x - max(x)))`.

    Args:
        x: Tensor of any shape; integers are read as floats.
        axis: int or tuple of ints, the axes along which `y` sums to 1; None means all.

    Returns:
        Tensor with the shape and floating dtype of `x`. Sums are kept in float32.

    Raises:
        ValueError: if `axis` is out of range.
    Reference: Milakov and Gimelshein, 2018, "Online normalizer calculation for softmax", arXiv:1805.02867.
    """
    x = floating(x)
    if axis is None:
        return reshape(_core.softmax(reshape(x, (-1,)), axis=-1), x.dims)
    return _along(x, axis, False)


@op
def log_softmax(x, axis=-1):
    """`y = x - max(x) - ln(sum(exp(x - max(x))))` along `axis`; see `softmax`."""
    x = floating(x)
    if axis is None:
        return reshape(_core.softmax(reshape(x, (-1,)), axis=-1, log=True), x.dims)
    return _along(x, axis, True)


@op
def sparsemax(x, axis=-1):
    """Sparsemax along one axis: `y = max(x - tau, 0)` with the `tau` for which `y` sums to 1.

    It is the point of the simplex nearest to `x`. Keras up to 3.15 gives that only where one element stays above 0:
    its `tau` is too large for more of them, so that the row sums to less than 1.

    Args:
        x: Tensor of any shape; integers are read as floats.
        axis: int, the axis along which `y` sums to 1.

    Returns:
        Tensor with the shape and floating dtype of `x`. Sums are kept in float32, of float64 in float64. A NaN or
        +inf makes its row NaN.

    Raises:
        ValueError: if `axis` is out of range.
    Reference: Martins and Astudillo, 2016, "From Softmax to Sparsemax", arXiv:1602.02068.
    """
    return _core.sparsemax(floating(x), axis=axis)
