"""Circle loss: a metric-learning loss on embeddings of unit length."""

import math

from maas import ops
from maas.backend.masks import set_keras_mask
from maas.losses.loss import Loss, NamedLoss


def circle(y_true, y_pred, ref_labels=None, ref_embeddings=None, remove_diagonal=True, gamma=80, margin=0.4):
    """`softplus(lse_p(-gamma (m + d)+ (m - d)) + lse_n(gamma (1 + m - d)+ (1 - m - d)))` with `d = 1 - cos`, `m` the
    margin, `lse` the logarithm of the sum of exponentials over pairs of one label (p) and of two (n).

    Args:
        y_true: Tensor (batch,) of integer labels.
        y_pred: Tensor (batch, n), embeddings of length 1.
        ref_labels: Tensor (others,) of labels, or None: `y_true`.
        ref_embeddings: Tensor (others, n), or None: `y_pred`.
        remove_diagonal: bool, whether a sample is no partner of its own.
        gamma: number, scale.
        margin: number.

    Returns:
        Tensor (batch,), masked where it is 0.

    Reference: Sun et al., 2020, "Circle loss", arXiv:2002.10857.
    """
    y_pred, y_true = ops.convert_to_tensor(y_pred), ops.reshape(ops.cast(y_true, "int32"), (-1,))
    others = y_pred if ref_embeddings is None else ops.convert_to_tensor(ref_embeddings, dtype=y_pred.dtype)
    labels = y_true if ref_labels is None else ops.reshape(ops.cast(ref_labels, "int32"), (-1,))
    distance = ops.maximum(1.0 - ops.matmul(y_pred, ops.transpose(others)), 0.0)
    same = ops.equal(ops.expand_dims(y_true, 1), ops.expand_dims(labels, 0))
    different = ops.logical_not(same)
    if remove_diagonal:
        rows, columns = ops.shape(same)
        own = ops.equal(ops.expand_dims(ops.arange(rows), 1), ops.expand_dims(ops.arange(columns), 0))
        same = ops.logical_and(same, ops.logical_not(own))
    near = -gamma * ops.maximum(margin + distance, 0.0) * (margin - distance)
    far = gamma * ops.maximum(1.0 + margin - distance, 0.0) * (1.0 - margin - distance)
    total = ops.logsumexp(ops.where(same, near, -math.inf), axis=1)
    total = total + ops.logsumexp(ops.where(different, far, -math.inf), axis=1)
    loss = ops.softplus(total)
    set_keras_mask(loss, ops.greater(loss, 0.0))
    return loss


class Circle(NamedLoss):
    """Circle loss. See `losses.circle`.

    Args:
        gamma: number, scale.
        margin: number.
        remove_diagonal: bool, whether a sample is no partner of its own.
        reduction, name, dtype: see `Loss`.
    """

    def __init__(
        self, gamma=80.0, margin=0.4, remove_diagonal=True, reduction="sum_over_batch_size", name="circle", dtype=None
    ):
        super().__init__(
            circle, reduction=reduction, name=name, dtype=dtype, gamma=gamma, margin=margin,
            remove_diagonal=remove_diagonal,
        )  # fmt: skip
        self.gamma, self.margin, self.remove_diagonal = gamma, margin, remove_diagonal

    def get_config(self):
        config = {"gamma": self.gamma, "margin": self.margin, "remove_diagonal": self.remove_diagonal}
        return {**Loss.get_config(self), **config}
