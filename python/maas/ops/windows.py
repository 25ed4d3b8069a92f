"""Windows that slide over signals and images: to blocks, from blocks, pooled to a given size."""

import numpy as np

from maas import _core
from maas.backend.symbolic import op
from maas.ops.core import as_tensor, floating
from maas.ops.fft import _pair, _window, irfft
from maas.ops.image import _along
from maas.ops.nn_conv import _sizes
from maas.ops.shape import pad
from maas.ops.views import moveaxis, transpose

__all__ = [
    "adaptive_average_pool", "adaptive_max_pool", "depth_to_space", "extract_sequences", "fold", "istft",
    "space_to_depth", "unfold",
]  # fmt: skip


def _places(count, size, dilation, stride):
    """Index of element j of block i: (count, size)."""
    return np.arange(count)[:, None] * stride + np.arange(size) * dilation


def _settings(owner, kernel_size, dilation, padding, stride):
    return (
        _sizes(owner, "kernel_size", kernel_size, 2), _sizes(owner, "dilation", dilation, 2),
        _sizes(owner, "padding", padding, 2, least=0), _sizes(owner, "stride", stride, 2),
    )  # fmt: skip


@op
def unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    """The blocks under a window that slides over images.

    Args:
        x: Tensor (batch, channels, height, width).
        kernel_size: int or two, size of the window.
        dilation, padding, stride: int or two.

    Returns:
        Tensor (batch, channels * window, blocks).
    """
    x = as_tensor(x)
    if x.ndim != 4 or None in x.shape[1:]:
        raise ValueError(f"unfold: x must be (batch, channels, height, width), received x of shape {x.shape}")
    k, d, p, s = _settings("unfold", kernel_size, dilation, padding, stride)
    x = pad(x, [(0, 0), (0, 0), (p[0], p[0]), (p[1], p[1])]) if any(p) else x
    counts = [(x.shape[2 + i] - d[i] * (k[i] - 1) - 1) // s[i] + 1 for i in range(2)]
    if min(counts) < 1:
        raise ValueError(f"unfold: the window {k} does not fit, received x of shape {x.shape} with padding")
    for i in range(2):
        places = _places(counts[i], k[i], d[i], s[i]).reshape(-1)
        x = _core.take(x, as_tensor(places.astype("int32")), axis=2 + i)
    n, c = x.dims[:2]
    x = transpose(_core.reshape(x, shape=[n, c, counts[0], k[0], counts[1], k[1]]), (0, 1, 3, 5, 2, 4))
    return _core.reshape(x, shape=[n, c * k[0] * k[1], counts[0] * counts[1]])


@op
def fold(x, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Images from the blocks that `unfold` gives; where blocks overlap they are added.

    Args:
        x: Tensor (batch, channels * window, blocks).
        output_size: int or two, height and width.
        kernel_size, dilation, padding, stride: as for `unfold`.

    Returns:
        Tensor (batch, channels, height, width).
    """
    x, out = as_tensor(x), _sizes("fold", "output_size", output_size, 2)
    k, d, p, s = _settings("fold", kernel_size, dilation, padding, stride)
    counts = [(out[i] + 2 * p[i] - d[i] * (k[i] - 1) - 1) // s[i] + 1 for i in range(2)]
    wanted = k[0] * k[1], counts[0] * counts[1]
    if x.ndim != 3 or x.shape[1] is None or x.shape[1] % wanted[0] or x.shape[2] != wanted[1]:
        raise ValueError(
            f"fold: x must be (batch, channels * {wanted[0]}, {wanted[1]}) for output_size={out}, received x of shape "
            f"{x.shape}"
        )
    n, channels = x.dims[0], x.shape[1] // wanted[0]
    x = transpose(_core.reshape(x, shape=[n, channels, *k, *counts]), (0, 1, 4, 2, 5, 3))
    x = _core.reshape(x, shape=[n, channels, counts[0] * k[0], counts[1] * k[1]])
    for i in range(2):
        places = _places(counts[i], k[i], d[i], s[i]).reshape(-1) - p[i]
        adds = (np.arange(out[i])[:, None] == places).astype("float32")
        x = _along(x, 2 + i, adds)
    return x


def _blocks(owner, x, block_size, data_format):
    x = as_tensor(x)
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(
            f"{owner}: data_format must be 'channels_last' or 'channels_first', received data_format={data_format!r}"
        )
    if x.ndim != 4 or not hasattr(block_size, "__index__") or block_size < 1:
        raise ValueError(
            f"{owner}: images of 4 axes and a positive block_size are needed, received x of shape {x.shape} and "
            f"block_size={block_size!r}"
        )
    return x, int(block_size), data_format == "channels_last"


@op
def depth_to_space(x, block_size, data_format="channels_last"):
    """Channels as blocks of pixels: (batch, h, w, b b c) becomes (batch, h b, w b, c).

    Args:
        x: Tensor (batch, height, width, channels) or (batch, channels, height, width).
        block_size: int, `b`.
        data_format: str.

    Raises:
        ValueError: if `b b` does not divide the channels.
    """
    x, b, last = _blocks("depth_to_space", x, block_size, data_format)
    channels = x.shape[3 if last else 1]
    if channels is None or channels % b**2:
        raise ValueError(f"depth_to_space: {b * b} must divide the channels, received x of shape {x.shape}")
    if last:
        n, h, w, _ = x.dims
        x = transpose(_core.reshape(x, shape=[n, h, w, b, b, channels // b**2]), (0, 1, 3, 2, 4, 5))
        return _core.reshape(x, shape=[n, h * b, w * b, channels // b**2])
    n, _, h, w = x.dims
    x = transpose(_core.reshape(x, shape=[n, channels // b**2, b, b, h, w]), (0, 1, 4, 2, 5, 3))
    return _core.reshape(x, shape=[n, channels // b**2, h * b, w * b])


@op
def space_to_depth(x, block_size, data_format="channels_last"):
    """Blocks of pixels as channels: the inverse of `depth_to_space`.

    Raises:
        ValueError: if `block_size` does not divide height and width.
    """
    x, b, last = _blocks("space_to_depth", x, block_size, data_format)
    sizes = x.shape[1:3] if last else x.shape[2:]
    if any(size is not None and size % b for size in sizes):
        raise ValueError(f"space_to_depth: {b} must divide height and width, received x of shape {x.shape}")
    if last:
        n, h, w, c = x.dims
        x = transpose(_core.reshape(x, shape=[n, h // b, b, w // b, b, c]), (0, 1, 3, 2, 4, 5))
        return _core.reshape(x, shape=[n, h // b, w // b, c * b * b])
    n, c, h, w = x.dims
    x = transpose(_core.reshape(x, shape=[n, c, h // b, b, w // b, b]), (0, 1, 3, 5, 2, 4))
    return _core.reshape(x, shape=[n, c * b * b, h // b, w // b])


def _adaptive(owner, inputs, output_size, data_format, pool):
    from maas.backend.config import image_data_format

    x, data_format = floating(inputs), data_format or image_data_format()
    rank = x.ndim - 2
    if rank not in (1, 2, 3) or data_format not in ("channels_last", "channels_first"):
        raise ValueError(
            f"{owner}: inputs of 1 to 3 spatial axes and a known data_format are needed, received inputs of shape "
            f"{x.shape} and data_format={data_format!r}"
        )
    sizes = (output_size,) * rank if hasattr(output_size, "__index__") else tuple(output_size)
    at = 1 if data_format == "channels_last" else 2
    if len(sizes) != rank or any(int(n) < 1 for n in sizes) or None in x.shape[at : at + rank]:
        raise ValueError(
            f"{owner}: one positive size per known spatial axis is needed, received output_size={output_size!r} for "
            f"inputs of shape {x.shape}"
        )
    for i, new in enumerate(sizes):
        old = x.shape[at + i]
        begin, end = np.arange(new) * old // new, -(-(np.arange(1, new + 1) * old) // new)
        x = pool(x, at + i, begin, end)
    return x


@op
def adaptive_average_pool(inputs, output_size, data_format=None):
    """Means over windows that cut every axis of size n into m: window i is [floor(i n / m), ceil((i + 1) n / m)).

    Args:
        inputs: Tensor (batch, *spatial, channels) with 1 to 3 spatial axes, or (batch, channels, *spatial).
        output_size: int or one per spatial axis.
        data_format: str or None.

    Returns:
        Tensor (batch, *output_size, channels).
    """

    def means(x, axis, begin, end):
        at = np.arange(x.shape[axis])
        inside = (at >= begin[:, None]) & (at < end[:, None])
        return _along(x, axis, inside / inside.sum(1, keepdims=True))

    return _adaptive("adaptive_average_pool", inputs, output_size, data_format, means)


@op
def adaptive_max_pool(inputs, output_size, data_format=None):
    """Maxima over the windows of `adaptive_average_pool`."""

    def maxima(x, axis, begin, end):
        # Shorter windows read their last element twice.
        places = np.minimum(begin[:, None] + np.arange((end - begin).max()), end[:, None] - 1)
        parts = _core.take(x, as_tensor(places.astype("int32")), axis=axis)
        return _core.max(parts, axis=[axis + 1], keepdims=False)

    return _adaptive("adaptive_max_pool", inputs, output_size, data_format, maxima)


@op
def extract_sequences(x, sequence_length, sequence_stride):
    """Windows of the last axis, one every `sequence_stride` places: (..., n) becomes (..., windows, length).

    Args:
        x: Tensor (..., n).
        sequence_length, sequence_stride: int.
    """
    x = as_tensor(x)
    size = x.shape[-1]
    if size is None or not 1 <= sequence_length <= size or sequence_stride < 1:
        raise ValueError(
            f"extract_sequences: windows must fit in the last axis, received sequence_length={sequence_length}, "
            f"sequence_stride={sequence_stride} and x of shape {x.shape}"
        )
    count = (size - sequence_length) // sequence_stride + 1
    return _core.take(x, as_tensor(_places(count, sequence_length, 1, sequence_stride).astype("int32")), axis=-1)


@op
def istft(x, sequence_length, sequence_stride, fft_length, length=None, window="hann", center=True):
    """The signal whose `stft` is the pair `x`: windows are added and divided by the sum of their squares.

    Args:
        x: pair of Tensors (..., windows, fft_length // 2 + 1).
        sequence_length, sequence_stride, fft_length, window, center: as for `stft`.
        length: int, size of the signal; by default what the windows cover.

    Returns:
        Tensor (..., length).
    Reference: Griffin and Lim, 1984, "Signal estimation from modified short-time Fourier transform".
    """
    real, imag = _pair("istft", x)
    if real.ndim < 2:
        raise ValueError(f"istft: x must have at least two axes, received parts of shape {real.shape}")
    win = _window("istft", window, sequence_length, fft_length)
    frames = _core.multiply(irfft((real, imag), fft_length), as_tensor(win.astype(real.dtype)))
    count = real.shape[-2]
    places = _places(count, fft_length, 1, sequence_stride)
    size = int(places[-1, -1]) + 1
    weight = np.bincount(places.reshape(-1), np.tile(win**2, count), size)
    flat = moveaxis(_core.reshape(frames, shape=[*frames.dims[:-2], -1]), -1, 0)
    total = moveaxis(
        _core.scatter(as_tensor(places.reshape(-1, 1)), flat, shape=[size, *flat.dims[1:]], mode="add"), 0, -1
    )
    y = _core.multiply(total, as_tensor((1 / np.where(weight > 1e-10, weight, 1)).astype(real.dtype)))
    begin = fft_length // 2 if center else 0
    end = begin + length if length is not None else size - begin
    if end > size:
        y = pad(y, [(0, 0)] * (y.ndim - 1) + [(0, end - size)])
    return y[..., begin:end]
