"""Correlation of targets and predictions."""

from maas import backend, ops
from maas.losses.loss import as_pair
from maas.metrics.reduction import NamedMetric


def pearson_correlation(y_true, y_pred, axis=-1):
    """`mean(((y - mean(y)) / std(y)) ((p - mean(p)) / std(p)))` along `axis`, in [-1, 1].

    Args:
        y_true, y_pred: Tensors of one shape.
        axis: int or tuple.

    Returns:
        Tensor without `axis`; NaN where one of both is constant.
    """
    y_true, y_pred = (y - ops.mean(y, axis=axis, keepdims=True) for y in as_pair(y_true, y_pred))
    y_true, y_pred = (y / ops.std(y, axis=axis, keepdims=True) for y in (y_true, y_pred))
    return ops.mean(y_true * y_pred, axis=axis)


def concordance_correlation(y_true, y_pred, axis=-1):
    """`mean(2 (y - mean(p)) (p - mean(p))) / (var(y) + var(p) + (mean(y) - mean(p))^2 + epsilon)` along `axis`.

    Args:
        y_true, y_pred: Tensors of one shape.
        axis: int or tuple.

    Returns:
        Tensor without `axis`.
    Reference: Lin, 1989, "A concordance correlation coefficient to evaluate reproducibility".
    """
    y_true, y_pred = as_pair(y_true, y_pred)
    true_mean, pred_mean = (ops.mean(y, axis=axis, keepdims=True) for y in (y_true, y_pred))
    true_var, pred_var = (ops.var(y, axis=axis, keepdims=True) for y in (y_true, y_pred))
    # (y - mean(p)) in place of (y - mean(y)): the sum is the same, for p - mean(p) adds up to 0.
    together = (y_true - pred_mean) * (y_pred - pred_mean)
    apart = true_var + pred_var + ops.square(true_mean - pred_mean) + backend.epsilon()
    return ops.mean(2.0 * together / apart, axis=axis)


class PearsonCorrelation(NamedMetric):
    """Running mean of `pearson_correlation` along `axis`."""

    def __init__(self, name="pearson_correlation", dtype=None, axis=-1):
        super().__init__(pearson_correlation, name, dtype, "up", axis=axis)
        self.axis = axis


class ConcordanceCorrelation(NamedMetric):
    """Running mean of `concordance_correlation` along `axis`."""

    def __init__(self, name="concordance_correlation", dtype=None, axis=-1):
        super().__init__(concordance_correlation, name, dtype, "up", axis=axis)
        self.axis = axis
