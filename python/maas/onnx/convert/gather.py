"""Reading elements by index."""

import numpy as np

from maas import _core, ops
from maas.onnx.convert.common import axis_of
from maas.onnx.registry import converts


@converts("Gather")
def gather(call, x, indices):
    return _core.take(x, indices, axis=axis_of(call, x.ndim, 0))


@converts("GatherElements")
def gather_elements(call, x, indices):
    axis = axis_of(call, x.ndim, 0)
    # Indices may be shorter than x on the other axes.
    end = [d if i == axis else n for i, (d, n) in enumerate(zip(x.dims, indices.dims))]
    x = _core.slice(x, begin=[0] * x.ndim, end=end, step=[1] * x.ndim)
    return _core.take_along_axis(x, indices, axis=axis)


@converts("GatherND")
def gather_nd(call, x, indices):
    batch = call.attr("batch_dims", 0)
    if not batch:
        return _core.gather_nd(x, indices)
    lead = list(x.dims[:batch])
    places = []
    for i, n in enumerate(lead):
        shape = [1] * indices.ndim
        shape[i] = n
        grid = _core.reshape(ops.cast(_core.arange(size=[n]), indices.dtype), shape=shape)
        places.append(_core.broadcast_to(grid, shape=[*indices.dims[:-1], 1]))
    return _core.gather_nd(x, _core.concatenate(*places, indices, axis=indices.ndim - 1))


@converts("Compress")
def compress(call, x, condition):
    from maas.ops.select import positions

    axis = call.attr("axis")
    if axis is None:
        x, axis = _core.reshape(x, shape=[-1]), 0
    n = condition.shape[0]
    if n is not None and x.shape[axis] is not None and n > x.shape[axis]:
        condition = condition[: x.shape[axis]]
    return _core.take(x, positions(condition), axis=axis % x.ndim)


@converts("NonZero")
def nonzero(call, x):
    if x.ndim == 0:
        x = _core.reshape(x, shape=[1])
        return ops.cast(ops.stack(list(ops.nonzero(x)))[:0], "int64")
    return ops.cast(ops.stack(list(ops.nonzero(x))), "int64")


@converts("ArrayFeatureExtractor", domain="ai.onnx.ml")
def array_feature_extractor(call, x, places):
    y = _core.take(x, _core.reshape(places, shape=[-1]), axis=x.ndim - 1)
    return _core.reshape(y, shape=[1, -1]) if x.ndim == 1 else y


@converts("Binarizer", domain="ai.onnx.ml")
def binarizer(call, x):
    edge = ops.cast(np.float32(call.attr("threshold", 0.0)), x.dtype)
    return ops.cast(_core.greater(x, edge), x.dtype)
