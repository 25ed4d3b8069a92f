"""Reading and writing elements by index."""

from maas.onnx.export.writer import writes

_MODES = {"set": "none", "add": "add", "multiply": "mul", "max": "max", "min": "min"}
_START = {"add": 0, "set": 0, "multiply": 1}


@writes("take")
def take(w, n):
    return w.emit("Gather", [n.inputs[0], w.cast(n.inputs[1], "int64")], axis=n.params["axis"])


@writes("take_along_axis")
def take_along_axis(w, n):
    return w.emit("GatherElements", [n.inputs[0], w.cast(n.inputs[1], "int64")], axis=n.params["axis"])


@writes("gather_nd")
def gather_nd(w, n):
    return w.emit("GatherND", [n.inputs[0], w.cast(n.inputs[1], "int64")])


@writes("scatter_update")
def scatter_update(w, n):
    x, index, updates = n.inputs
    return w.emit(
        "ScatterND", [x, w.cast(index, "int64"), w.cast(updates, x.dtype)], reduction=_MODES[n.params["mode"]]
    )


@writes("scatter")
def scatter(w, n):
    index, updates = n.inputs
    mode = n.params["mode"]
    if mode not in _START:
        raise NotImplementedError(f"{w.model}: the op 'scatter' with mode '{mode}' has no writer to ONNX")
    start = w.emit("Expand", [w.constant(_START[mode], updates.dtype), w.sizes(n.raw["shape"])])
    return w.emit("ScatterND", [start, w.cast(index, "int64"), updates], reduction=_MODES[mode])
