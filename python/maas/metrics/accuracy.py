"""Accuracies: how often the prediction is the target."""

from maas import backend, ops
from maas.losses.reduction import squeeze_or_expand_to_same_rank
from maas.metrics.reduction import NamedMetric


def accuracy(y_true, y_pred):
    """1 where `y_pred` equals `y_true`, else 0."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    return ops.cast(ops.equal(y_true, y_pred), backend.floatx())


def binary_accuracy(y_true, y_pred, threshold=0.5):
    """1 where `y_pred > threshold` agrees with the 0 or 1 of `y_true`, else 0.

    Args:
        y_true: Tensor (..., d) of 0 and 1.
        y_pred: Tensor (..., d) of probabilities.
        threshold: float.

    Returns:
        Tensor (..., d).
    """
    y_pred, y_true = ops.convert_to_tensor(y_pred), ops.convert_to_tensor(y_true)
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    positive = ops.cast(ops.greater(y_pred, threshold), y_true.dtype)
    return ops.cast(ops.equal(y_true, positive), backend.floatx())


def categorical_accuracy(y_true, y_pred):
    """1 where the largest entry of a row of `y_pred` is that of the one-hot row of `y_true`, else 0.

    Args:
        y_true: Tensor (..., classes).
        y_pred: Tensor (..., classes).

    Returns:
        Tensor (...).
    """
    return ops.cast(ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1)), backend.floatx())


def sparse_categorical_accuracy(y_true, y_pred):
    """1 where the largest entry of a row of `y_pred` is at the class `y_true`, else 0.

    Args:
        y_true: Tensor (...) or (..., 1) of class numbers.
        y_pred: Tensor (..., classes).

    Returns:
        Tensor (...).
    """
    y_pred, y_true = ops.convert_to_tensor(y_pred), ops.convert_to_tensor(y_true)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, axis=-1)
    found = ops.cast(ops.argmax(y_pred, axis=-1), y_true.dtype)
    matches = ops.cast(ops.equal(y_true, found), backend.floatx())
    if len(matches.shape) > 1 and matches.shape[-1] == 1:
        matches = ops.squeeze(matches, axis=-1)
    return matches


def in_top_k(targets, predictions, k):
    """True where fewer than `k` entries of the row are larger than that of the target class.

    An entry equal to the k-th largest counts as inside. Needs no sort.

    Args:
        targets: int Tensor (n,), class numbers.
        predictions: Tensor (n, classes).
        k: int.

    Returns:
        bool Tensor (n,).
    """
    chosen = ops.equal(ops.one_hot(targets, predictions.shape[-1]), 1.0)
    own = ops.sum(ops.where(chosen, predictions, ops.zeros_like(predictions)), axis=-1, keepdims=True)
    larger = ops.sum(ops.cast(ops.greater(predictions, own), "int32"), axis=-1)
    return ops.less(larger, k)


def top_k_categorical_accuracy(y_true, y_pred, k=5):
    """1 where the class of the one-hot row is among the `k` largest predictions, else 0. Shapes as above."""
    return sparse_top_k_categorical_accuracy(ops.argmax(y_true, axis=-1), y_pred, k=k)


def sparse_top_k_categorical_accuracy(y_true, y_pred, k=5, from_sorted_ids=False):
    """1 where the class `y_true` is among the `k` largest predictions, else 0.

    Args:
        y_true: Tensor (...) of class numbers.
        y_pred: Tensor (..., classes), or with `from_sorted_ids` the class numbers, best first.
        k: int.
        from_sorted_ids: bool.

    Returns:
        Tensor (...).
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype if from_sorted_ids else "int32")
    shape = ops.shape(y_true)
    if len(y_pred.shape) > 2:
        y_pred = ops.reshape(y_pred, (-1, y_pred.shape[-1]))
    flat = ops.reshape(y_true, (-1,)) if len(y_true.shape) > 1 else y_true
    if from_sorted_ids:
        matches = ops.any(ops.equal(ops.expand_dims(flat, axis=1), y_pred[:, :k]), axis=1)
    else:
        matches = in_top_k(flat, y_pred, k)
    matches = ops.cast(matches, backend.floatx())
    return ops.reshape(matches, shape) if len(y_true.shape) > 1 else matches


class Accuracy(NamedMetric):
    """Share of predictions equal to the target."""

    def __init__(self, name="accuracy", dtype=None):
        super().__init__(accuracy, name, dtype, "up")


class BinaryAccuracy(NamedMetric):
    """Share of thresholded predictions that are right. See `metrics.binary_accuracy`."""

    def __init__(self, name="binary_accuracy", dtype=None, threshold=0.5):
        super().__init__(binary_accuracy, name, dtype, "up", threshold=threshold)
        self.threshold = threshold


class CategoricalAccuracy(NamedMetric):
    """Share of rows whose largest entry is at the one-hot target. See `metrics.categorical_accuracy`."""

    def __init__(self, name="categorical_accuracy", dtype=None):
        super().__init__(categorical_accuracy, name, dtype, "up")


class SparseCategoricalAccuracy(NamedMetric):
    """Share of rows whose largest entry is at the target class. See `metrics.sparse_categorical_accuracy`."""

    def __init__(self, name="sparse_categorical_accuracy", dtype=None):
        super().__init__(sparse_categorical_accuracy, name, dtype, "up")


class TopKCategoricalAccuracy(NamedMetric):
    """Share of rows whose one-hot target is among the `k` largest predictions."""

    def __init__(self, k=5, name="top_k_categorical_accuracy", dtype=None):
        super().__init__(top_k_categorical_accuracy, name, dtype, "up", k=k)
        self.k = k


class SparseTopKCategoricalAccuracy(NamedMetric):
    """Share of rows whose target class is among the `k` largest predictions."""

    def __init__(self, k=5, name="sparse_top_k_categorical_accuracy", dtype=None, from_sorted_ids=False):
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, "up", k=k, from_sorted_ids=from_sorted_ids)
        self.k, self.from_sorted_ids = k, from_sorted_ids

    def get_config(self):
        config = super().get_config()
        if not self.from_sorted_ids:
            del config["from_sorted_ids"]
        return config
