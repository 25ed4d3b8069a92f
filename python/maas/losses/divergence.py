"""Losses between distributions and counts."""

from maas import backend, ops
from maas.losses.loss import NamedLoss


def kl_divergence(y_true, y_pred):
    """`sum(y log(y / p))` over the last axis, both clipped to [epsilon, 1].

    Args:
        y_true: Tensor (..., classes) of probabilities.
        y_pred: Tensor (..., classes) of probabilities.

    Returns:
        Tensor (...).
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.clip(ops.convert_to_tensor(y_true, dtype=y_pred.dtype), backend.epsilon(), 1.0)
    y_pred = ops.clip(y_pred, backend.epsilon(), 1.0)
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


def poisson(y_true, y_pred):
    """`mean(p - y log(p + epsilon))` over the last axis: the Poisson likelihood without its constant."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true, dtype=y_pred.dtype)
    return ops.mean(y_pred - y_true * ops.log(y_pred + backend.epsilon()), axis=-1)


class KLDivergence(NamedLoss):
    """Kullback-Leibler divergence. See `losses.kl_divergence`."""

    def __init__(self, reduction="sum_over_batch_size", name="kl_divergence", dtype=None):
        super().__init__(kl_divergence, reduction=reduction, name=name, dtype=dtype)


class Poisson(NamedLoss):
    """Negative Poisson log-likelihood. See `losses.poisson`."""

    def __init__(self, reduction="sum_over_batch_size", name="poisson", dtype=None):
        super().__init__(poisson, reduction=reduction, name=name, dtype=dtype)
