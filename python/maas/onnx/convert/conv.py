"""Convolutions. ONNX puts the channels second: the transposes around every one cancel in the layout pass."""

import functools
import itertools

import numpy as np

from maas import _core, ops
from maas.onnx.convert import exact
from maas.onnx.convert.common import like, shaped
from maas.onnx.convert.windows import Windows, to_last, to_second
from maas.onnx.registry import converts


def convolution(call, x, kernel, bias=None, plain=False):
    """`Conv` of floats. With `plain` its sums are of products alone, so that those of integers can be exact."""
    if x.ndim != kernel.ndim or not 3 <= x.ndim <= 5:
        raise ValueError(
            f"x and W need 1 to 3 spatial axes, equally many, received shapes {x.shape} and {kernel.shape}"
        )
    group = call.attr("group", 1)
    if kernel.shape[0] % group or x.shape[1] != kernel.shape[1] * group:
        raise ValueError(f"the channels do not fit {group} groups, received shapes {x.shape} and {kernel.shape}")
    w = Windows(call, x.dims[2:], call.attr("kernel_shape", kernel.shape[2:]))
    if list(kernel.shape[2:]) != w.kernel:
        raise ValueError(f"kernel_shape must be that of W, received {w.kernel} and W of shape {kernel.shape}")
    pads, x = w.flat_pads(), to_last(x)
    if any(p < 0 for p in pads):
        begin = [0, *(max(-b, 0) for b, _ in w.pads), 0]
        end = [x.dims[0], *(d - max(-a, 0) for d, (_, a) in zip(x.dims[1:], w.pads)), x.dims[-1]]
        x, pads = _core.slice(x, begin=begin, end=end, step=[1] * x.ndim), [max(p, 0) for p in pads]
    kernel = _core.transpose(kernel, axes=[*range(2, kernel.ndim), 1, 0])
    if plain and w.kernel == [3, 3] and group == 1:
        # Winograd's algorithm, which rounds, takes windows of 3 x 3: one more row of zeros makes it another one.
        kernel = _core.pad(kernel, before=[0] * 4, after=[1, 0, 0, 0], value=0.0)
        pads = [pads[0], pads[1] + w.dilations[0], *pads[2:]]
    y = _core.conv(x, kernel, groups=group, strides=w.strides, dilation=w.dilations, padding="explicit", pads=pads)
    return to_second(y if bias is None else _core.add(y, bias))


@converts("Conv")
def conv(call, x, kernel, bias=None):
    return convolution(call, x, kernel, bias)


@converts("FusedConv", domain="com.microsoft")
def fused_conv(call, x, kernel, bias=None):
    y = convolution(call, x, kernel, bias)
    kind = call.attr("activation", "")
    functions = {"": lambda v: v, "Relu": _core.relu, "Sigmoid": _core.sigmoid, "Tanh": _core.tanh}
    if kind not in functions:
        raise NotImplementedError(f"activation must be one of {sorted(functions)}, received {kind!r}")
    return functions[kind](y)


@converts("ConvTranspose")
def conv_transpose(call, x, kernel, bias=None):
    rank, group = x.ndim - 2, call.attr("group", 1)
    if x.ndim != kernel.ndim or not 1 <= rank <= 3 or x.shape[1] != kernel.shape[0]:
        raise ValueError(f"x and W do not fit, received shapes {x.shape} and {kernel.shape}")
    strides, dilations = call.attr("strides", [1] * rank), call.attr("dilations", [1] * rank)
    more = call.attr("output_padding", [0] * rank)
    sizes, pads, lost = [], [], []
    for i in range(rank):
        extent = (kernel.shape[2 + i] - 1) * dilations[i] + 1
        full = (x.dims[2 + i] - 1) * strides[i] + extent + more[i]
        before, after, out = _borders(call, i, rank, full, x.dims[2 + i] * strides[i])
        # A border below zero adds zeros in front.
        lost.append(max(-before, 0) if isinstance(before, int) else 0)
        before = max(before, 0) if isinstance(before, int) else before
        sizes.append(out - lost[-1])
        pads += [before, after - more[i]]
    y = _core.conv_input_gradient(
        to_last(x), _core.transpose(kernel, axes=[*range(2, kernel.ndim), 1, 0]), groups=group, strides=strides,
        dilation=dilations, padding="explicit", pads=pads, size=sizes,
    )  # fmt: skip
    y = to_second(y)
    if any(lost):
        y = _core.pad(y, before=[0, 0, *lost], after=[0] * y.ndim, value=0.0)
    return y if bias is None else _core.add(y, _core.reshape(bias, shape=[1, -1] + [1] * rank))


def _borders(call, axis, rank, full, same):
    """(before, after, size) of one axis of a transposed convolution."""
    kind, wanted = call.attr("auto_pad", "NOTSET"), call.attr("output_shape")
    if wanted:
        out = list(wanted)[-rank:][axis]
    elif kind in ("SAME_UPPER", "SAME_LOWER"):
        out = same
    else:
        flat = call.attr("pads", [0] * (2 * rank)) if kind == "NOTSET" else [0] * (2 * rank)
        return flat[axis], flat[rank + axis], full - flat[axis] - flat[rank + axis]
    total = full - out
    if not isinstance(total, int):
        from maas.backend.known_sizes import NeedsKnownSizes

        raise NeedsKnownSizes("output_shape needs known sizes")
    small = total // 2
    before = small if kind == "SAME_UPPER" else total - small
    return before, total - before, out


@converts("ConvInteger")
def conv_integer(call, x, kernel, x_zero=None, w_zero=None):
    return ops.cast(integer_convolution(call, x, kernel, x_zero, w_zero), "int32")


def integer_convolution(call, x, kernel, x_zero=None, w_zero=None, bias=None):
    """Exact: by float32 where that can be proved, else in float64. In int32, or float32 that holds all of it."""
    if w_zero is not None:
        w_zero = shaped(w_zero, [-1 if w_zero.size > 1 else 1] + [1] * (kernel.ndim - 1))
    y = exact.convolution(call, convolution, x, x_zero, kernel, w_zero, bias)
    if y is not None:
        return y
    x, kernel = ops.cast(x, "float64"), ops.cast(kernel, "float64")
    if x_zero is not None:
        x = _core.subtract(x, ops.cast(x_zero, "float64"))
    if w_zero is not None:
        kernel = _core.subtract(kernel, ops.cast(w_zero, "float64"))
    y = convolution(call, x, kernel, None if bias is None else ops.cast(bias, "float64"))
    return ops.cast(_core.round(y), "int32")


@converts("Col2Im")
def col2im(call, x, image_shape, block_shape):
    """Columns laid back into images; where they overlap they add up."""
    image = [int(v) for v in call.known(1, "image_shape").reshape(-1)]
    block = [int(v) for v in call.known(2, "block_shape").reshape(-1)]
    rank = len(image)
    strides, dilations = call.attr("strides", [1] * rank), call.attr("dilations", [1] * rank)
    pads = call.attr("pads", [0] * (2 * rank))
    grids, n = [], x.dims[0]
    for i in range(rank):
        count = (image[i] + pads[i] + pads[rank + i] - (block[i] - 1) * dilations[i] - 1) // strides[i] + 1
        grids.append(np.arange(block[i])[:, None] * dilations[i] + np.arange(count)[None] * strides[i] - pads[i])
    places = np.zeros([1] * (2 * rank), "int64")
    inside = np.ones([1] * (2 * rank), bool)
    for i, grid in enumerate(grids):
        shape = [1] * (2 * rank)
        shape[i], shape[rank + i] = grid.shape
        places = places * image[i] + grid.reshape(shape)
        inside = inside & ((grid >= 0) & (grid < image[i])).reshape(shape)
    pixels = int(np.prod(image))
    places = np.where(inside, places, pixels).reshape(-1)
    channels = x.dims[1] // int(np.prod(block))
    rows = _core.transpose(_core.reshape(x, shape=[n * channels, places.size]), axes=[1, 0])
    y = _core.scatter(ops.convert_to_tensor(places[:, None]), rows, shape=[pixels + 1, n * channels], mode="add")
    y = _core.transpose(y[:pixels], axes=[1, 0])
    return _core.reshape(y, shape=[n, channels, *image])


@converts("DeformConv")
def deform_conv(call, x, kernel, offset, bias=None, mask=None):
    """A convolution that reads between pixels: bilinear samples at moved places, then one product."""
    if x.ndim != 4:
        raise NotImplementedError(f"two spatial axes are available, received x of shape {x.shape}")
    w = Windows(call, x.dims[2:], call.attr("kernel_shape", kernel.shape[2:]))
    group, shared = call.attr("group", 1), call.attr("offset_group", 1)
    (n, c, height, width), (kh, kw), (oh, ow) = x.dims, w.kernel, w.out
    offset = _core.reshape(offset, shape=[n, shared, kh * kw, 2, oh, ow])
    spots = list(itertools.product(range(kh), range(kw)))
    lines = []
    for axis in range(2):
        out = np.arange(w.out[axis]) * w.strides[axis] - w.pads[axis][0]
        tap = np.array([s[axis] for s in spots]) * w.dilations[axis]
        base = tap[:, None] + out[None]
        base = base[:, :, None] if axis == 0 else base[:, None, :]
        lines.append(_core.add(offset[:, :, :, axis], like(ops.convert_to_tensor(base.astype("float32")), x)))
    flat = _core.reshape(x, shape=[n, shared, c // shared, height * width])
    y = _bilinear(flat, *lines, int(height), int(width))  # (n, shared, c / shared, taps, oh, ow)
    if mask is not None:
        y = _core.multiply(y, _core.reshape(mask, shape=[n, shared, 1, kh * kw, oh, ow]))
    y = _core.reshape(y, shape=[n, group, (c // group) * kh * kw, oh * ow])
    m = kernel.dims[0]
    kernel = _core.reshape(kernel, shape=[1, group, m // group, kernel.dims[1] * kh * kw])
    y = _core.reshape(_core.matmul(kernel, y), shape=[n, m, oh, ow])
    return y if bias is None else _core.add(y, _core.reshape(bias, shape=[1, -1, 1, 1]))


def _bilinear(flat, rows, columns, height, width):
    low_r, low_c = _core.floor(rows), _core.floor(columns)
    parts = []
    for dr, dc in itertools.product((0, 1), (0, 1)):
        r, c = _core.add(low_r, like(dr, rows)), _core.add(low_c, like(dc, rows))
        weight = functools.reduce(
            _core.multiply,
            [_core.subtract(like(1, rows), _core.absolute(_core.subtract(a, b))) for a, b in ((rows, r), (columns, c))],
        )
        inside = [_core.greater_equal(r, like(0, r)), _core.less(r, like(height, r)),
                  _core.greater_equal(c, like(0, c)), _core.less(c, like(width, c))]  # fmt: skip
        weight = _core.where(functools.reduce(_core.logical_and, inside), weight, like(0, weight))
        r = _core.minimum(_core.maximum(r, like(0, r)), like(height - 1, r))
        c = _core.minimum(_core.maximum(c, like(0, c)), like(width - 1, c))
        place = ops.cast(_core.add(_core.multiply(r, like(width, r)), c), "int32")
        n, shared, taps, oh, ow = place.dims
        place = _core.reshape(place, shape=[n, shared, 1, taps * oh * ow])
        place = _core.broadcast_to(place, shape=[n, shared, flat.dims[2], taps * oh * ow])
        value = _core.take_along_axis(flat, place, axis=3)
        value = _core.reshape(value, shape=[n, shared, flat.dims[2], taps, oh, ow])
        parts.append(_core.multiply(value, _core.reshape(weight, shape=[n, shared, 1, taps, oh, ow])))
    return functools.reduce(_core.add, parts)
