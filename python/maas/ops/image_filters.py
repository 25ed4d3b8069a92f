"""Colours, blurs, edges and likeness of images."""

import numpy as np

from maas import _core
from maas.backend import is_float_dtype
from maas.backend.symbolic import op
from maas.ops import reduction
from maas.ops.control import _is_known as is_known
from maas.ops.core import as_tensor, cast, floating
from maas.ops.image import _format
from maas.ops.image_warp import _batched
from maas.ops.nn_conv import depthwise_conv
from maas.ops.shape import repeat, stack
from maas.ops.views import expand_dims, split, squeeze

__all__ = ["gaussian_blur", "hsv_to_rgb", "rgb_to_hsv", "sobel_edges", "ssim"]


def _planes(name, images, data_format):
    """(three planes, their axis) of images of a floating dtype."""
    x, _, axis = _format(name, images, data_format)
    if x.shape[axis] != 3 or not is_float_dtype(x.dtype):
        raise ValueError(
            f"{name}: floating images with 3 channels are needed, received images of shape {x.shape} "
            f"and dtype {x.dtype}"
        )
    return [squeeze(p, axis) for p in split(x, 3, axis)], axis


@op
def rgb_to_hsv(images, data_format=None):
    """Red, green and blue in [0, 1] as hue, saturation and value in [0, 1].

    Reference: Smith, 1978, "Color gamut transform pairs".
    """
    planes, axis = _planes("rgb_to_hsv", images, data_format)
    tiny = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10}.get(planes[0].dtype, 2.0**-7)
    r, g, b = (_core.where(_core.less(_core.absolute(p), tiny), 0.0, p) for p in planes)
    value, low = _core.maximum(_core.maximum(r, g), b), _core.minimum(_core.minimum(r, g), b)
    spread = _core.subtract(value, low)
    bright, coloured = _core.greater(value, 0.0), _core.greater(spread, 0.0)
    saturation = _core.where(bright, _core.divide(spread, _core.where(bright, value, 1.0)), 0.0)
    scale = _core.divide(1.0, _core.multiply(_core.where(coloured, spread, 1.0), 6.0))

    def sector(first, second, base):
        return _core.add(_core.multiply(scale, _core.subtract(first, second)), base)

    hue = _core.where(_core.equal(value, g), sector(b, r, 2.0 / 6.0), sector(r, g, 4.0 / 6.0))
    hue = _core.where(_core.equal(value, r), sector(g, b, 0.0), hue)
    wrapped = _core.where(_core.less(hue, 0.0), cast(1.0, hue.dtype), 0.0)
    hue = _core.add(_core.where(coloured, hue, 0.0), wrapped)
    return stack([hue, saturation, value], axis=axis)


@op
def hsv_to_rgb(images, data_format=None):
    """Hue, saturation and value as red, green and blue: the inverse of `rgb_to_hsv`."""
    (hue, saturation, value), axis = _planes("hsv_to_rgb", images, data_format)
    turn = _core.multiply(_core.mod(hue, 1.0), 6.0)
    pale = _core.subtract(1.0, saturation)

    def plane(share):
        share = _core.minimum(_core.maximum(share, 0.0), 1.0)
        return _core.multiply(value, _core.add(pale, _core.multiply(saturation, share)))

    red = plane(_core.subtract(_core.absolute(_core.subtract(turn, 3.0)), 1.0))
    green, blue = (plane(_core.subtract(2.0, _core.absolute(_core.subtract(turn, c)))) for c in (2.0, 4.0))
    return stack([red, green, blue], axis=axis)


def gaussian_window(size, sigma):
    """`exp(-x^2 / (2 sigma^2))` about the middle of `size` places, of sum 1; sigma: number or scalar Tensor."""
    at = np.arange(size) - (size - 1) / 2
    if isinstance(sigma, _core.Tensor):
        sigma = cast(sigma, "float32")
        exponent = _core.multiply(_core.Tensor(-0.5 * at**2, "float32"), _core.divide(1.0, _core.square(sigma)))
        w = _core.exp(exponent)
        return _core.divide(w, reduction.sum(w))
    w = np.exp(-0.5 * (at / sigma) ** 2)
    return w / w.sum()


def _convolved(x, window, padding):
    """Every channel of a batch under the same windows (height, width, number); theirs are beside each other."""
    if isinstance(window, _core.Tensor):
        kernel = repeat(expand_dims(cast(window, x.dtype), 2), x.shape[-1], axis=2)
    else:
        kernel = _core.Tensor(np.repeat(np.asarray(window)[:, :, None], x.shape[-1], axis=2), x.dtype)
    return depthwise_conv(x, kernel, padding=padding, data_format="channels_last")


def smoothed(x, down, across, padding):
    """A batch, channels last, under one window along the height and one along the width."""
    for window, shape in ((down, (-1, 1, 1)), (across, (1, -1, 1))):
        folded = window.reshape(shape) if isinstance(window, np.ndarray) else _core.reshape(window, shape=list(shape))
        x = _convolved(x, folded, padding)
    return x


@op
def gaussian_blur(images, kernel_size=(3, 3), sigma=(1.0, 1.0), data_format=None):
    """Images smoothed by a Gaussian window, with zeros around them.

    Args:
        images: Tensor (batch, height, width, channels) or without batch, or channels first.
        kernel_size: two ints, width and height of the window.
        sigma: two numbers or scalar tensors, its standard deviations along x and y.
        data_format: str or None.
    """
    x, dtype, back = _batched("gaussian_blur", images, data_format)
    kx, ky = (int(k) for k in kernel_size)
    # Numbers drawn inside a trace have no value yet.
    sx, sy = (s if isinstance(s, _core.Tensor) and not is_known(s) else float(np.asarray(s)) for s in sigma)
    if min(kx, ky) < 1 or any(isinstance(s, float) and s <= 0 for s in (sx, sy)):
        raise ValueError(f"gaussian_blur: kernel_size and sigma must be positive, received {kernel_size} and {sigma}")
    x = floating(x)
    # Keras takes the first size and deviation for columns of the kernel it makes, and the kernel's rows for the height.
    return cast(back(smoothed(x, gaussian_window(ky, sy), gaussian_window(kx, sx), "same")), dtype)


@op
def sobel_edges(images, data_format=None):
    """Slopes of images by Sobel's kernels, vertical and horizontal on a new last axis, with zeros around them.

    Args:
        images: Tensor (batch, height, width, channels) or without batch, or channels first.
        data_format: str or None.

    Returns:
        Tensor of the shape of `images` and one axis of size 2 more.
    """
    x, _, back = _batched("sobel_edges", images, data_format)
    x = floating(x)
    down = np.outer((-1.0, 0.0, 1.0), (1.0, 2.0, 1.0))
    y = _core.reshape(_convolved(x, np.stack([down, down.T], axis=-1), "same"), shape=[*x.dims, 2])
    return stack([back(y[..., 0]), back(y[..., 1])], axis=-1)


@op
def ssim(image1, image2, max_val=1.0, filter_size=11, filter_sigma=1.5, k1=0.01, k2=0.03, data_format=None):
    """Structural similarity: the mean of `(2 m1 m2 + c1)(2 s12 + c2) / ((m1^2 + m2^2 + c1)(s1 + s2 + c2))`.

    Means `m`, variances `s` and the covariance `s12` are those under a Gaussian window, `c = (k max_val)^2`.

    Args:
        image1, image2: Tensors (batch, height, width, channels) or without batch, or channels first.
        max_val: number, the largest value of a pixel.
        filter_size, filter_sigma: size and standard deviation of the window.
        k1, k2: numbers.
        data_format: str or None.

    Returns:
        Tensor (batch,), or a scalar without batch.
    Reference: Wang et al., 2004, "Image quality assessment: from error visibility to structural similarity".
    """
    a, dtype, _ = _batched("ssim", image1, data_format)
    b, _, _ = _batched("ssim", image2, data_format)
    if a.shape[1:] != b.shape[1:] or filter_size < 1 or min(a.shape[1:3]) < filter_size:
        raise ValueError(
            f"ssim: images of one shape, no smaller than the window of {filter_size}, are needed, received shapes "
            f"{a.shape} and {b.shape}"
        )
    a, b = floating(a), floating(b)
    window = gaussian_window(int(filter_size), float(filter_sigma))

    def smooth(x):
        return smoothed(x, window, window, "valid")

    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    m1, m2 = smooth(a), smooth(b)
    s1 = _core.subtract(smooth(_core.square(a)), _core.square(m1))
    s2 = _core.subtract(smooth(_core.square(b)), _core.square(m2))
    s12 = _core.subtract(smooth(_core.multiply(a, b)), _core.multiply(m1, m2))
    means, spread = _core.multiply(_core.multiply(m1, m2), 2.0), _core.multiply(s12, 2.0)
    above = _core.multiply(_core.add(means, c1), _core.add(spread, c2))
    below = _core.multiply(
        _core.add(_core.add(_core.square(m1), _core.square(m2)), c1), _core.add(_core.add(s1, s2), c2)
    )
    y = reduction.mean(_core.divide(above, below), [1, 2, 3])
    y = squeeze(y, 0) if as_tensor(image1).ndim == 3 else y
    return cast(y, dtype)
