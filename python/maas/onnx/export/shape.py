"""Ops that relabel, cut, join and make tensors."""

from maas.onnx.dtypes import dtype_code
from maas.onnx.export.writer import writes


@writes("reshape")
def reshape(w, n):
    return w.reshape(n.inputs[0], n.raw["shape"])


@writes("transpose")
def transpose(w, n):
    axes = n.params["axes"]
    if axes == list(range(len(axes))):
        return w.emit("Identity", n.inputs)
    return w.emit("Transpose", n.inputs, perm=axes)


@writes("broadcast_to")
def broadcast_to(w, n):
    return w.emit("Expand", [n.inputs[0], w.sizes([1 if s == -1 else s for s in n.raw["shape"]])])


@writes("slice")
def slice_(w, n):
    axes = list(range(n.inputs[0].ndim))
    if not axes:
        return w.emit("Identity", n.inputs)
    begin, end, step = n.raw["begin"], n.raw["end"], n.params["step"]
    return w.emit("Slice", [n.inputs[0], w.sizes(begin), w.sizes(end), w.constant(axes), w.constant(step)])


@writes("concatenate")
def concatenate(w, n):
    return w.emit("Concat", n.inputs, axis=n.params["axis"])


@writes("pad")
def pad(w, n):
    x = n.inputs[0]
    value = n.params["value"]
    value = value if "float" in x.dtype else bool(value) if x.dtype == "bool" else int(value)
    return w.emit("Pad", [x, w.sizes(n.raw["before"] + n.raw["after"]), w.constant(value, x.dtype)])


@writes("flip")
def flip(w, n):
    x = n.inputs[0]
    axes = [a % x.ndim for a in n.params["axis"]] or list(range(x.ndim))
    last = [-1] * len(axes)
    ends = [-(2**62)] * len(axes)
    return w.emit("Slice", [x, w.constant(last), w.constant(ends), w.constant(axes), w.constant(last)])


@writes("arange")
def arange(w, n):
    dtype = n.outputs[0].dtype
    first, step, size = n.params["start"], n.params["step"], n.raw["size"][0]
    count = w.reshape(w.size(size), [])
    y = w.emit("Range", [w.constant(0), count, w.constant(1)])
    if (first, step) == (0, 1):
        return w.cast(y, dtype, "int64")
    wide = "int64" if float(first).is_integer() and float(step).is_integer() else "float64"
    y = w.cast(y, wide, "int64")
    first, step = (w.constant(int(v) if wide == "int64" else v, wide) for v in (first, step))
    return w.cast(w.emit("Add", [w.emit("Mul", [y, step]), first]), dtype, wide)


@writes("one_hot")
def one_hot(w, n):
    dtype, classes = n.outputs[0].dtype, n.params["num_classes"]
    index = w.emit("Unsqueeze", [w.cast(n.inputs[0], "int64"), w.constant([-1])])
    found = w.emit("Equal", [index, w.constant(list(range(classes)))])
    return w.emit("Cast", [found], to=dtype_code(dtype))


@writes("shape_of")
def shape_of(w, n):
    return w.cast(w.emit("Shape", n.inputs), "int32", "int64")
