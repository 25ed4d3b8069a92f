"""Losses of overlapping regions, for segmentation."""

from maas import backend, ops
from maas.losses.loss import NamedLoss


def tversky(y_true, y_pred, alpha=0.5, beta=0.5, axis=None):
    """`1 - I / (I + alpha * missed + beta * extra + epsilon)` with `I = sum(y * p)`.

    Args:
        y_true: Tensor of 0 and 1.
        y_pred: Tensor of probabilities, same shape.
        alpha: float, the weight of what was missed, `sum(y * (1 - p))`.
        beta: float, the weight of what is too much, `sum((1 - y) * p)`.
        axis: int, tuple or None; what is summed over.

    Returns:
        Tensor, a scalar if `axis` is None.

    Reference: Salehi et al., 2017, arXiv:1706.05721.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    both = ops.sum(y_true * y_pred, axis=axis)
    missed = ops.sum((1.0 - y_pred) * y_true, axis=axis)
    extra = ops.sum(y_pred * (1.0 - y_true), axis=axis)
    return 1.0 - both / (both + missed * alpha + extra * beta + backend.epsilon())


def dice(y_true, y_pred, axis=None):
    """`1 - 2 sum(y * p) / (sum(y) + sum(p) + epsilon)`. Arguments as `tversky`."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    both = ops.sum(y_true * y_pred, axis=axis)
    return 1.0 - 2.0 * both / (ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis) + backend.epsilon())


class Dice(NamedLoss):
    """Dice loss. See `losses.dice`."""

    def __init__(self, reduction="sum_over_batch_size", name="dice", axis=None, dtype=None):
        super().__init__(dice, reduction=reduction, name=name, dtype=dtype, axis=axis)
        self.axis = axis


class Tversky(NamedLoss):
    """Tversky loss. See `losses.tversky`."""

    def __init__(self, alpha=0.5, beta=0.5, reduction="sum_over_batch_size", name="tversky", axis=None, dtype=None):
        super().__init__(tversky, reduction=reduction, name=name, dtype=dtype, alpha=alpha, beta=beta, axis=axis)
        self.alpha, self.beta, self.axis = alpha, beta, axis
