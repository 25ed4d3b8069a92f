"""Writing elements by index: scatters, segments, counts."""

import numpy as np

from maas import _core
from maas.backend import is_float_dtype, result_type
from maas.backend.symbolic import op
from maas.ops.core import as_tensor, cast
from maas.ops.gather import _indices

__all__ = [
    "bincount",
    "scatter",
    "scatter_update",
    "segment_max",
    "segment_min",
    "segment_prod",
    "segment_sum",
    "slice_update",
]

_MODES = {None: "set", "add": "add", "max": "max", "min": "min", "mul": "multiply"}


@op
def scatter(indices, values, shape):
    """A tensor of zeros with `y[indices[j]] += values[j]`.

    Args:
        indices: Tensor of integers (..., K): the last axis names a place on the first K axes of the result. A negative
            one counts from the end.
        values: Tensor (..., *shape[K:]).
        shape: tuple of sizes of the result.

    Returns:
        Tensor of `values`' dtype. Values for one place are added in the order of `indices`, whatever the threads.

    Raises:
        IndexError: if an index is out of range, naming its position.
        ValueError: if the shapes do not fit.
    """
    return _core.scatter(_indices(indices), as_tensor(values), shape=list(shape), mode="add")


@op
def scatter_update(inputs, indices, updates, reduction=None):
    """`inputs` with `y[indices[j]] = updates[j]`, or with the update worked in.

    Args:
        inputs: Tensor.
        indices: Tensor of integers (..., K): the last axis names a place on the first K axes of `inputs`. A negative
            one counts from the end.
        updates: Tensor (..., *inputs.shape[K:]).
        reduction: None (the last update of a place wins), "add", "max", "min" or "mul".

    Raises:
        IndexError: if an index is out of range, naming its position.
        ValueError: if the shapes do not fit.
    """
    if reduction not in _MODES:
        raise ValueError(f"scatter_update: reduction must be one of {list(_MODES)}, received {reduction!r}")
    x = as_tensor(inputs)
    return _core.scatter_update(x, _indices(indices), cast(updates, x.dtype), mode=_MODES[reduction])


@op
def slice_update(inputs, start_indices, updates):
    """`inputs` with the block that starts at `start_indices` replaced by `updates`.

    Args:
        inputs: Tensor.
        start_indices: ints, or a Tensor of integers, one per axis. The block is moved to lie within `inputs`.
        updates: Tensor with as many axes as `inputs`, no axis longer.

    Raises:
        ValueError: if `updates` does not fit in `inputs`.
    """
    x = as_tensor(inputs)
    updates = cast(updates, x.dtype)
    if updates.ndim != x.ndim or any(u is not None and n is not None and u > n for u, n in zip(updates.shape, x.shape)):
        raise ValueError(f"slice_update: updates must fit in inputs of shape {x.shape}, received shape {updates.shape}")
    if x.ndim == 0:
        return updates
    starts = as_tensor(start_indices)
    if starts.shape != (x.ndim,):
        raise ValueError(f"slice_update: one start per axis of inputs of shape {x.shape} is needed, received {starts}")
    from maas import ops

    # Axes that are replaced whole, from the last one on, are copied as rows.
    depth = x.ndim
    while depth > 1 and x.shape[depth - 1] is not None and x.shape[depth - 1] == updates.shape[depth - 1]:
        depth -= 1
    from maas.ops.views import _inside

    places = []
    for axis in range(depth):
        size = updates.dims[axis]
        start = cast(starts[axis], "int32")
        start = _core.where(_core.less(start, 0), _core.add(start, as_tensor(x.dims[axis])), start)
        start = _inside(start, x.dims[axis], size)
        along = _core.add(ops.arange(size, dtype="int32"), start)
        shape = [1] * depth
        shape[axis] = size
        places.append(_core.broadcast_to(_core.reshape(along, shape=shape), shape=list(updates.dims[:depth])))
    return _core.scatter_update(x, ops.stack(places, axis=-1), updates, mode="set")


def _segments(name, data, segment_ids, num_segments, mode):
    data, ids = as_tensor(data), _indices(segment_ids)
    if ids.ndim != 1 or data.ndim < 1:
        raise ValueError(
            f"{name}: segment_ids must have one axis, the first of data, received shapes {ids.shape} and {data.shape}"
        )
    if num_segments is None:
        try:
            num_segments = int(np.max(np.asarray(ids), initial=-1)) + 1
        except (TypeError, ValueError, RuntimeError, NotImplementedError) as e:
            raise ValueError(f"{name}: num_segments must be set in a trace, received num_segments=None") from e
    rule = f"{name}: segment_ids must be in [0, {num_segments})"
    places = _core.reshape(ids, shape=[*ids.dims, 1])
    return _core.scatter(places, data, shape=[num_segments, *data.dims[1:]], mode=mode, wrap=False, rule=rule)


@op
def segment_sum(data, segment_ids, num_segments=None, sorted=False):
    """Sums of the rows of each segment: `y[s] = sum of data[j] with segment_ids[j] == s`.

    Args:
        data: Tensor (n, ...).
        segment_ids: Tensor (n,) of integers in [0, num_segments).
        num_segments: int; None takes the largest id plus 1, which a trace cannot know.
        sorted: bool, a hint that changes nothing here.

    Returns:
        Tensor (num_segments, ...), 0 where a segment is empty. Rows are added in their order, whatever the threads.

    Raises:
        IndexError: if an id is out of range, naming its position.
    """
    return _segments("segment_sum", data, segment_ids, num_segments, "add")


@op
def segment_max(data, segment_ids, num_segments=None, sorted=False):
    """Maxima of the rows of each segment: `y[s] = max of data[j] with segment_ids[j] == s`.

    Args:
        data: Tensor (n, ...).
        segment_ids: Tensor (n,) of integers in [0, num_segments).
        num_segments: int; None takes the largest id plus 1, which a trace cannot know.
        sorted: bool, a hint that changes nothing here.

    Returns:
        Tensor (num_segments, ...), -inf or the least integer where a segment is empty. Equal maxima share the gradient.

    Raises:
        IndexError: if an id is out of range, naming its position.
    """
    return _segments("segment_max", data, segment_ids, num_segments, "max")


@op
def segment_min(data, segment_ids, num_segments=None, sorted=False):
    """Minima of the rows of each segment; +inf or the greatest integer where a segment is empty. See `segment_max`."""
    return _segments("segment_min", data, segment_ids, num_segments, "min")


@op
def segment_prod(data, segment_ids, num_segments=None, sorted=False):
    """Products of the rows of each segment, 1 where a segment is empty. Arguments as `segment_max`."""
    return _segments("segment_prod", data, segment_ids, num_segments, "multiply")


@op
def bincount(x, weights=None, minlength=0, sparse=False):
    """How often each number is in `x`, or the sum of its weights: `y[v] = sum of weights[j] with x[j] == v`.

    Args:
        x: Tensor of integers that are not negative, (n,) or (batch, n).
        weights: Tensor of the shape of `x`, or None to count.
        minlength: int, least size of the last axis of the result.
        sparse: must be False.

    Returns:
        Tensor (size,) or (batch, size) with `size = max(max(x) + 1, minlength)`; int32 without weights.

    Raises:
        IndexError: if a number is negative, naming its position.
        NotImplementedError: for `sparse=True`, and in a trace, because the size depends on values.
    """
    if sparse:
        raise NotImplementedError("bincount: sparse tensors are not available, received sparse=True")
    x = _indices(x)
    if x.ndim not in (1, 2):
        raise ValueError(f"bincount: x must have one or two axes, received shape {x.shape}")
    try:
        top = np.max(np.asarray(x), initial=-1)
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as e:
        raise NotImplementedError(
            f"bincount: the size of the result depends on values, received a symbolic x of shape {x.shape}"
        ) from e
    size = max(int(top) + 1, int(minlength))
    if weights is None:
        weights, dtype = np.ones(x.shape, "int32"), "int32"
    else:
        weights = as_tensor(weights)
        dtype = result_type(weights.dtype, "int32") if not is_float_dtype(weights.dtype) else weights.dtype
    weights = cast(weights, dtype)
    places, shape = _core.reshape(x, shape=[*x.dims, 1]), [size]
    if x.ndim == 2:
        rows = np.broadcast_to(np.arange(x.shape[0], dtype="int32")[:, None, None], (*x.shape, 1))
        places = _core.concatenate(as_tensor(np.ascontiguousarray(rows)), cast(places, "int32"), axis=2)
        shape = [x.shape[0], size]
    rule = f"bincount: numbers must be in [0, {size})"
    return _core.scatter(places, weights, shape=shape, mode="add", wrap=False, rule=rule)
