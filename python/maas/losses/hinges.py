"""Hinge losses: zero once a sample is right by a margin of 1."""

from maas import ops
from maas.losses.loss import NamedLoss


def _signed(y_true, y_pred):
    """Targets as -1 and 1; targets that are all 0 or 1 are converted."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    binary = ops.all(ops.logical_or(ops.equal(y_true, 0.0), ops.equal(y_true, 1.0)))
    return ops.where(binary, 2.0 * y_true - 1.0, y_true), y_pred


def hinge(y_true, y_pred):
    """`mean(max(1 - y * p, 0))` over the last axis.

    Args:
        y_true: Tensor (..., d) of -1 and 1 (or 0 and 1).
        y_pred: Tensor (..., d).

    Returns:
        Tensor (...).
    """
    y_true, y_pred = _signed(y_true, y_pred)
    return ops.mean(ops.maximum(1.0 - y_true * y_pred, 0.0), axis=-1)


def squared_hinge(y_true, y_pred):
    """`mean(max(1 - y * p, 0)^2)` over the last axis. Arguments as `hinge`."""
    y_true, y_pred = _signed(y_true, y_pred)
    return ops.mean(ops.square(ops.maximum(1.0 - y_true * y_pred, 0.0)), axis=-1)


def categorical_hinge(y_true, y_pred):
    """`max(max_c((1 - y_c) p_c) - sum_c(y_c p_c) + 1, 0)` over one-hot rows."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    right = ops.sum(y_true * y_pred, axis=-1)
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.maximum(wrong - right + 1.0, 0.0)


class Hinge(NamedLoss):
    """Hinge loss. See `losses.hinge`."""

    def __init__(self, reduction="sum_over_batch_size", name="hinge", dtype=None):
        super().__init__(hinge, reduction=reduction, name=name, dtype=dtype)


class SquaredHinge(NamedLoss):
    """Squared hinge loss. See `losses.squared_hinge`."""

    def __init__(self, reduction="sum_over_batch_size", name="squared_hinge", dtype=None):
        super().__init__(squared_hinge, reduction=reduction, name=name, dtype=dtype)


class CategoricalHinge(NamedLoss):
    """Hinge loss of one-hot targets. See `losses.categorical_hinge`."""

    def __init__(self, reduction="sum_over_batch_size", name="categorical_hinge", dtype=None):
        super().__init__(categorical_hinge, reduction=reduction, name=name, dtype=dtype)
