"""`maas.ops.image`: sizes and colours of images."""

import numpy as np

from maas import _core
from maas.backend.symbolic import op
from maas.ops.core import as_tensor, cast, saturate_cast
from maas.ops.shape import pad

__all__ = ["crop_images", "pad_images", "resize", "rgb_to_grayscale"]


def _format(name, images, data_format):
    """(image, axis of the height, axis of the channels)"""
    from maas.backend.config import image_data_format

    images, data_format = as_tensor(images), data_format or image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(
            f"{name}: data_format must be 'channels_last' or 'channels_first', received data_format={data_format!r}"
        )
    if images.ndim not in (3, 4):
        raise ValueError(f"{name}: images must have 3 or 4 axes, received images of shape {images.shape}")
    last = data_format == "channels_last"
    return images, images.ndim - 3 if last else images.ndim - 2, images.ndim - 1 if last else images.ndim - 3


def _triangle(x):
    return np.maximum(0, 1 - x)


def _cubic(x):
    """Keys's kernel with a = -0.5."""
    near, far = ((1.5 * x - 2.5) * x) * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x >= 2, 0, np.where(x >= 1, far, near))


def _lanczos(radius):
    def kernel(x):
        safe = np.where(x > 1e-3, x, 1)
        y = radius * np.sin(np.pi * safe) * np.sin(np.pi * safe / radius) / (np.pi**2 * safe**2)
        return np.where(x > radius, 0, np.where(x > 1e-3, y, 1))

    return kernel


_KERNELS = {"bilinear": _triangle, "bicubic": _cubic, "lanczos3": _lanczos(3), "lanczos5": _lanczos(5)}


def _weights(old, new, interpolation, antialias):
    """What each new place takes of each old one: (new, old) float64, rows sum to 1."""
    step = old / new
    at = (np.arange(new) + 0.5) * step - 0.5
    distance = np.abs(at[:, None] - np.arange(old)) / (max(step, 1.0) if antialias else 1.0)
    w = _KERNELS[interpolation](distance)
    return w / w.sum(1, keepdims=True)


def _along(x, axis, w):
    """The product of `w` (new, old) with one axis."""
    w = w if isinstance(w, _core.Tensor) else _core.Tensor(w, x.dtype)
    if axis == x.ndim - 1:
        return _core.matmul(x, w, transpose_b=True)
    before, after = list(x.dims[:axis]), list(x.dims[axis + 1 :])
    if axis == x.ndim - 2:
        return _core.matmul(w, x)
    columns = 1
    for n in after:
        columns = columns * n
    flat = _core.matmul(w, _core.reshape(x, shape=[*before, x.dims[axis], columns]))
    return _core.reshape(flat, shape=[*before, w.shape[0], *after])


def middle_part(height, width, size):
    """(top, left, height, width) of the largest middle part with the proportions of `size`, all in whole pixels."""
    tall = max(min(height, width * size[0] // size[1]), 1)
    wide = max(min(width, height * size[1] // size[0]), 1)
    return (height - tall) // 2, (width - wide) // 2, tall, wide


def padded_part(height, width, size):
    """(top, left, height, width) of images that `resize` fills up to the proportions of `size`, in their own pixels;
    top and left are 0 or less. Both sides get the same number of rows, or of columns: of an odd number one is missing.
    """
    down, right = (max(n, 0) // 2 for n in (width * size[0] // size[1] - height, height * size[1] // size[0] - width))
    return -down, -right, height + 2 * down, width + 2 * right


def _fitted(x, at, size, crop, fill_value):
    """`x` cut (or filled) around its middle to the proportions of `size`."""
    height, width = x.shape[at : at + 2]
    top, left, tall, wide = (middle_part if crop else padded_part)(height, width, size)
    if crop:
        return x[(slice(None),) * at + (slice(top, top + tall), slice(left, left + wide))]
    sides = [(0, 0)] * x.ndim
    sides[at : at + 2] = (-top, -top), (-left, -left)
    return pad(x, sides, constant_values=fill_value) if top or left else x


@op
def resize(
    images, size, interpolation="bilinear", antialias=False, crop_to_aspect_ratio=False, pad_to_aspect_ratio=False,
    fill_mode="constant", fill_value=0.0, data_format=None,
):  # fmt: skip
    """Images in another size; each axis is multiplied by a matrix of interpolation weights.

    Args:
        images: Tensor (batch, height, width, channels) or without batch, or channels first.
        size: (height, width).
        interpolation: "nearest", "bilinear", "bicubic", "lanczos3" or "lanczos5".
        antialias: bool, whether the kernel is widened when images shrink.
        crop_to_aspect_ratio, pad_to_aspect_ratio: bool, whether images are first cut or filled to the new proportions.
        fill_mode, fill_value: "constant" and the number to fill with.
        data_format: str or None.

    Returns:
        Tensor of the dtype of `images`; integers are rounded and stay in range.

    Raises:
        ValueError: for unknown options or sizes.
    Reference: Keys, 1981, "Cubic convolution interpolation for digital image processing".
    """
    if interpolation != "nearest" and interpolation not in _KERNELS:
        known = sorted(["nearest", *_KERNELS])
        raise ValueError(f"resize: interpolation must be one of {known}, received interpolation={interpolation!r}")
    if fill_mode != "constant":
        raise ValueError(f"resize: fill_mode must be 'constant', received fill_mode={fill_mode!r}")
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("resize: only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be True, received both")
    if len(size) != 2 or any(int(n) < 1 for n in size):
        raise ValueError(f"resize: size must be (height, width), both positive, received size={size}")
    x, at, _ = _format("resize", images, data_format)
    dtype, size = x.dtype, [int(n) for n in size]
    if None in x.shape[at : at + 2] or 0 in x.shape[at : at + 2]:
        raise ValueError(f"resize: height and width must be known and positive, received images of shape {x.shape}")
    if crop_to_aspect_ratio or pad_to_aspect_ratio:
        x = _fitted(x, at, size, crop_to_aspect_ratio, fill_value)
    todo = [(at + i, x.shape[at + i], size[i]) for i in range(2) if x.shape[at + i] != size[i]]
    if interpolation == "nearest":
        for axis, old, new in todo:
            places = np.floor((np.arange(new, dtype=np.float32) + np.float32(0.5)) * np.float32(old) / np.float32(new))
            x = _core.take(x, as_tensor(places.astype("int32")), axis=axis)
        return x
    x = x if dtype in ("float32", "float64") else cast(x, "float32")
    for axis, old, new in todo:
        x = _along(x, axis, _weights(old, new, interpolation, antialias))
    if x.dtype == dtype:
        return x
    return cast(x, dtype) if "float" in dtype else saturate_cast(_core.round(x), dtype)


@op
def rgb_to_grayscale(images, data_format=None):
    """`0.2989 red + 0.587 green + 0.114 blue`, one channel; images of one channel stay as they are."""
    x, _, channel = _format("rgb_to_grayscale", images, data_format)
    if x.shape[channel] not in (1, 3):
        raise ValueError(f"rgb_to_grayscale: images must have 1 or 3 channels, received images of shape {x.shape}")
    if x.shape[channel] == 1:
        return x
    dtype = x.dtype
    x = x if "float" in dtype else cast(x, "float32")
    shape = [1] * x.ndim
    shape[channel] = 3
    weights = cast(as_tensor(np.reshape(np.array([0.2989, 0.587, 0.114], "float32"), shape)), x.dtype)
    return cast(_core.sum(_core.multiply(x, weights), axis=[channel], keepdims=True), dtype)


def _margins(name, words, before, after, old, new, sign):
    """Both sides of one axis from two of (before, after, new size)."""
    if sum(v is None for v in (before, after, new)) != 1:
        raise ValueError(f"{name}: exactly two of {words} must be given, received {(before, after, new)}")
    total = sign * (new - old) if new is not None else before + after
    before = total - after if before is None else before
    after = total - before if after is None else after
    if before < 0 or after < 0 or (sign < 0 and before + after >= old):
        raise ValueError(f"{name}: {words} do not fit a size of {old}, received {(before, after, new)}")
    return before, after


@op
def pad_images(
    images, top_padding=None, left_padding=None, bottom_padding=None, right_padding=None, target_height=None,
    target_width=None, data_format=None,
):  # fmt: skip
    """Images with zeros around them; per direction two of both sides and the target size are given."""
    x, at, _ = _format("pad_images", images, data_format)
    widths = [(0, 0)] * x.ndim
    vertical, horizontal = "top_padding, bottom_padding, target_height", "left_padding, right_padding, target_width"
    widths[at] = _margins("pad_images", vertical, top_padding, bottom_padding, x.shape[at], target_height, 1)
    widths[at + 1] = _margins("pad_images", horizontal, left_padding, right_padding, x.shape[at + 1], target_width, 1)
    return pad(x, widths)


@op
def crop_images(
    images, top_cropping=None, left_cropping=None, bottom_cropping=None, right_cropping=None, target_height=None,
    target_width=None, data_format=None,
):  # fmt: skip
    """Images without their margins; per direction two of both sides and the target size are given."""
    x, at, _ = _format("crop_images", images, data_format)
    index = [slice(None)] * x.ndim
    vertical, horizontal = "top_cropping, bottom_cropping, target_height", "left_cropping, right_cropping, target_width"
    top, bottom = _margins("crop_images", vertical, top_cropping, bottom_cropping, x.shape[at], target_height, -1)
    left, right = _margins("crop_images", horizontal, left_cropping, right_cropping, x.shape[at + 1], target_width, -1)
    index[at], index[at + 1] = slice(top, x.shape[at] - bottom), slice(left, x.shape[at + 1] - right)
    return x[tuple(index)]
