"""Images between files, Pillow and arrays."""

import io
import os
import pathlib
import warnings

import numpy as np


def pillow(what):
    """`PIL.Image`.

    Raises:
        ImportError: naming the extra, if Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(f"{what}: images need Pillow, pip install 'maas[image]', received no package PIL") from None
    return Image


def _data_format(value, owner):
    from maas.layers.options import standardize_data_format

    return standardize_data_format(value, owner)


def array_to_img(x, data_format=None, scale=True, dtype=None):
    """A Pillow image from an array.

    Args:
        x: array (height, width, channels) of 1, 3 or 4 channels, or channels first.
        data_format: "channels_last" or "channels_first".
        scale: bool, whether the values are stretched to 0 ... 255.
        dtype: dtype of the computation, default floatx.

    Returns:
        `PIL.Image.Image`.

    Raises:
        ValueError: for another shape.
        ImportError: without Pillow.
    """
    from maas.backend.config import floatx

    data_format, image = _data_format(data_format, "array_to_img"), pillow("array_to_img")
    x = np.asarray(x, dtype=dtype or floatx())
    if x.ndim != 3:
        raise ValueError(f"array_to_img: x must have 3 axes (one image), received shape {x.shape}")
    if data_format == "channels_first":
        x = x.transpose(1, 2, 0)
    if x.shape[2] not in (1, 3, 4) or x.size == 0:
        raise ValueError(f"array_to_img: x must have 1, 3 or 4 channels and pixels, received shape {x.shape}")
    if scale:
        x = x - x.min()
        top = x.max()
        x = (x / top if top != 0 else x) * 255
    if x.shape[2] > 1:
        return image.fromarray(x.astype("uint8"))
    return image.fromarray(x[:, :, 0].astype("int32" if x.max() > 255 else "uint8"))


def img_to_array(img, data_format=None, dtype=None):
    """An array (height, width, channels), or channels first, from a Pillow image.

    Args:
        img: `PIL.Image.Image`, or an array of 2 or 3 axes.
        data_format: "channels_last" or "channels_first".
        dtype: dtype, default floatx.

    Raises:
        ValueError: for another number of axes.
    """
    from maas.backend.config import floatx

    data_format = _data_format(data_format, "img_to_array")
    x = np.asarray(img, dtype=dtype or floatx())
    if x.ndim not in (2, 3):
        raise ValueError(f"img_to_array: img must have 2 or 3 axes, received shape {x.shape}")
    x = x[..., None] if x.ndim == 2 else x
    return x.transpose(2, 0, 1) if data_format == "channels_first" else x


def save_img(path, x, data_format=None, file_format=None, scale=True, **kwargs):
    """Writes an array as an image file.

    Args:
        path: str, path or binary file.
        x: see `array_to_img`.
        data_format: "channels_last" or "channels_first".
        file_format: str such as "png"; default by the suffix of `path`.
        scale: bool, whether the values are stretched to 0 ... 255.
        **kwargs: for Pillow's `save`.
    """
    if file_format is None and isinstance(path, (str, os.PathLike)):
        file_format = pathlib.Path(path).suffix[1:].lower()
    if file_format and file_format.lower() == "jpg":
        file_format = "jpeg"
    img = array_to_img(x, data_format=_data_format(data_format, "save_img"), scale=scale)
    if img.mode == "RGBA" and file_format == "jpeg":
        warnings.warn("save_img: JPEG has no transparency, the image is saved as RGB", stacklevel=2)
        img = img.convert("RGB")
    img.save(path, format=file_format, **kwargs)


_MODES = {"grayscale": ("L", ("L", "I;16", "I")), "rgb": ("RGB", ("RGB",)), "rgba": ("RGBA", ("RGBA",))}
_RESAMPLING = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def load_img(path, color_mode="rgb", target_size=None, interpolation="nearest", keep_aspect_ratio=False):
    """A Pillow image from a file.

    Args:
        path: str, path or `io.BytesIO`.
        color_mode: "grayscale", "rgb" or "rgba".
        target_size: (height, width) or None.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos", "box" or "hamming".
        keep_aspect_ratio: bool, cut the middle of the right proportions first.

    Returns:
        `PIL.Image.Image`.

    Raises:
        ValueError: for an unknown mode or interpolation, or a picture of more pixels than Pillow opens (twice
            its `MAX_IMAGE_PIXELS`).
        TypeError: if `path` is no path.
        ImportError: without Pillow.
    """
    image = pillow("load_img")
    if color_mode not in _MODES:
        raise ValueError(f"load_img: color_mode must be one of {sorted(_MODES)}, received {color_mode!r}")
    if interpolation not in _RESAMPLING:
        raise ValueError(f"load_img: interpolation must be one of {_RESAMPLING}, received {interpolation!r}")
    if isinstance(path, (str, bytes, os.PathLike)):
        with open(path, "rb") as f:
            path = io.BytesIO(f.read())
    elif not isinstance(path, io.BytesIO):
        raise TypeError(f"load_img: path must be a path or io.BytesIO, received {type(path).__name__}")
    try:
        img = image.open(path)
        mode, kept = _MODES[color_mode]
        img = img.convert(mode) if img.mode not in kept else img
    except image.DecompressionBombError as e:  # a decoder asks for memory by what the header of a file says
        raise ValueError(f"load_img: the picture has too many pixels for Pillow, received {e}") from None
    size = None if target_size is None else (target_size[1], target_size[0])
    if size is not None and img.size != size:
        box = _middle_box(img.size, size) if keep_aspect_ratio else None
        img = img.resize(size, getattr(image.Resampling, interpolation.upper()), box=box)
    return img


def _middle_box(size, target):
    """(left, top, right, bottom), as Pillow counts."""
    from maas.ops.image import middle_part

    top, left, tall, wide = middle_part(size[1], size[0], (target[1], target[0]))
    return left, top, left + wide, top + tall


def smart_resize(x, size, interpolation="bilinear", data_format="channels_last", **kwargs):
    """Images in another size without distortion: the middle part of the right proportions, resized.

    Args:
        x: array (height, width, channels), or a batch of them, or channels first.
        size: (height, width).
        interpolation: see `ops.image.resize`.
        data_format: "channels_last" or "channels_first".

    Returns:
        NumPy array for a NumPy array, else Tensor.

    Raises:
        ValueError: for another number of axes or sizes.
        TypeError: for an unknown argument.
    """
    from maas import ops

    if kwargs:
        raise TypeError(f"smart_resize: unknown arguments, received {sorted(kwargs)}")
    if len(size) != 2:
        raise ValueError(f"smart_resize: size must be (height, width), received {size}")
    img = ops.convert_to_tensor(x)
    if img.ndim not in (3, 4):
        raise ValueError(f"smart_resize: x must have 3 or 4 axes, received shape {tuple(img.shape)}")
    out = ops.image.resize(
        img, size=size, interpolation=interpolation, crop_to_aspect_ratio=True, data_format=data_format
    )
    return np.array(out) if isinstance(x, np.ndarray) else out
