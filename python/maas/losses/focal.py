"""Focal cross-entropies: samples that are already right count less.

Reference: Lin et al., 2017, "Focal Loss for Dense Object Detection", arXiv:1708.02002.
"""

from maas import backend, ops
from maas.losses.crossentropy import check_axis, smooth_binary, smooth_one_hot, warn_one_class
from maas.losses.loss import NamedLoss


def binary_focal_crossentropy(
    y_true,
    y_pred,
    apply_class_balancing=False,
    alpha=0.25,
    gamma=2.0,
    from_logits=False,
    label_smoothing=0.0,
    axis=-1,
):
    """`mean((1 - p_t)^gamma * bce)` along `axis`, where `p_t` is the probability given to the right answer.

    Args:
        y_true: Tensor (..., d) of 0 and 1.
        y_pred: Tensor (..., d): probabilities, or logits if `from_logits`.
        apply_class_balancing: bool; weights ones by `alpha` and zeros by `1 - alpha`.
        alpha: float in [0, 1].
        gamma: float, how fast easy samples fade.
        from_logits: bool.
        label_smoothing: float in [0, 1].
        axis: int, the axis averaged over.

    Returns:
        Tensor (...).
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = smooth_binary(ops.cast(y_true, y_pred.dtype), label_smoothing)
    if from_logits:
        y_pred = ops.sigmoid(y_pred)
    bce = ops.binary_crossentropy(y_true, y_pred, from_logits=False)
    right = y_true * y_pred + (1.0 - y_true) * (1.0 - y_pred)
    focal = ops.power(1.0 - right, gamma) * bce
    if apply_class_balancing:
        focal = (y_true * alpha + (1.0 - y_true) * (1.0 - alpha)) * focal
    return ops.mean(focal, axis=axis)


def categorical_focal_crossentropy(
    y_true, y_pred, alpha=0.25, gamma=2.0, from_logits=False, label_smoothing=0.0, axis=-1
):
    """`-sum_c alpha (1 - p_c)^gamma y_c log p_c` along `axis`.

    Args:
        y_true: Tensor (..., classes) of one-hot rows.
        y_pred: Tensor (..., classes): probabilities, or logits if `from_logits`.
        alpha: float, or Tensor (classes,) of weights.
        gamma: float, how fast easy samples fade.
        from_logits: bool.
        label_smoothing: float in [0, 1].
        axis: int, the axis of the classes.

    Returns:
        Tensor (...).
    """
    check_axis(axis)
    y_pred = ops.convert_to_tensor(y_pred)
    warn_one_class("categorical_focal_crossentropy", y_pred)
    y_true = smooth_one_hot(ops.cast(y_true, y_pred.dtype), label_smoothing)
    if from_logits:
        y_pred = ops.softmax(y_pred, axis=axis)
    p = y_pred / ops.sum(y_pred, axis=axis, keepdims=True)
    p = ops.clip(p, backend.epsilon(), 1.0 - backend.epsilon())
    weight = ops.power(1.0 - p, gamma) * alpha
    return ops.sum(weight * -y_true * ops.log(p), axis=axis)


class BinaryFocalCrossentropy(NamedLoss):
    """Focal loss of yes/no targets. See `losses.binary_focal_crossentropy`."""

    def __init__(
        self,
        apply_class_balancing=False,
        alpha=0.25,
        gamma=2.0,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="binary_focal_crossentropy",
        dtype=None,
    ):
        options = {
            "from_logits": from_logits,
            "label_smoothing": label_smoothing,
            "axis": axis,
            "apply_class_balancing": apply_class_balancing,
            "alpha": alpha,
            "gamma": gamma,
        }
        super().__init__(binary_focal_crossentropy, reduction=reduction, name=name, dtype=dtype, **options)
        self.__dict__.update(options)


class CategoricalFocalCrossentropy(NamedLoss):
    """Focal loss of one-hot targets. See `losses.categorical_focal_crossentropy`."""

    def __init__(
        self,
        alpha=0.25,
        gamma=2.0,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="categorical_focal_crossentropy",
        dtype=None,
    ):
        options = {
            "from_logits": from_logits,
            "label_smoothing": label_smoothing,
            "axis": axis,
            "alpha": alpha,
            "gamma": gamma,
        }
        super().__init__(categorical_focal_crossentropy, reduction=reduction, name=name, dtype=dtype, **options)
        self.__dict__.update(options)
