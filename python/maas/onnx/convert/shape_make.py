"""Ops that make tensors: constants, ranges, triangles, one-hot rows."""

import numpy as np

from maas import _core, ops
from maas.onnx.convert.common import flip_side, is_float, like
from maas.onnx.dtypes import dtype_name
from maas.onnx.registry import converts


@converts("Constant")
def constant(call):
    for name, dtype in (("value_float", "float32"), ("value_floats", "float32"),
                        ("value_int", "int64"), ("value_ints", "int64")):  # fmt: skip
        if call.attr(name) is not None:
            return _core.Tensor(np.array(call.attr(name), dtype))
    return call.need("value")


@converts("ConstantOfShape")
def constant_of_shape(call, shape):
    value = call.attr("value", _core.Tensor(np.zeros(1, "float32")))
    sizes = call.sizes(0, "shape")
    value = _core.reshape(value, shape=[])
    return _core.broadcast_to(value, shape=sizes) if sizes else value


@converts("Range")
def range_(call, start, limit, delta):
    known = _range_sizes(call, (start, limit, delta))
    if known is not None:
        first, size, step = known
        place = ops.cast(_core.arange(size=[size]), "int64")
        y = ops.convert_to_tensor(first)
        y = _core.add(ops.cast(y, "int64"), _core.multiply(place, like(step, place)))
        return ops.cast(y, start.dtype)
    begin, end, step = (call.known(i, n).reshape(())[()] for i, n in enumerate(("start", "limit", "delta")))
    count = max(int(np.ceil((end - begin) / step)), 0)
    if is_float(start):
        place = ops.cast(_core.arange(size=[count]), start.dtype)
        return _core.add(like(float(begin), start), _core.multiply(place, like(float(step), start)))
    return _core.Tensor(np.array([int(begin) + i * int(step) for i in range(count)], start.dtype))


def _range_sizes(call, values):
    """(start, size, step) of integer ranges whose bounds follow from sizes."""
    found = []
    for v in values:
        sizes = v.size_values
        if sizes is None or len(sizes) != 1:
            return None
        found.append(sizes[0])
    first, last, step = found
    if step != 1 or all(isinstance(v, int) for v in found):
        return None
    n = last - first
    return first, (max(n, 0) if isinstance(n, int) else n.max(0)), step


@converts("EyeLike")
def eye_like(call, x):
    k = call.attr("k", 0)
    dtype = dtype_name(call.attr("dtype"), "the result") if call.attr("dtype") else x.dtype
    rows, columns = _grid(x.dims[0], x.dims[1])
    return ops.cast(_core.equal(columns, _core.add(rows, like(k, rows))), dtype)


def _grid(rows, columns):
    return (
        _core.reshape(_core.arange(size=[rows]), shape=[rows, 1]),
        _core.reshape(_core.arange(size=[columns]), shape=[1, columns]),
    )


@converts("Trilu")
def trilu(call, x, k=None):
    rows, columns = _grid(*x.dims[-2:])
    distance = ops.cast(_core.reshape(k, shape=[]), "int64") if k is not None else like(0, ops.cast(rows, "int64"))
    border = _core.add(ops.cast(rows, "int64"), distance)
    test = _core.greater_equal if call.attr("upper", 1) else _core.less_equal
    return _core.where(test(ops.cast(columns, "int64"), border), x, like(0, x))


@converts("OneHot")
def one_hot(call, indices, depth, values):
    n = int(call.known(1, "depth").reshape(-1)[0])
    axis = call.attr("axis", -1)
    rank = indices.ndim + 1
    if not -rank <= axis < rank:
        raise ValueError(f"axis must be in [{-rank}, {rank}), received axis={axis}")
    at = axis % rank
    places = indices if not is_float(indices) else ops.cast(indices, "int64")
    places = flip_side(n, ops.cast(places, "int64"))
    dims = list(indices.dims)
    places = _core.reshape(places, shape=dims[:at] + [1] + dims[at:])
    classes = _core.reshape(ops.cast(_core.arange(size=[n]), "int64"), shape=[n if i == at else 1 for i in range(rank)])
    on = _core.equal(places, classes)
    low, high = _core.reshape(values, shape=[2])[0], _core.reshape(values, shape=[2])[1]
    return _core.where(on, high, low)


@converts("HannWindow", "HammingWindow", "BlackmanWindow")
def window(call, size):
    """A cosine series over `size` points; periodic ones leave out the last point of one more."""
    n = int(call.known(0, "size").reshape(-1)[0])
    if call.op == "HannWindow":
        parts = (0.5, 0.5)
    elif call.op == "HammingWindow":
        parts = (25 / 46, 21 / 46)
    else:
        parts = (0.42, 0.5, 0.08)
    span = n if call.attr("periodic", 1) else n - 1
    place = ops.cast(_core.arange(size=[n]), "float64")
    turn = _core.multiply(place, like(2 * np.pi / max(span, 1), place))
    y = like(parts[0], place)
    for k, weight in enumerate(parts[1:], 1):
        wave = _core.cos(_core.multiply(turn, like(float(k), place)))
        y = _core.add(y, _core.multiply(wave, like(weight * (-1) ** k, place)))
    return ops.cast(y, dtype_name(call.attr("output_datatype", 1), "the result"))
