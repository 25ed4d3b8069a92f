"""Losses of label sequences, of noisy labels and of embeddings."""

from maas import ops
from maas.losses.loss import NamedLoss


def ctc(y_true, y_pred):
    """Connectionist temporal classification: see `ops.ctc_loss`.

    Args:
        y_true: integer Tensor (batch, length); 0 is the blank, and pads rows at their end.
        y_pred: float Tensor (batch, time, classes) of logits.

    Returns:
        Tensor (batch,).
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if len(y_true.shape) != 2 or len(y_pred.shape) != 3:
        raise ValueError(
            "ctc: y_true must be (batch, length) and y_pred (batch, time, classes), received "
            f"{tuple(y_true.shape)} and {tuple(y_pred.shape)}"
        )
    lengths = ops.sum(ops.cast(ops.not_equal(y_true, 0), "int32"), axis=-1)
    times = ops.zeros_like(lengths) + y_pred.shape[1]
    return ops.ctc_loss(y_true, y_pred, lengths, times, mask_index=0)


def categorical_generalized_cross_entropy(y_true, y_pred, q):
    """`(1 - p^q) / q`, `p` the probability of the true class; q near 0 is cross entropy, near 1 absolute error.

    Args:
        y_true: integer Tensor (batch,) or (batch, 1) of classes.
        y_pred: float Tensor (batch, classes) of probabilities.
        q: float in (0, 1).

    Returns:
        Tensor (batch,).

    Reference: Zhang and Sabuncu, 2018, arXiv:1805.07836.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    hot = ops.one_hot(ops.cast(ops.convert_to_tensor(y_true), "int32"), y_pred.shape[-1], dtype=y_pred.dtype)
    return (1.0 - ops.power(ops.sum(y_pred * hot, axis=-1), q)) / q


class CTC(NamedLoss):
    """CTC loss. See `losses.ctc`."""

    def __init__(self, reduction="sum_over_batch_size", name="ctc", dtype=None):
        super().__init__(ctc, reduction=reduction, name=name, dtype=dtype)


class CategoricalGeneralizedCrossEntropy(NamedLoss):
    """Cross entropy for noisy labels. See `losses.categorical_generalized_cross_entropy`."""

    def __init__(
        self, q=0.5, reduction="sum_over_batch_size", name="categorical_generalized_cross_entropy", dtype=None
    ):
        if not 0 < q < 1:
            raise ValueError(f"CategoricalGeneralizedCrossEntropy: q must be in (0, 1), received q={q}")
        super().__init__(categorical_generalized_cross_entropy, reduction=reduction, name=name, dtype=dtype, q=q)
        self.q = q
