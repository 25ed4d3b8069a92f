"""Cases of the Fourier transform and what it means, by NumPy in float64."""

import numpy as np

from tests.ops.case import Case, Op


def fft(re, im, inverse=False):
    y = np.fft.ifft(re + 1j * im) * re.shape[-1] if inverse else np.fft.fft(re + 1j * im)
    return np.ascontiguousarray(y.real), np.ascontiguousarray(y.imag)


def error(re, im, inverse=False):
    size = np.sqrt((re**2 + im**2).sum(-1, keepdims=True)) + np.zeros_like(re)
    return [size, size]


# In float64 Bluestein's three transforms of up to 4 n points cost some 15 epsilons.
# Powers of two and four, every other factor, primes and their products that need Bluestein's way.
SIZES = (1, 2, 3, 4, 5, 8, 12, 13, 17, 31, 34, 60, 64, 77, 101, 128, 360)
OPS = [
    Op(
        "fft", fft, [Case((3, n), (3, n), inverse=i) for n in SIZES for i in (False, True)]
        + [Case((0, 8), (0, 8)), Case((2, 3, 6), (2, 3, 6)), Case((64, 4096), (64, 4096), bench=True)],
        error=error, epsilons={"float32": 4, "float64": 32}, rows=(0, 1),
    ),
]  # fmt: skip
