"""Cross-entropies of binary, one-hot and integer targets."""

import warnings

from maas import ops
from maas.losses.loss import NamedLoss


def check_axis(axis):
    """TypeError-like guard: `axis=True` is what a swapped positional argument looks like."""
    if isinstance(axis, bool):
        raise ValueError(f"`axis` must be an int, received axis={axis}")


def warn_one_class(name, y_pred):
    """A softmax over one class is always 1: the model cannot learn."""
    if y_pred.shape[-1] == 1:
        warnings.warn(
            f"{name} needs at least 2 classes on the last axis of y_pred (use binary_crossentropy for 2 classes in "
            f"one column), received y_pred of shape {tuple(y_pred.shape)}",
            SyntaxWarning,
            stacklevel=3,
        )


def smooth_binary(y_true, label_smoothing):
    """0 and 1 moved towards 1/2 by `label_smoothing`."""
    if not label_smoothing:
        return y_true
    return y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing


def smooth_one_hot(y_true, label_smoothing):
    """One-hot rows moved towards the uniform distribution by `label_smoothing`."""
    if not label_smoothing:
        return y_true
    return y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[-1]


def binary_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """`-mean(y log p + (1 - y) log(1 - p))` along `axis`.

    Args:
        y_true: Tensor (..., d) of 0, 1 or probabilities.
        y_pred: Tensor (..., d): probabilities, or logits if `from_logits`.
        from_logits: bool; logits are more accurate.
        label_smoothing: float in [0, 1], moves the targets towards 1/2.
        axis: int, the axis averaged over.

    Returns:
        Tensor (...).
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = smooth_binary(ops.cast(y_true, y_pred.dtype), label_smoothing)
    return ops.mean(ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits), axis=axis)


def categorical_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """`-sum_c y_c log p_c` along `axis`.

    Args:
        y_true: Tensor (..., classes) of one-hot rows or probabilities.
        y_pred: Tensor (..., classes): probabilities (normalised to sum 1), or logits if `from_logits`.
        from_logits: bool.
        label_smoothing: float in [0, 1], moves the targets towards 1 / classes.
        axis: int, the axis of the classes.

    Returns:
        Tensor (...).
    """
    check_axis(axis)
    y_pred = ops.convert_to_tensor(y_pred)
    warn_one_class("categorical_crossentropy", y_pred)
    y_true = smooth_one_hot(ops.cast(y_true, y_pred.dtype), label_smoothing)
    return ops.categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)


def sparse_categorical_crossentropy(y_true, y_pred, from_logits=False, ignore_class=None, axis=-1):
    """`-log p[y]`, where `y` is the integer class.

    Args:
        y_true: Tensor (...) or (..., 1) of class numbers in [0, classes).
        y_pred: Tensor (..., classes): probabilities, or logits if `from_logits`.
        from_logits: bool.
        ignore_class: int or None; samples of this class give 0.
        axis: int, the axis of the classes.

    Returns:
        Tensor (...).

    Raises:
        IndexError: if a class number is out of range; it names the position and the value.
    """
    values, _ = sparse_values_and_mask(y_true, y_pred, from_logits, ignore_class, axis)
    return values


def sparse_values_and_mask(y_true, y_pred, from_logits=False, ignore_class=None, axis=-1):
    """(losses, mask of the samples that count or None)."""
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[axis] == 1:
        y_true = ops.squeeze(y_true, axis=axis)
    if y_true.dtype not in ("int32", "int64"):
        y_true = ops.cast(y_true, "int32")
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis), None
    valid = ops.not_equal(y_true, ignore_class)
    y_true = ops.where(valid, y_true, ops.zeros_like(y_true))
    y_pred = ops.where(ops.expand_dims(valid, axis), y_pred, ops.zeros_like(y_pred))
    values = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)
    return ops.where(valid, values, ops.zeros_like(values)), valid


class BinaryCrossentropy(NamedLoss):
    """Cross-entropy of independent yes/no targets. See `losses.binary_crossentropy`."""

    def __init__(
        self,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="binary_crossentropy",
        dtype=None,
    ):
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(binary_crossentropy, reduction=reduction, name=name, dtype=dtype, **options)
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis


class CategoricalCrossentropy(NamedLoss):
    """Cross-entropy of one-hot targets. See `losses.categorical_crossentropy`."""

    def __init__(
        self,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="categorical_crossentropy",
        dtype=None,
    ):
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(categorical_crossentropy, reduction=reduction, name=name, dtype=dtype, **options)
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis


class SparseCategoricalCrossentropy(NamedLoss):
    """Cross-entropy of integer targets. See `losses.sparse_categorical_crossentropy`.

    With `ignore_class` the mean is taken over the samples that count.
    """

    def __init__(
        self,
        from_logits=False,
        ignore_class=None,
        reduction="sum_over_batch_size",
        axis=-1,
        name="sparse_categorical_crossentropy",
        dtype=None,
    ):
        options = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        super().__init__(sparse_categorical_crossentropy, reduction=reduction, name=name, dtype=dtype, **options)
        self.from_logits, self.ignore_class, self.axis = from_logits, ignore_class, axis

    def _convert_target(self, x):
        # Class numbers stay integers: a float32 holds them exactly only up to 2^24.
        x = ops.convert_to_tensor(x)
        return x if x.dtype in ("int32", "int64") else ops.cast(x, self.dtype)

    def _values_and_mask(self, y_true, y_pred):
        return sparse_values_and_mask(y_true, y_pred, self.from_logits, self.ignore_class, self.axis)

    def get_config(self):
        config = super().get_config()
        if config["axis"] == -1:  # Keras writes no axis here; another value must not be lost
            del config["axis"]
        return config
