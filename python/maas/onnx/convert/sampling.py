"""Reading images between their pixels: GridSample, RoiAlign."""

import functools
import itertools

import numpy as np

from maas import _core, ops
from maas.onnx.convert.common import like
from maas.onnx.registry import converts


def _number(value, x):
    return like(ops.convert_to_tensor(value), x)


@converts("GridSample", since=16)
def grid_sample(call, x, grid):
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(call.attr("mode", "linear"), call.attr("mode", "linear"))
    border, align = call.attr("padding_mode", "zeros"), call.attr("align_corners", 0)
    if mode not in ("linear", "cubic", "nearest") or border not in ("zeros", "border", "reflection"):
        raise ValueError(f"mode or padding_mode is not known, received {mode!r} and {border!r}")
    sizes = x.dims[2:]
    grid = ops.cast(grid, x.dtype)
    places, limits = [], []
    for i, n in enumerate(sizes):
        # The grid names the last axis first.
        g = grid[..., len(sizes) - 1 - i]
        n = _number(n, x)
        if align:
            p, low, high = (g + 1.0) * 0.5 * (n - 1.0), n * 0.0, n - 1.0
        else:
            p, low, high = ((g + 1.0) * n - 1.0) * 0.5, n * 0.0 - 0.5, n - 0.5
        p = _core.round(p) if mode == "nearest" else p
        outside = _core.logical_or(_core.less(p, low), _core.greater(p, high))
        if border == "border":
            p = _core.where(outside, _core.minimum(_core.maximum(p, n * 0.0), n - 1.0), p)
        elif border == "reflection":
            p = _core.where(outside, _reflected(p, low, high), p)
        places.append(p)
        limits.append((low, high, n))
    lows = [p if mode == "nearest" else _core.floor(p) for p in places]
    taps = {"nearest": (0,), "linear": (0, 1), "cubic": (-1, 0, 1, 2)}[mode]
    parts = []
    for steps in itertools.product(taps, repeat=len(sizes)):
        at = [_core.add(low, _number(float(s), x)) for low, s in zip(lows, steps)]
        value = _pixels(x, at, limits, border)
        if mode != "nearest":
            weights = [_weight(mode, _core.absolute(_core.subtract(p, a))) for p, a in zip(places, at)]
            value = _core.multiply(value, ops.expand_dims(functools.reduce(_core.multiply, weights), 1))
        parts.append(value)
    return functools.reduce(_core.add, parts)


def _weight(mode, d):
    if mode == "linear":
        return 1.0 - d
    a = -0.75
    near = ((a + 2) * d - (a + 3)) * d * d + 1.0
    far = ((d * a - 5 * a) * d + 8 * a) * d - 4 * a
    return _core.where(_core.less_equal(d, _number(1.0, d)), near, far)


def _reflected(p, low, high):
    """`p` mirrored at both ends until it lies between them."""
    span = high - low
    over = _core.mod(p - low, span * 2.0)
    return low + _core.where(_core.greater(over, span), span * 2.0 - over, over)


def _pixels(x, at, limits, border):
    """Values (batch, channels, ...) of `x` at whole coordinates, one Tensor (batch, ...) an axis."""
    inside = []
    flat = None
    for p, (low, high, n) in zip(at, limits):
        if border == "zeros":
            inside += [_core.greater_equal(p, n * 0.0), _core.less(p, n)]
        elif border == "reflection":
            p = _core.trunc(_core.where(
                _core.logical_or(_core.less(p, low), _core.greater(p, high)), _reflected(p, low, high), p
            ))  # fmt: skip
        p = _core.minimum(_core.maximum(p, n * 0.0), n - 1.0)
        p = ops.cast(p, "int32")
        flat = p if flat is None else _core.add(_core.multiply(flat, ops.cast(n, "int32")), p)
    rows, channels = x.dims[:2]
    size = 1
    for d in flat.dims[1:]:
        size = size * d
    index = _core.broadcast_to(_core.reshape(flat, shape=[rows, 1, size]), shape=[rows, channels, size])
    value = _core.take_along_axis(_core.reshape(x, shape=[rows, channels, -1]), index, axis=2)
    value = _core.reshape(value, shape=[rows, channels, *flat.dims[1:]])
    if not inside:
        return value
    return _core.where(ops.expand_dims(functools.reduce(_core.logical_and, inside), 1), value, like(0, value))


@converts("RoiAlign", since=10)
def roi_align(call, x, rois, batch):
    """Means (or maxima) of bilinear samples on a grid in every cell of every region."""
    oh, ow = call.attr("output_height", 1), call.attr("output_width", 1)
    ratio, scale = call.attr("sampling_ratio", 0), call.attr("spatial_scale", 1.0)
    if ratio <= 0:
        raise NotImplementedError(f"sampling_ratio must be above 0, received {ratio}")
    kind = call.attr("coordinate_transformation_mode", "half_pixel" if call.opset >= 16 else "output_half_pixel")
    half = kind == "half_pixel"
    corners = _core.subtract(_core.multiply(rois, like(scale, rois)), like(0.5 if half else 0.0, rois))
    lines = []
    for low, high, count in ((1, 3, oh), (0, 2, ow)):
        begin, span = corners[:, low], _core.subtract(corners[:, high], corners[:, low])
        span = span if half else _core.maximum(span, like(1.0, span))
        step = (np.arange(count * ratio) + 0.5) / (count * ratio)
        lines.append(ops.expand_dims(begin, 1) + ops.expand_dims(span, 1) * _number(step.astype("float32"), x))
    height, width = (_number(d, x) for d in x.dims[2:])
    image = _core.take(x, batch, axis=0)  # (regions, channels, height, width)
    count = image.dims[0]
    y = ops.broadcast_to(ops.expand_dims(lines[0], 2), (count, oh * ratio, ow * ratio))
    z = ops.broadcast_to(ops.expand_dims(lines[1], 1), (count, oh * ratio, ow * ratio))
    near = [_core.greater_equal(y, like(-1, y)), _core.less_equal(y, height),
            _core.greater_equal(z, like(-1, z)), _core.less_equal(z, width)]  # fmt: skip
    near = ops.expand_dims(functools.reduce(_core.logical_and, near), 1)
    y = _core.minimum(_core.maximum(y, like(0, y)), height - 1.0)
    z = _core.minimum(_core.maximum(z, like(0, z)), width - 1.0)
    low_y, low_z = _core.floor(y), _core.floor(z)
    limits = [(None, None, height), (None, None, width)]
    parts = []
    for a, b in itertools.product((0.0, 1.0), (0.0, 1.0)):
        at = [low_y + a, low_z + b]
        weight = (1.0 - _core.absolute(y - at[0])) * (1.0 - _core.absolute(z - at[1]))
        value = _pixels(image, at, limits, "border")
        parts.append(_core.where(near, value * ops.expand_dims(weight, 1), like(0, value)))
    channels = image.dims[1]
    cells = [count, channels, oh, ratio, ow, ratio]
    if call.attr("mode", "avg") == "max":
        best = functools.reduce(_core.maximum, parts)
        return _core.max(_core.reshape(best, shape=cells), axis=[3, 5], keepdims=False)
    total = functools.reduce(_core.add, parts)
    return _core.mean(_core.reshape(total, shape=cells), axis=[3, 5], keepdims=False)
