"""Sorting: the largest, the different."""

from maas import _core, ops
from maas.onnx.convert.common import axis_of
from maas.onnx.registry import converts


@converts("TopK")
def top_k(call, x, k=None):
    """The k largest (or smallest) along an axis; of equal ones the first comes first."""
    axis = axis_of(call, x.ndim, -1)
    size = call.sizes(1, "k")[0] if k is not None else call.need("k")
    order = list(range(x.ndim))
    order[axis], order[-1] = order[-1], order[axis]
    y = _core.transpose(x, axes=order) if axis != x.ndim - 1 else x
    if isinstance(size, int) and call.attr("largest", 1):
        values, places = _core.top_k(y, k=size)
    else:
        end = [*y.dims[:-1], size]
        places = _core.argsort(y, axis=-1) if not call.attr("largest", 1) else _descending(y)
        places = _core.slice(places, begin=[0] * y.ndim, end=end, step=[1] * y.ndim)
        values = _core.take_along_axis(y, places, axis=-1)
    places = ops.cast(places, "int64")
    if axis != x.ndim - 1:
        values, places = _core.transpose(values, axes=order), _core.transpose(places, axes=order)
    return values, places


def _descending(x):
    """Places from the largest down, stable: the sort of the mirrored axis, mirrored back."""
    last = ops.convert_to_tensor(x.dims[-1]) - 1
    places = _core.flip(_core.argsort(_core.flip(x, axis=[-1]), axis=-1), axis=[-1])
    return _core.subtract(ops.cast(last, places.dtype), places)


@converts("Unique")
def unique(call, x):
    axis = call.attr("axis")
    if axis is not None and x.ndim > 1:
        return _unique_rows(call, x, axis % x.ndim)
    values, index, inverse, counts = ops.unique(x, return_index=True, return_inverse=True, return_counts=True)
    inverse = _core.reshape(inverse, shape=[-1])
    if not call.attr("sorted", 1):
        order = _core.argsort(index, axis=-1)
        rank = _core.argsort(order, axis=-1)
        values, index, counts = (_core.take(v, order, axis=0) for v in (values, index, counts))
        inverse = _core.take(rank, inverse, axis=0)
    return values, *(ops.cast(v, "int64") for v in (index, inverse, counts))


def _unique_rows(call, x, axis):
    """Rows along an axis: each gets the number of its place in lexicographic order, and those are compared."""
    n = x.dims[axis]
    order = [axis] + [i for i in range(x.ndim) if i != axis]
    rows = _core.reshape(_core.transpose(x, axes=order), shape=[n, -1])
    a, b = _core.reshape(rows, shape=[n, 1, -1]), _core.reshape(rows, shape=[1, n, -1])
    differ = _core.not_equal(a, b)
    # The first place at which two rows differ says which one is less.
    first = _core.argmax(ops.cast(differ, "int32"), axis=[2], keepdims=True)
    below = _core.take_along_axis(_core.less(b, a) if isinstance(n, int) else _core.less(b, a), first, axis=2)
    below = _core.reshape(below, shape=[n, n])
    rank = ops.sum(ops.cast(below, "int32"), axis=1)
    _, index, inverse, counts = ops.unique(rank, return_index=True, return_inverse=True, return_counts=True)
    if not call.attr("sorted", 1):
        places = _core.argsort(index, axis=-1)
        back = _core.argsort(places, axis=-1)
        index, counts = _core.take(index, places, axis=0), _core.take(counts, places, axis=0)
        inverse = _core.take(back, inverse, axis=0)
    values = _core.take(x, index, axis=axis)
    return values, *(ops.cast(v, "int64") for v in (index, inverse, counts))
