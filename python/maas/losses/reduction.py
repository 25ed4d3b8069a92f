"""From per-sample losses to one number: ranks, masks, weights, reduction."""

from maas import ops

REDUCTIONS = ("sum_over_batch_size", "sum", None, "none", "mean", "mean_with_sample_weight")


def standardize_reduction(reduction):
    """`reduction` itself, or ValueError if it is not one of `REDUCTIONS`."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"argument `reduction` must be one of {REDUCTIONS}, received reduction={reduction!r}")
    return reduction


def squeeze_or_expand_to_same_rank(x1, x2, expand_rank_1=True):
    """`x1` and `x2` with a last axis of size 1 dropped or added so that their ranks agree.

    A pair whose ranks differ by more than one, or without such an axis, comes back as it is.
    """
    rank1, rank2 = len(x1.shape), len(x2.shape)
    if rank1 == rank2 + 1 and x1.shape[-1] == 1:
        if rank2 == 1 and expand_rank_1:
            x2 = ops.expand_dims(x2, axis=-1)
        else:
            x1 = ops.squeeze(x1, axis=-1)
    elif rank2 == rank1 + 1 and x2.shape[-1] == 1:
        if rank1 == 1 and expand_rank_1:
            x1 = ops.expand_dims(x1, axis=-1)
        else:
            x2 = ops.squeeze(x2, axis=-1)
    return x1, x2


def divide_no_nan(x, y):
    """`x / y`, and 0 where `y` is 0."""
    zero = ops.equal(y, 0)
    return ops.where(zero, ops.zeros_like(y), ops.divide(x, ops.where(zero, ops.ones_like(y), y)))


def row_count(x):
    """Size of the first axis as a float32 scalar tensor, also while it is unknown."""
    from maas import _core

    return _core.element_count(ops.convert_to_tensor(x), axis=[0], dtype="float32")


def reduce_values(values, sample_weight=None, reduction="sum_over_batch_size"):
    """Sum or mean of `values`; a scalar or `reduction=None` passes through."""
    if reduction in (None, "none") or len(values.shape) == 0:
        return values
    if reduction == "sum":
        return ops.sum(values)
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        return divide_no_nan(ops.sum(values), ops.sum(sample_weight))
    return ops.mean(values)


def apply_mask(sample_weight, mask, dtype, reduction):
    """Folds `mask` into the weights.

    Under a mean the kept entries are scaled by size / kept, so that the mean is taken over kept entries only.
    """
    if mask is None:
        return sample_weight
    weight = ops.cast(mask, dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        kept, size = ops.sum(weight), ops.sum(ops.ones_like(weight))
        weight = weight * divide_no_nan(size, kept)
    if sample_weight is None:
        return weight
    weight, sample_weight = squeeze_or_expand_to_same_rank(weight, ops.cast(sample_weight, dtype))
    return sample_weight * weight


def reduce_weighted_values(values, sample_weight=None, mask=None, reduction="sum_over_batch_size", dtype=None):
    """Weights, masks and reduces per-sample losses."""
    reduction = standardize_reduction(reduction)
    values = ops.convert_to_tensor(values, dtype=dtype)
    if sample_weight is not None:
        sample_weight = ops.convert_to_tensor(sample_weight, dtype=dtype)
    sample_weight = apply_mask(sample_weight, mask, dtype=values.dtype, reduction=reduction)
    if sample_weight is not None:
        sample_weight = ops.cast(sample_weight, values.dtype)
        values, sample_weight = squeeze_or_expand_to_same_rank(values, sample_weight)
        values = values * sample_weight
    return reduce_values(values, sample_weight, reduction)
