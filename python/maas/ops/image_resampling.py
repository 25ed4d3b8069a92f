"""Images read at other places: scaled and moved along axes, or bent by noise."""

import math

from maas import _core
from maas.backend import is_float_dtype
from maas.backend.symbolic import op
from maas.ops.control import _is_known
from maas.ops.core import as_tensor, cast
from maas.ops.elementwise import maximum
from maas.ops.image import _along
from maas.ops.image_filters import gaussian_window, smoothed
from maas.ops.image_warp import _batched, _grid, _options, _order, _stored, _warped
from maas.ops.reduction import sum as sum_
from maas.ops.shape import arange
from maas.ops.views import expand_dims

__all__ = ["elastic_transform", "scale_and_translate"]


def _triangle(x):
    return maximum(1.0 - x, 0.0)


def _cubic(x):
    """Keys's kernel with a = -0.5."""
    near, far = ((1.5 * x - 2.5) * x) * x + 1.0, ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return _core.where(_core.greater_equal(x, 2.0), 0.0, _core.where(_core.greater_equal(x, 1.0), far, near))


def _lanczos(radius):
    def kernel(x):
        safe = _core.where(_core.greater(x, 1e-3), x, 1.0)
        y = _core.sin(math.pi * safe) * _core.sin(math.pi / radius * safe) * (radius / math.pi**2) / _core.square(safe)
        y = _core.where(_core.greater(x, 1e-3), y, 1.0)
        return _core.where(_core.greater(x, float(radius)), 0.0, y)

    return kernel


_KERNELS = {
    **dict.fromkeys(("linear", "bilinear", "trilinear"), _triangle),
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), _cubic),
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
}


def _weights(old, new, scale, move, kernel, antialias):
    """What each new place takes of each old one: (new, old) float32; a row whose place lies outside is 0."""
    step = _core.divide(1.0, scale)
    at = (arange(new, dtype="float32") + 0.5) * step - move * step - 0.5
    distance = _core.absolute(expand_dims(at, 1) - expand_dims(arange(old, dtype="float32"), 0))
    w = kernel(_core.divide(distance, maximum(step, 1.0)) if antialias else distance)
    total = sum_(w, axis=1, keepdims=True)
    enough = _core.greater(_core.absolute(total), 1000.0 * 2.0**-23)
    w = _core.where(enough, _core.divide(w, _core.where(enough, total, 1.0)), 0.0)
    within = _core.logical_and(_core.greater_equal(at, -0.5), _core.less_equal(at, old - 0.5))
    return _core.where(expand_dims(within, 1), w, 0.0)


@op
def scale_and_translate(images, output_shape, scale, translation, spatial_dims, method, antialias=True):
    """Images of which the place `p` (in pixels, centres at halves) shows what was at `(p - translation) / scale`.

    Args:
        images: floating Tensor of any rank.
        output_shape: ints, a size for every axis.
        scale, translation: Tensors (k,), for each of the `spatial_dims`.
        spatial_dims: k ints, the axes that are scaled and moved.
        method: "linear", "bilinear", "trilinear", "cubic", "bicubic", "tricubic", "lanczos3" or "lanczos5".
        antialias: bool, widen the kernel along axes that shrink.

    Returns:
        Tensor of shape `output_shape` and the dtype of `images`; 0 where the place lies outside of the images.

    Raises:
        ValueError: for another method, or shapes that do not fit.
    """
    x, axes = as_tensor(images), [int(a) for a in spatial_dims]
    if method not in _KERNELS:
        raise ValueError(f"scale_and_translate: method must be one of {list(_KERNELS)}, received method={method!r}")
    shape, (scale, move) = tuple(output_shape), (cast(v, "float32") for v in (scale, translation))
    axes = [a + x.ndim if a < 0 else a for a in axes]
    others_fit = len(shape) == x.ndim and all(
        a in axes or n is None or n == m for a, (n, m) in enumerate(zip(x.shape, shape))
    )
    known = all(0 <= a < x.ndim and x.shape[a] is not None for a in axes)
    if not others_fit or not known or scale.shape != (len(axes),) or move.shape != (len(axes),):
        raise ValueError(
            f"scale_and_translate: output_shape must keep the axes that are not in spatial_dims={axes}, and scale and "
            f"translation must have {len(axes)} numbers, received images of shape {x.shape}, output_shape={shape}, "
            f"scale of shape {scale.shape} and translation of shape {move.shape}"
        )
    if not is_float_dtype(x.dtype):
        raise ValueError(f"scale_and_translate: images must be floating, received dtype {x.dtype}")
    for i, axis in enumerate(axes):
        w = _weights(x.shape[axis], int(shape[axis]), scale[i], move[i], _KERNELS[method], antialias)
        x = _along(x, axis, cast(w, x.dtype))
    return x


def elastic_moves(images, noise, alpha, sigma, most, interpolation, fill_mode, fill_value, data_format):
    """Images read at `(x + alpha dx, y + alpha dy)`, where dx and dy are `sigma * noise`, smoothed by a Gaussian
    window of the deviation `sigma`.

    Args:
        images: Tensor (batch, height, width, channels) or without batch, or channels first.
        noise: Tensor (2, batch, height, width, 1): along x and along y.
        alpha, sigma: numbers or scalar tensors.
        most: int, half of the window; sigma may ask for less.
        interpolation, fill_mode, fill_value, data_format: see `affine_transform`.

    Returns:
        Tensor of the shape and dtype of `images`.
    """
    x, dtype, back = _batched("elastic_transform", images, data_format)
    alpha, sigma = (cast(v, "float32") for v in (alpha, sigma))
    window = gaussian_window(2 * most + 1, maximum(sigma, 1e-6))
    # Keras's window ends at 3 deviations, in whole pixels.
    half = _core.floor(6.0 * sigma * 0.5)
    far = _core.absolute(arange(2 * most + 1, dtype="float32") - float(most))
    window = _core.where(_core.less_equal(far, half), window, 0.0)
    window = _core.divide(window, sum_(window))
    rows, columns = _grid(x)

    def moved(places, i):
        size = list(x.dims[:3])
        move = smoothed(_core.multiply(cast(noise[i], "float32"), sigma), window, window, "same")
        return _core.add(places, _core.multiply(alpha, _core.reshape(move, shape=size)))

    order = _order("elastic_transform", interpolation)
    y = _warped(x, moved(rows, 1), moved(columns, 0), order, fill_mode, fill_value)
    return back(_stored(y, dtype))


@op
def elastic_transform(
    images, alpha=20.0, sigma=5.0, interpolation="bilinear", fill_mode="reflect", fill_value=0.0, seed=None,
    data_format=None,
):  # fmt: skip
    """Images whose pixels come from places beside them: `(x + alpha dx, y + alpha dy)`, dx and dy smoothed noise.

    Args:
        images: Tensor (batch, height, width, channels) or without batch, or channels first.
        alpha: number, strength of the moves.
        sigma: positive number, deviation of the noise and, in pixels, of the Gaussian window that smooths it.
        interpolation: "nearest" or "bilinear".
        fill_mode, fill_value: what lies outside, as for `map_coordinates`.
        seed: int, SeedGenerator or None.
        data_format: str or None.

    Returns:
        Tensor of the shape and dtype of `images`.

    Raises:
        ValueError: for unknown options or shapes.
    Reference: Simard et al., 2003, "Best practices for convolutional neural networks applied to visual document
        analysis".
    """
    from maas import random

    _options("elastic_transform", _order("elastic_transform", interpolation), fill_mode)
    x, _, _ = _batched("elastic_transform", images, data_format)
    if not _is_known(sigma):
        raise ValueError(f"elastic_transform: sigma must have a value, received {sigma!r}")
    sigma = float(sigma)
    if sigma <= 0:
        raise ValueError(f"elastic_transform: sigma must be positive, received sigma={sigma}")
    noise = random.normal((2, *x.dims[:3], 1), seed=seed)
    return elastic_moves(
        images, noise, alpha, sigma, int(6 * sigma) // 2, interpolation, fill_mode, fill_value, data_format
    )
