"""Initializers without randomness."""

import numpy as np

from maas.backend.standardize import numpy_dtype
from maas.initializers.base import Initializer


class Constant(Initializer):
    """Every entry is `value`.

    Args:
        value: number, or an array that broadcasts to the shape.
    """

    def __init__(self, value=0.0):
        self.value = value

    def draw(self, shape, dtype):
        return np.broadcast_to(np.asarray(self.value, dtype=numpy_dtype(dtype)), shape).copy()

    def get_config(self):
        return {"value": self.value}


class Zeros(Initializer):
    """Every entry is 0."""

    def draw(self, shape, dtype):
        return np.zeros(shape, numpy_dtype(dtype))


class Ones(Initializer):
    """Every entry is 1."""

    def draw(self, shape, dtype):
        return np.ones(shape, numpy_dtype(dtype))


class Identity(Initializer):
    """`gain` on the diagonal of a matrix, 0 elsewhere.

    Args:
        gain: number, default 1.
    """

    def __init__(self, gain=1.0):
        self.gain = gain

    def draw(self, shape, dtype):
        if len(shape) != 2:
            raise ValueError(f"Identity: the shape must be that of a matrix, received {tuple(shape)}")
        return self.gain * np.eye(*shape, dtype=numpy_dtype(dtype))

    def get_config(self):
        return {"gain": self.gain}


def _window(name, size, periodic):
    """A window function by its name among `scipy.signal.windows`, float64."""
    if name not in ("hann", "hamming", "boxcar"):
        try:
            from scipy.signal import get_window
        except ImportError as e:
            raise ImportError(f"STFT: windows but 'hann' and 'hamming' need scipy, received window={name!r}") from e
        return get_window(name, size, periodic)
    if name == "boxcar":
        return np.ones(size)
    from maas.ops.special import cosine_window

    return cosine_window(name, size, periodic)


class STFT(Initializer):
    """Kernels of a convolution that does a short-time Fourier transform: `cos` or `sin` of `-2 pi t f / n`, windowed.

    Args:
        side: "real" or "imag".
        window: name of a window function, array of its values, or None.
        scaling: "density" (divides by `sqrt(sum(w^2))`), "spectrum" (by `sum(|w|)`) or None.
        periodic: bool, whether the window is taken as periodic.

    Raises:
        ValueError: for an unknown `side`, `scaling` or window, or a window of another size.
    """

    def __init__(self, side="real", window="hann", scaling="density", periodic=False):
        if side not in ("real", "imag"):
            raise ValueError(f"STFT: side must be 'real' or 'imag', received side={side!r}")
        if scaling not in (None, "density", "spectrum"):
            raise ValueError(f"STFT: scaling must be None, 'density' or 'spectrum', received scaling={scaling!r}")
        if isinstance(window, str):
            _window(window, 1, periodic)
        self.side, self.window, self.scaling, self.periodic = side, window, scaling, periodic

    def draw(self, shape, dtype):
        if len(shape) != 3:
            raise ValueError(f"STFT: the shape must be (time, 1, frequencies), received {tuple(shape)}")
        time, _, terms = shape
        angle = -2 * np.pi * np.arange(time)[:, None, None] * (np.arange(terms) / max(2 * (terms - 1), 1))
        kernel = np.cos(angle) if self.side == "real" else np.sin(angle)
        if self.window is not None:
            w = _window(self.window, time, self.periodic) if isinstance(self.window, str) else np.asarray(self.window)
            if w.shape != (time,):
                raise ValueError(f"STFT: window must have shape ({time},), received {w.shape}")
            scale = {"density": np.sqrt((w**2).sum()), "spectrum": np.abs(w).sum(), None: 1.0}[self.scaling]
            kernel = kernel * w[:, None, None] / scale
        return np.broadcast_to(kernel, shape).astype(numpy_dtype(dtype))

    def get_config(self):
        return {"side": self.side, "window": self.window, "periodic": self.periodic, "scaling": self.scaling}
