"""Writing elements by index."""

from maas import _core, ops
from maas.onnx.convert.common import axis_of, flip_side, like
from maas.onnx.registry import converts

_MODES = {"none": "set", "add": "add", "mul": "multiply", "max": "max", "min": "min"}


def _mode(call):
    name = call.attr("reduction", "none")
    if name not in _MODES:
        raise ValueError(f"reduction must be one of {list(_MODES)}, received {name!r}")
    return _MODES[name]


@converts("ScatterND")
def scatter_nd(call, x, indices, updates):
    return _core.scatter_update(x, indices, updates, mode=_mode(call))


@converts("ScatterElements", "Scatter")
def scatter_elements(call, x, indices, updates):
    axis = axis_of(call, x.ndim, 0)
    if x.ndim == 0:
        raise ValueError("the data must have at least one axis, received a scalar")
    places = []
    for i, n in enumerate(indices.dims):
        if i == axis:
            place = flip_side(x.dims[i], indices)
        else:
            shape = [1] * indices.ndim
            shape[i] = n
            place = _core.reshape(ops.cast(_core.arange(size=[n]), indices.dtype), shape=shape)
            place = _core.broadcast_to(place, shape=list(indices.dims))
        places.append(_core.reshape(place, shape=[*indices.dims, 1]))
    index = _core.concatenate(*places, axis=indices.ndim) if len(places) > 1 else places[0]
    return _core.scatter_update(x, index, updates, mode=_mode(call))


@converts("TensorScatter")
def tensor_scatter(call, past, update, places=None):
    """Writes `update` along one axis of a cache, beginning at a place for each row."""
    axis, rank = axis_of(call, past.ndim, -2), past.ndim
    steps, size = update.dims[axis], past.dims[axis]
    along = ops.cast(_core.arange(size=[steps]), "int64")
    along = _core.reshape(along, shape=[steps if i == axis else 1 for i in range(rank)])
    if places is not None:
        along = _core.add(along, _core.reshape(places, shape=[past.dims[0]] + [1] * (rank - 1)))
    if call.attr("mode", "linear") == "circular":
        along = _core.mod(along, like(ops.convert_to_tensor(size), along))
    index = []
    for i in range(axis + 1):
        shape = [1] * rank
        shape[i] = update.dims[i]
        place = along if i == axis else _core.reshape(
            ops.cast(_core.arange(size=[update.dims[i]]), "int64"), shape=shape
        )  # fmt: skip
        lead = [*update.dims[: axis + 1], *([1] * (rank - axis - 1))]
        place = _core.broadcast_to(place, shape=lead)
        index.append(_core.reshape(place, shape=[*update.dims[: axis + 1], 1]))
    index = _core.concatenate(*index, axis=axis + 1) if len(index) > 1 else index[0]
    return _core.scatter_update(past, index, update, mode="set")
