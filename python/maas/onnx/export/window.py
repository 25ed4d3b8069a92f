"""Convolutions and pooling: ONNX has the channels second, so transposes stand around them."""

from maas.onnx.export.writer import writes


def _second(w, x):
    return w.emit("Transpose", [x], perm=[0, x.ndim - 1, *range(1, x.ndim - 1)])


def _last(w, name, ndim):
    return w.emit("Transpose", [name], perm=[0, *range(2, ndim), 1])


def _ones(values, rank):
    return list(values) or [1] * rank


def _padding(params, rank):
    """auto_pad or pads."""
    if params["padding"] == "same":
        return {"auto_pad": "SAME_UPPER"}
    if params["padding"] == "valid":
        return {"pads": [0] * (2 * rank)}
    pads = params["pads"]
    return {"pads": [*pads[0::2], *pads[1::2]]}


@writes("conv")
def conv(w, n):
    x, kernel = n.inputs
    rank = x.ndim - 2
    kernel_name = w.transposed(kernel, [kernel.ndim - 1, kernel.ndim - 2, *range(rank)])
    padding, given = _padding(n.params, rank), _second(w, x)
    dilations = _ones(n.params["dilation"], rank)
    if "auto_pad" in padding and any(d > 1 for d in dilations):
        # Runtimes disagree about SAME with dilation: say the pads where sizes are known.
        padding = {"pads": _same(w, x, kernel, n.params, dilations)}
    if any(p < 0 for p in padding.get("pads", [])):
        # A negative border cuts off.
        pads = padding["pads"]
        cut = [0, 0, *(min(p, 0) for p in pads[:rank]), 0, 0, *(min(p, 0) for p in pads[rank:])]
        given = w.emit("Pad", [given, w.constant(cut)])
        padding = {"pads": [max(p, 0) for p in pads]}
    y = w.emit(
        "Conv", [given, kernel_name], group=n.params["groups"], strides=_ones(n.params["strides"], rank),
        dilations=dilations, kernel_shape=kernel.shape[:rank], **padding,
    )  # fmt: skip
    return _last(w, y, x.ndim)


def _same(w, x, kernel, params, dilations):
    before, after = [], []
    for n, k, s, d in zip(x.shape[1:-1], kernel.shape, _ones(params["strides"], x.ndim - 2), dilations):
        if n is None and s != 1:
            raise NotImplementedError(f"{w.model}: a dilated 'same' convolution of open sizes has no writer to ONNX")
        extent = (k - 1) * d + 1
        total = extent - 1 if s == 1 else max((-(-n // s) - 1) * s + extent - n, 0)
        before.append(total // 2)
        after.append(total - total // 2)
    return before + after


@writes("conv_input_gradient")
def conv_input_gradient(w, n):
    dy, kernel = n.inputs
    rank, params = dy.ndim - 2, n.params
    strides, dilations = _ones(params["strides"], rank), _ones(params["dilation"], rank)
    if params["padding"] != "explicit":
        raise NotImplementedError(f"{w.model}: the gradient of a convolution has no writer to ONNX")
    pads = params["pads"]
    before, after, more = [], [], []
    for i in range(rank):
        extent = (kernel.shape[i] - 1) * dilations[i] + 1
        # What the formula gives without output_padding, against what the graph says.
        size, given = n.outputs[0].dims[i + 1], dy.dims[i + 1]
        extra = size - ((given - 1) * strides[i] + extent - pads[2 * i])
        if not isinstance(extra, int):
            raise NotImplementedError(f"{w.model}: a transposed convolution of these open sizes has no writer to ONNX")
        before.append(pads[2 * i])
        after.append(max(-extra, 0))
        more.append(max(extra, 0))
    cut = [max(m - max(s - 1, 0), 0) if m >= max(s, d) else 0 for m, s, d in zip(more, strides, dilations)]
    inner = [m - c for m, c in zip(more, cut)]
    name = w.transposed(kernel, [kernel.ndim - 1, kernel.ndim - 2, *range(rank)])
    y = w.emit(
        "ConvTranspose", [_second(w, dy), name], group=params["groups"], strides=strides, dilations=dilations,
        pads=before + after, output_padding=inner, kernel_shape=kernel.shape[:rank],
    )  # fmt: skip
    if any(cut):
        y = w.emit("Pad", [y, w.constant([0] * (rank + 4) + cut)])
    return _last(w, y, dy.ndim)


@writes("max_pool", "average_pool")
def pool(w, n):
    x = n.inputs[0]
    rank = x.ndim - 2
    size = n.params["pool_size"]
    options = {"count_include_pad": 0} if n.op == "average_pool" else {}
    y = w.emit(
        "MaxPool" if n.op == "max_pool" else "AveragePool", [_second(w, x)], kernel_shape=size,
        strides=_ones(n.params["strides"], rank), **_padding(n.params, rank), **options,
    )  # fmt: skip
    return _last(w, y, x.ndim)
