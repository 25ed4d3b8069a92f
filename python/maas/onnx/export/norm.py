"""Softmax and normalisations."""

from maas.onnx.export.writer import writes


@writes("softmax")
def softmax(w, n):
    return w.emit("LogSoftmax" if n.params.get("log") else "Softmax", n.inputs, axis=n.params["axis"])


def _standardised(w, x, dtype, axes, epsilon, subtract=True):
    axes = w.constant(axes)
    if subtract:
        x = w.emit("Sub", [x, w.emit("ReduceMean", [x, axes], keepdims=1)])
    variance = w.emit("ReduceMean", [w.emit("Mul", [x, x]), axes], keepdims=1)
    return w.emit("Div", [x, w.emit("Sqrt", [w.emit("Add", [variance, w.constant(epsilon, dtype)])])])


def _affine(w, n, y, dtype, shape=None):
    rest = iter(n.inputs[1:])
    for key, op in (("scale", "Mul"), ("center", "Add")):
        if n.params[key]:
            v = w.cast(next(rest), dtype)
            y = w.emit(op, [y, v if shape is None else w.emit("Reshape", [v, w.constant(shape)])])
    return y


@writes("layer_norm")
def layer_norm(w, n):
    x = n.inputs[0]
    axes = sorted(a % x.ndim for a in n.params["axis"])
    wide = "float64" if x.dtype == "float64" else "float32"
    y = _standardised(w, w.cast(x, wide), wide, axes, n.params["epsilon"], n.params["subtract_mean"])
    if axes == list(range(x.ndim - len(axes), x.ndim)):
        shape = None
    else:
        if any(x.shape[a] is None for a in axes):
            raise NotImplementedError(f"{w.model}: layer_norm over open sizes has no writer to ONNX")
        shape = [x.shape[a] if a in axes else 1 for a in range(x.ndim)]
    return w.cast(_affine(w, n, y, wide, shape), x.dtype, wide)


@writes("group_norm")
def group_norm(w, n):
    x, groups = n.inputs[0], n.params["groups"]
    wide = "float64" if x.dtype == "float64" else "float32"
    channels = x.shape[-1]
    split = w.emit("Concat", [
        w.emit("Shape", [x], end=x.ndim - 1), w.constant([groups, channels // groups]),
    ], axis=0)  # fmt: skip
    y = w.emit("Reshape", [w.cast(x, wide), split])
    y = _standardised(w, y, wide, [*range(1, x.ndim - 1), x.ndim], n.params["epsilon"])
    y = w.emit("Reshape", [y, w.emit("Shape", [x])])
    return w.cast(_affine(w, n, y, wide), x.dtype, wide)
