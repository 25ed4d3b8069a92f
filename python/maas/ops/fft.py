"""Fourier transforms of (real, imaginary) pairs. Computed in float64, stored in the tensor's dtype."""

import numpy as np

from maas import _core
from maas.backend.symbolic import op
from maas.ops.core import as_tensor, cast
from maas.ops.shape import flip, pad
from maas.ops.special import cosine_window
from maas.ops.views import swapaxes

__all__ = ["fft", "fft2", "ifft2", "irfft", "rfft", "stft"]


def _pair(name, x):
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise ValueError(f"{name}: x must be a pair (real, imaginary), received {type(x).__name__}")
    real, imag = as_tensor(x[0]), as_tensor(x[1])
    if real.shape != imag.shape:
        raise ValueError(f"{name}: both parts must have one shape, received {real.shape} and {imag.shape}")
    if any(p.dtype not in ("float32", "float64") for p in (real, imag)):
        raise ValueError(f"{name}: both parts must be float32 or float64, received {real.dtype} and {imag.dtype}")
    return real, imag


def _both_axes(name, x, inverse):
    real, imag = _pair(name, x)
    if real.ndim < 2:
        raise ValueError(f"{name}: x must have at least two axes, received parts of shape {real.shape}")
    for _ in range(2):
        real, imag = _core.fft(real, imag, inverse=inverse)
        real, imag = swapaxes(real, -1, -2), swapaxes(imag, -1, -2)
    return real, imag


@op
def fft(x):
    """`y[k] = sum_j x[j] exp(-2 pi i j k / n)` over the last axis.

    Args:
        x: pair of Tensors (..., n), real and imaginary part.

    Returns:
        Pair of Tensors with the shape and dtype of the parts.

    Raises:
        ValueError: if `x` is not a pair of equal shapes in float32 or float64.
    Reference: Bluestein, 1970, "A linear filtering approach to the computation of discrete Fourier transform".
    """
    return _core.fft(*_pair("fft", x))


@op
def fft2(x):
    """The transform over the last two axes of a pair (real, imaginary)."""
    return _both_axes("fft2", x, False)


@op
def ifft2(x):
    """The inverse of `fft2`: `exp(+...)`, divided by the number of elements."""
    real, imag = _both_axes("ifft2", x, True)
    count = float(real.shape[-1] * real.shape[-2])
    return _core.divide(real, count), _core.divide(imag, count)


def _resized(x, size):
    """The last axis cut or filled with zeros."""
    n = x.shape[-1]
    if n < size:
        return pad(x, [(0, 0)] * (x.ndim - 1) + [(0, size - n)])
    return _last(x, 0, size) if n > size else x


def _last(x, begin, end):
    return x[(..., slice(begin, end))]


@op
def rfft(x, fft_length=None):
    """The transform of real `x` over the last axis, its first `fft_length // 2 + 1` terms, as a pair.

    Args:
        x: Tensor (..., n), float32 or float64.
        fft_length: int, n by default; `x` is cut or filled with zeros.
    """
    x = as_tensor(x)
    if x.dtype not in ("float32", "float64"):
        x = cast(x, "float32")
    x = x if fft_length is None else _resized(x, int(fft_length))
    real, imag = _core.fft(x, _core.multiply(x, 0.0))
    half = x.shape[-1] // 2 + 1
    return _last(real, 0, half), _last(imag, 0, half)


@op
def irfft(x, fft_length=None):
    """The real signal whose `rfft` is the pair `x`.

    Args:
        x: pair of Tensors (..., terms).
        fft_length: int, size of the signal; default `2 (terms - 1)`.
    """
    real, imag = _pair("irfft", x)
    n = 2 * (real.shape[-1] - 1) if fft_length is None else int(fft_length)
    if n < 1:
        raise ValueError(f"irfft: fft_length must be positive, received {n}")
    half = n // 2 + 1
    real, imag = _resized(real, half), _resized(imag, half)
    if n > 2:
        # The other half is the conjugate, backwards.
        tail = (n + 1) // 2
        real = _core.concatenate(real, flip(_last(real, 1, tail), -1), axis=-1)
        imag = _core.concatenate(imag, _core.negative(flip(_last(imag, 1, tail), -1)), axis=-1)
    return _core.divide(_core.fft(real, imag, inverse=True)[0], float(n))


def _window(name, window, size, fft_length):
    """As float64 NumPy, in the middle of fft_length places."""
    if window is None:
        return np.ones(fft_length)
    if isinstance(window, str):
        if window not in ("hann", "hamming"):
            raise ValueError(f"{name}: window must be 'hann' or 'hamming', received window={window!r}")
        window = cosine_window(window, size, periodic=True)
    window = np.asarray(window, np.float64)
    if window.shape != (size,):
        raise ValueError(f"{name}: window must have shape ({size},), received {window.shape}")
    left = (fft_length - size) // 2
    return np.pad(window, (left, fft_length - size - left))


@op
def stft(x, sequence_length, sequence_stride, fft_length, window="hann", center=True):
    """Short-time Fourier transform: `rfft` of overlapping windows of the last axis.

    Args:
        x: Tensor (..., n), float32 or float64.
        sequence_length: int, size of the window.
        sequence_stride: int, steps from window to window.
        fft_length: int, at least `sequence_length`.
        window: "hann", "hamming", array of `sequence_length` numbers, or None.
        center: bool, whether `x` is first extended by reflection by `fft_length // 2` on both sides.

    Returns:
        Pair of Tensors (..., windows, fft_length // 2 + 1).
    """
    x = as_tensor(x)
    if x.dtype not in ("float32", "float64"):
        raise TypeError(f"stft: x must be float32 or float64, received {x.dtype}")
    if fft_length < sequence_length:
        raise ValueError(
            f"stft: fft_length must be at least sequence_length={sequence_length}, received fft_length={fft_length}"
        )
    win = _window("stft", window, sequence_length, fft_length)
    if center:
        side = fft_length // 2
        x = pad(x, [(0, 0)] * (x.ndim - 1) + [(side, side)], mode="reflect")
    count = (x.shape[-1] - fft_length) // sequence_stride + 1
    places = np.arange(count)[:, None] * sequence_stride + np.arange(fft_length)
    frames = _core.take(x, as_tensor(places.astype("int32")), axis=-1)
    return rfft(_core.multiply(frames, as_tensor(win.astype(x.dtype))))
