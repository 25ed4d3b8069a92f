"""Regression losses. Every function returns one value per sample: the mean over the last axis."""

import math

from maas import backend, ops
from maas.losses.loss import NamedLoss, as_pair


def mean_squared_error(y_true, y_pred):
    """`mean((y_true - y_pred)^2)` over the last axis.

    Args:
        y_true: Tensor (..., d), the targets.
        y_pred: Tensor (..., d), the predictions.

    Returns:
        Tensor (...).
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


def mean_absolute_error(y_true, y_pred):
    """`mean(|y_true - y_pred|)` over the last axis. Arguments as `mean_squared_error`."""
    y_true, y_pred = as_pair(y_true, y_pred)
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


def mean_absolute_percentage_error(y_true, y_pred):
    """`100 * mean(|y_true - y_pred| / max(|y_true|, epsilon))` over the last axis."""
    y_true, y_pred = as_pair(y_true, y_pred)
    return 100.0 * ops.mean(ops.abs((y_true - y_pred) / ops.maximum(ops.abs(y_true), backend.epsilon())), axis=-1)


def mean_squared_logarithmic_error(y_true, y_pred):
    """`mean((log(y_true + 1) - log(y_pred + 1))^2)` over the last axis; inputs below epsilon count as epsilon."""
    y_true, y_pred = as_pair(y_true, y_pred)
    log_pred = ops.log(ops.maximum(y_pred, backend.epsilon()) + 1.0)
    log_true = ops.log(ops.maximum(y_true, backend.epsilon()) + 1.0)
    return ops.mean(ops.square(log_pred - log_true), axis=-1)


def huber(y_true, y_pred, delta=1.0):
    """Half the square for errors up to `delta`, linear beyond: `delta * |e| - delta^2 / 2`.

    Args:
        y_true: Tensor (..., d).
        y_pred: Tensor (..., d).
        delta: float, where the square turns into a line.

    Returns:
        Tensor (...).

    Reference: Huber, 1964, "Robust Estimation of a Location Parameter".
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    error = ops.abs(y_pred - y_true)
    return ops.mean(ops.where(error <= delta, 0.5 * ops.square(error), delta * error - 0.5 * delta * delta), axis=-1)


def log_cosh(y_true, y_pred):
    """`mean(log(cosh(y_pred - y_true)))`, written as `x + softplus(-2x) - log 2` so that it cannot overflow."""
    y_true, y_pred = as_pair(y_true, y_pred)
    error = y_pred - y_true
    return ops.mean(error + ops.softplus(error * -2.0) - math.log(2.0), axis=-1)


def l2_normalize(x, axis=-1):
    """`x / max(||x||_2, 1e-12)` along `axis`."""
    square_sum = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(square_sum, 1e-24))


def cosine_similarity(y_true, y_pred, axis=-1):
    """`-sum(y_true / ||y_true|| * y_pred / ||y_pred||)` along `axis`: -1 is alike, 1 is opposite."""
    y_true, y_pred = as_pair(y_true, y_pred)
    return -ops.sum(l2_normalize(y_true, axis) * l2_normalize(y_pred, axis), axis=axis)


class MeanSquaredError(NamedLoss):
    """Mean of the squared errors. See `losses.mean_squared_error`."""

    def __init__(self, reduction="sum_over_batch_size", name="mean_squared_error", dtype=None):
        super().__init__(mean_squared_error, reduction=reduction, name=name, dtype=dtype)


class MeanAbsoluteError(NamedLoss):
    """Mean of the absolute errors. See `losses.mean_absolute_error`."""

    def __init__(self, reduction="sum_over_batch_size", name="mean_absolute_error", dtype=None):
        super().__init__(mean_absolute_error, reduction=reduction, name=name, dtype=dtype)


class MeanAbsolutePercentageError(NamedLoss):
    """Mean of the absolute errors in percent of the target. See `losses.mean_absolute_percentage_error`."""

    def __init__(self, reduction="sum_over_batch_size", name="mean_absolute_percentage_error", dtype=None):
        super().__init__(mean_absolute_percentage_error, reduction=reduction, name=name, dtype=dtype)


class MeanSquaredLogarithmicError(NamedLoss):
    """Mean of the squared differences of logarithms. See `losses.mean_squared_logarithmic_error`."""

    def __init__(self, reduction="sum_over_batch_size", name="mean_squared_logarithmic_error", dtype=None):
        super().__init__(mean_squared_logarithmic_error, reduction=reduction, name=name, dtype=dtype)


class Huber(NamedLoss):
    """Square near zero, line far away. See `losses.huber`."""

    def __init__(self, delta=1.0, reduction="sum_over_batch_size", name="huber_loss", dtype=None):
        super().__init__(huber, reduction=reduction, name=name, dtype=dtype, delta=delta)


class LogCosh(NamedLoss):
    """Logarithm of the hyperbolic cosine of the error. See `losses.log_cosh`."""

    def __init__(self, reduction="sum_over_batch_size", name="log_cosh", dtype=None):
        super().__init__(log_cosh, reduction=reduction, name=name, dtype=dtype)


class CosineSimilarity(NamedLoss):
    """Negative cosine of the angle between target and prediction. See `losses.cosine_similarity`."""

    def __init__(self, axis=-1, reduction="sum_over_batch_size", name="cosine_similarity", dtype=None):
        super().__init__(cosine_similarity, reduction=reduction, name=name, dtype=dtype, axis=axis)
