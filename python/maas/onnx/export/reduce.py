"""Reductions, running sums, sorting."""

from maas.onnx.export.writer import writes

_NAMES = {"sum": "ReduceSum", "mean": "ReduceMean", "prod": "ReduceProd", "max": "ReduceMax", "min": "ReduceMin"}


def _axes(w, n):
    return w.constant([a % n.inputs[0].ndim for a in n.params["axis"]] or list(range(n.inputs[0].ndim)))


@writes(*_NAMES)
def reduce(w, n):
    x, dtype = n.inputs[0], n.outputs[0].dtype
    if x.ndim == 0:
        return w.cast(x, dtype)
    wide = "int32" if dtype in ("bool", "int8", "uint8", "int16", "uint16") else dtype
    y = w.emit(_NAMES[n.op], [w.cast(x, wide), _axes(w, n)], keepdims=int(n.params["keepdims"]))
    return w.cast(y, dtype, wide)


@writes("any", "all")
def truth(w, n):
    x = n.inputs[0]
    if x.ndim == 0:
        return w.cast(x, "bool")
    whole = w.cast(w.cast(x, "bool"), "int32", "bool")
    name = "ReduceMax" if n.op == "any" else "ReduceMin"
    return w.cast(w.emit(name, [whole, _axes(w, n)], keepdims=int(n.params["keepdims"])), "bool", "int32")


@writes("argmax", "argmin")
def arg(w, n):
    x, keep = n.inputs[0], int(n.params["keepdims"])
    axes = n.params["axis"]
    if not axes:
        name = w.emit("Reshape", [x, w.constant([-1])])
        y = w.emit("ArgMax" if n.op == "argmax" else "ArgMin", [name], axis=0, keepdims=0)
        y = w.emit("Reshape", [y, w.constant([1] * x.ndim)]) if keep else y
    else:
        y = w.emit("ArgMax" if n.op == "argmax" else "ArgMin", [x], axis=axes[0], keepdims=keep)
    return w.cast(y, n.outputs[0].dtype, "int64")


@writes("element_count")
def element_count(w, n):
    x, dtype = n.inputs[0], n.outputs[0].dtype
    sizes = w.emit("Gather", [w.emit("Shape", [x]), w.constant([a % x.ndim for a in n.params["axis"]])], axis=0)
    return w.cast(w.emit("ReduceProd", [sizes], keepdims=0), dtype, "int64")


@writes("cumsum")
def cumsum(w, n):
    dtype = n.outputs[0].dtype
    y = w.emit("CumSum", [w.cast(n.inputs[0], dtype), w.constant(n.params["axis"])], reverse=int(n.params["reverse"]))
    return y


@writes("top_k")
def top_k(w, n):
    values, places = w.emit("TopK", [n.inputs[0], w.constant([n.params["k"]])], 2, axis=-1)
    return [values, w.cast(places, n.outputs[1].dtype, "int64")]


@writes("sort", "argsort")
def sort(w, n):
    x, axis = n.inputs[0], n.params["axis"] % n.inputs[0].ndim
    size = w.emit("Shape", [x], start=axis, end=axis + 1)
    values, places = w.emit("TopK", [x, size], 2, axis=axis, largest=0)
    return values if n.op == "sort" else w.cast(places, n.outputs[0].dtype, "int64")
