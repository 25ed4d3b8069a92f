"""Fourier transforms against Keras. Cases are in fft_cases.py."""

import numpy as np
import pytest

from maas import ops

RNG = np.random.default_rng(0)
PAIR = tuple(RNG.standard_normal((2, 2, 6, 10)).astype("float32"))
SIGNAL = RNG.standard_normal((2, 40)).astype("float32")

CALLS = {
    "fft": lambda o: o.fft(PAIR),
    "fft2": lambda o: o.fft2(PAIR),
    "ifft2": lambda o: o.ifft2(PAIR),
    **{f"rfft_{n}": lambda o, n=n: o.rfft(SIGNAL, fft_length=n) for n in (None, 33, 64)},
    **{f"irfft_{n}": lambda o, n=n: o.irfft(PAIR, fft_length=n) for n in (None, 1, 2, 7, 19, 30)},
    "stft": lambda o: o.stft(SIGNAL, 8, 3, 12),
    "stft_plain": lambda o: o.stft(SIGNAL, 8, 4, 8, window=None, center=False),
    "stft_hamming": lambda o: o.stft(SIGNAL, 7, 2, 10, window="hamming"),
}


@pytest.mark.parametrize("name", CALLS)
def test_as_keras(keras, name):
    ours, theirs = CALLS[name](ops), CALLS[name](keras.ops)
    if not isinstance(theirs, (tuple, list)):
        ours, theirs = (ours,), (theirs,)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-4, atol=2e-5)


def test_errors():
    with pytest.raises(ValueError, match="pair"):
        ops.fft(SIGNAL)
    with pytest.raises(TypeError, match="received int32"):
        ops.stft(np.zeros(9, "int32"), 4, 2, 4)
