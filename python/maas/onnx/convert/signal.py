"""Fourier transforms."""

import numpy as np

from maas import _core, ops
from maas.onnx.convert.common import axes_of, like
from maas.onnx.dtypes import dtype_name
from maas.onnx.registry import converts


@converts("DFT", since=17)
def old_dft(call, x, length=None):
    return _transform(call, x, call.attr("axis", 1), length)


@converts("DFT", since=20)
def dft(call, x, length=None, axis=None):
    return _transform(call, x, int(call.known(2, "axis").reshape(())) if axis is not None else -2, length)


def _transform(call, x, axis, length):
    axis = axes_of([axis], x.ndim)[0]
    if axis == x.ndim - 1:
        raise ValueError("the last axis holds the parts of a number, it cannot be transformed")
    inverse, onesided = call.attr("inverse", 0), call.attr("onesided", 0)
    parts = [_core.reshape(x[..., k : k + 1], shape=list(x.dims[:-1])) for k in range(x.shape[-1])]
    parts = [ops.moveaxis(p, axis, -1) for p in parts]
    n = int(call.known(1, "dft_length").reshape(())) if length is not None else None
    if inverse and onesided:
        n = n or 2 * (parts[0].shape[-1] - 1)
        parts = _mirrored(parts, n)
    parts = [p if n is None else _fitted(p, n) for p in parts]
    n = n or parts[0].dims[-1]
    real, imag = parts if len(parts) == 2 else (parts[0], _core.multiply(parts[0], like(0, parts[0])))
    real, imag = _core.fft(real, imag, inverse=bool(inverse))
    results = [real] if inverse and onesided else [real, imag]
    if inverse:
        results = [_core.divide(r, like(ops.convert_to_tensor(n), r)) for r in results]
    elif onesided:
        results = [r[..., : n // 2 + 1] for r in results]
    return ops.stack([ops.moveaxis(r, -1, axis) for r in results], axis=-1)


def _fitted(x, n):
    """The last axis cut or filled up with zeros."""
    x = x[..., :n] if x.shape[-1] > n else x
    after = [0] * (x.ndim - 1) + [n - x.shape[-1]]
    return _core.pad(x, before=[0] * x.ndim, after=after, value=0.0) if after[-1] else x


def _mirrored(parts, n):
    """All n values of the spectrum of real numbers from its first half."""
    parts = [_fitted(p, n // 2 + 1) for p in parts]
    tail = [ops.flip(p[..., 1 : (n + 1) // 2], -1) for p in parts]
    tail = [tail[0], *(_core.negative(t) for t in tail[1:])]
    return [_core.concatenate(p, t, axis=p.ndim - 1) for p, t in zip(parts, tail)]


@converts("STFT", since=17)
def stft(call, x, step, window=None, length=None):
    step = int(call.known(1, "frame_step").reshape(()))
    n = int(call.known(3, "frame_length").reshape(())) if length is not None else int(window.shape[0])
    count = 1 + (x.shape[1] - n) // step
    places = np.arange(count)[:, None] * step + np.arange(n)
    parts = []
    for k in range(x.shape[2]):
        frames = _core.take(x[:, :, k], places.astype("int32"), axis=1)
        parts.append(frames if window is None else _core.multiply(frames, window))
    real, imag = parts if len(parts) == 2 else (parts[0], _core.multiply(parts[0], like(0, parts[0])))
    results = _core.fft(real, imag, inverse=False)
    if call.attr("onesided", 1):
        results = [r[..., : n // 2 + 1] for r in results]
    return ops.stack(list(results), axis=-1)


@converts("MelWeightMatrix", since=17)
def mel_weight_matrix(call, *given):
    """Triangles over the frequencies, evenly spaced on the mel scale."""
    names = ("num_mel_bins", "dft_length", "sample_rate", "lower_edge_hertz", "upper_edge_hertz")
    bins, n, rate, low, high = (call.known(i, name).reshape(()).item() for i, name in enumerate(names))
    mels = 2595 * np.log10(1 + np.array([low, high]) / 700)
    points = mels[0] + np.arange(bins + 2) * ((mels[1] - mels[0]) / (bins + 2))
    points = np.floor((n + 1) * (700 * (10 ** (points / 2595) - 1)) // rate)
    low, center, high = (ops.convert_to_tensor(points[k : k + bins].astype("float64")) for k in range(3))
    place = ops.expand_dims(ops.cast(_core.arange(size=[n // 2 + 1]), "float64"), 1)
    rise = _core.maximum(_core.subtract(center, low), like(1e-30, low))
    fall = _core.maximum(_core.subtract(high, center), like(1e-30, low))
    up, down = _core.divide(_core.subtract(place, low), rise), _core.divide(_core.subtract(high, place), fall)
    y = _core.maximum(_core.minimum(up, down), like(0, up))
    # The top is 1, also of a triangle without a rise or a fall.
    y = _core.where(_core.equal(place, center), like(1, y), y)
    return ops.cast(y, dtype_name(call.attr("output_datatype", 1), "the result"))
