"""Counts of true and false positives and negatives at a list of thresholds.

A prediction is positive at threshold t if it is greater than t. Counts for all thresholds come from one comparison of
(thresholds, 1) with (1, samples) and one product with the weighted labels.
"""

import numpy as np

from maas import backend, ops
from maas.losses.reduction import squeeze_or_expand_to_same_rank

# Stands for "smaller than every prediction": entries outside the top k.
NEG_INF = -1e10


def to_list(x):
    """`x` if it is a list, else a list of it."""
    return x if isinstance(x, list) else list(x) if isinstance(x, tuple) else [x]


def parse_thresholds(thresholds, default):
    """Thresholds as a list, checked to be in [0, 1]."""
    if thresholds is None:
        return to_list(default)
    wrong = [t for t in to_list(thresholds) if t is None or t < 0 or t > 1]
    if wrong:
        raise ValueError(f"threshold values must be in [0, 1], received {wrong}")
    return to_list(thresholds)


def evenly_spaced(thresholds):
    """True if the thresholds cut [0, 1] into equal parts; then a prediction's bucket is computed, not compared."""
    n = len(thresholds)
    if n < 3:
        return False
    return bool(np.allclose(thresholds, np.arange(n, dtype="float32") / (n - 1), atol=backend.epsilon()))


def keep_top_k(x, k):
    """`x` where the entry is among the `k` largest of its row (the first of equals wins), elsewhere `NEG_INF`."""
    n = x.shape[-1]
    a, b = ops.expand_dims(x, -1), ops.expand_dims(x, -2)  # entry, and what it is compared with
    earlier = np.tril(np.ones((n, n), "bool"), -1)
    beaten = ops.logical_or(ops.greater(b, a), ops.logical_and(ops.equal(a, b), earlier))
    kept = ops.less(ops.sum(ops.cast(beaten, "int32"), axis=-1), k)
    return ops.where(kept, x, ops.full_like(x, NEG_INF) if hasattr(ops, "full_like") else x * 0.0 + NEG_INF)


def update_confusion_counts(
    counts,
    y_true,
    y_pred,
    thresholds,
    top_k=None,
    class_id=None,
    sample_weight=None,
    multi_label=False,
    label_weights=None,
    even=False,
):
    """Adds a batch to state variables.

    Args:
        counts: dict from "tp", "fp", "tn", "fn" to Variables of shape (thresholds,) or (thresholds, labels).
        y_true: Tensor (...) of labels; anything but 0 is positive.
        y_pred: Tensor (...) of probabilities.
        thresholds: list of float.
        top_k: int or None; only the `k` largest predictions of a row can be positive.
        class_id: int or None; count only this entry of the last axis.
        sample_weight: Tensor or None, broadcast to `y_pred` from the left.
        multi_label: bool; count per entry of the last axis.
        label_weights: Tensor (labels,) or None.
        even: bool, from `evenly_spaced`.
    """
    dtype = next(iter(counts.values())).dtype
    y_true, y_pred = ops.cast(y_true, dtype), ops.cast(y_pred, dtype)
    y_pred, y_true = squeeze_or_expand_to_same_rank(y_pred, y_true)
    if sample_weight is not None:
        sample_weight = ops.expand_dims(ops.cast(sample_weight, dtype), axis=-1)
        _, sample_weight = squeeze_or_expand_to_same_rank(y_true, sample_weight, expand_rank_1=False)
    if top_k is not None:
        y_pred = keep_top_k(y_pred, top_k)
    if class_id is not None:
        if len(y_pred.shape) == 1:
            raise ValueError(
                "class_id needs y_pred of shape (batch, classes), "
                f"received {tuple(y_pred.shape)} and class_id={class_id}"
            )
        y_true, y_pred = y_true[..., class_id : class_id + 1], y_pred[..., class_id : class_id + 1]
    label = ops.cast(ops.not_equal(y_true, 0.0), dtype)
    weight = ops.ones_like(y_pred)
    if sample_weight is not None:
        weight = weight * sample_weight
    if label_weights is not None and not multi_label:
        weight = weight * ops.expand_dims(ops.cast(label_weights, dtype), 0)
    if not multi_label:
        y_pred, label, weight = (ops.reshape(t, (-1,)) for t in (y_pred, label, weight))
    positive = ops.cast(_positive(y_pred, thresholds, even, dtype), dtype)
    _add(counts, positive, label * weight, (1.0 - label) * weight)


def _positive(y_pred, thresholds, even, dtype):
    """bool Tensor (thresholds, *y_pred.shape)."""
    rank, n = len(y_pred.shape), len(thresholds)
    if not even:
        edges = np.asarray(thresholds, backend.numpy_dtype(dtype)).reshape((n,) + (1,) * rank)
        return ops.greater(ops.expand_dims(y_pred, 0), edges)
    # The bucket b of a prediction p: thresholds 0..b are below p.
    bucket = ops.ceil(ops.clip(y_pred, 0.0, 1.0) * float(n - 1)) - 1.0
    if thresholds[0] < 0.0 or thresholds[-1] > 1.0:
        bucket = ops.maximum(bucket, 0.0)
    edges = np.arange(n, dtype=dtype).reshape((n,) + (1,) * rank)
    return ops.greater_equal(ops.expand_dims(bucket, 0), edges)


def _add(counts, positive, trues, falses):
    """positive: (thresholds, n) or (thresholds, n, labels); trues, falses: weights (n,) or (n, labels)."""
    for names, weights in ((("tp", "fn"), trues), (("fp", "tn"), falses)):
        if not any(name in counts for name in names):
            continue
        found = ops.sum(positive * ops.expand_dims(weights, 0), axis=1)
        if names[0] in counts:
            counts[names[0]].assign(counts[names[0]] + found)
        if names[1] in counts:
            counts[names[1]].assign(counts[names[1]] + (ops.sum(weights, axis=0) - found))
