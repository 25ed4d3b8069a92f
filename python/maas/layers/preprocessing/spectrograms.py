"""Sounds as spectrograms."""

import math

import numpy as np

from maas.layers.input_spec import InputSpec
from maas.layers.layer import Layer
from maas.layers.options import config_of, standardize_data_format, standardize_padding

_MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")


class STFTSpectrogram(Layer):
    """Short-time Fourier transform as a convolution whose kernels can be trained.

    Args:
        mode: "log", "magnitude", "psd" (power, both halves), "real", "imag", "angle" or "stft" (real, then imaginary).
        frame_length: int, size of the window.
        frame_step: int, from window to window; half a window by default.
        fft_length: int, at least `frame_length`; the next power of two by default.
        window, scaling, periodic: as for `initializers.STFT`.
        padding: "valid" or "same".
        expand_dims: bool, whether frequencies get an axis of their own, apart from channels.
        data_format: "channels_last" (batch, time, channels) or "channels_first".

    Raises:
        ValueError: for a wrong argument.
    """

    def __init__(
        self, mode="log", frame_length=256, frame_step=None, fft_length=None, window="hann", periodic=False,
        scaling="density", padding="valid", expand_dims=False, data_format=None, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        owner = self._label()
        if mode not in _MODES:
            raise ValueError(f"{owner}: mode must be one of {list(_MODES)}, received mode={mode!r}")
        if frame_step is not None and not 1 <= frame_step <= frame_length:
            raise ValueError(f"{owner}: frame_step must be in [1, {frame_length}], received frame_step={frame_step}")
        if fft_length is not None and fft_length < frame_length:
            raise ValueError(f"{owner}: fft_length must be at least {frame_length}, received fft_length={fft_length}")
        self.mode, self.frame_length, self.frame_step, self.fft_length = mode, frame_length, frame_step, fft_length
        self.window, self.periodic, self.scaling = window, periodic, scaling
        self.padding, self.expand_dims = standardize_padding(padding, owner), expand_dims
        self.data_format = standardize_data_format(data_format, owner)
        self.input_spec = InputSpec(ndim=3)
        for side in ("real", "imag"):
            self._kernel(side)  # checks window and scaling

    def _kernel(self, side):
        from maas import initializers

        return initializers.STFT(side, self.window, self.scaling, self.periodic)

    def build(self, input_shape):
        terms = (self.fft_length or 2 ** math.ceil(math.log2(self.frame_length))) // 2 + 1
        for side, other in (("real", "imag"), ("imag", "real")):
            if self.mode != other:
                shape = (self.frame_length, 1, terms)
                weight = self.add_weight(name=f"{side}_kernel", shape=shape, initializer=self._kernel(side))
                setattr(self, f"{side}_kernel", weight)

    def call(self, inputs):
        from maas import backend, ops

        if inputs.dtype not in ("float16", "bfloat16", "float32", "float64"):
            raise TypeError(f"{self._label()}: inputs must be floating, received {inputs.dtype}")
        x = ops.transpose(inputs, (0, 2, 1)) if self.data_format == "channels_last" else inputs
        batch, channels, time = ops.shape(x)
        x = ops.reshape(x, (batch * channels, time, 1))

        def along(kernel):
            step = self.frame_step or self.frame_length // 2
            y = ops.conv(x, ops.cast(kernel, x.dtype), step, self.padding, "channels_last")
            return ops.reshape(y, (batch, channels, *ops.shape(y)[1:]))

        real = None if self.mode == "imag" else along(self.real_kernel)
        imag = None if self.mode == "real" else along(self.imag_kernel)
        if self.mode in ("real", "imag"):
            return self._arranged(real if imag is None else imag)
        if self.mode == "angle":
            return self._arranged(ops.arctan2(imag, real))
        if self.mode == "stft":
            return self._arranged(ops.concatenate([real, imag], axis=-1))
        power = ops.square(real) + ops.square(imag)
        if self.mode == "psd":
            inner = ops.pad(power[..., 1:-1], ((0, 0), (0, 0), (0, 0), (1, 1)))
            return self._arranged(power + inner)
        size = self._arranged(ops.sqrt(ops.maximum(power, backend.epsilon())))
        return size if self.mode == "magnitude" else ops.log(ops.maximum(size, backend.epsilon()))

    def _arranged(self, y):
        """(batch, channels, windows, terms) in the order that is asked for."""
        from maas import ops

        batch, channels, windows, terms = ops.shape(y)
        if self.data_format == "channels_last":
            y = ops.transpose(y, (0, 2, 3, 1) if self.expand_dims else (0, 2, 1, 3))
            return y if self.expand_dims else ops.reshape(y, (batch, windows, channels * terms))
        if self.expand_dims:
            return y
        return ops.reshape(ops.transpose(y, (0, 1, 3, 2)), (batch, channels * terms, windows))

    def get_config(self):
        names = (
            "mode frame_length frame_step fft_length window periodic scaling padding data_format expand_dims".split()
        )
        return {**super().get_config(), **config_of(self, *names)}


class MelSpectrogram(Layer):
    """Sounds (batch, samples) or (samples,) as spectrograms on the mel scale, (batch, mel bins, windows).

    `mel(f) = 1127 ln(1 + f / 700)`; every bin is a triangle between its neighbours' centres.

    Args:
        fft_length, sequence_stride, sequence_length, window: as for `ops.stft`; `sequence_length` is `fft_length` by
            default.
        sampling_rate: samples per second.
        num_mel_bins: int.
        min_freq, max_freq: numbers in Hertz; half the sampling rate by default.
        power_to_db: bool, whether powers become decibels, `10 log10(max(x, min_power) / max(ref_power, min_power))`.
        top_db: number; no value lies further below the sound's largest.
        mag_exp: number, the power of the magnitudes.
        min_power, ref_power: numbers.

    Reference: Young et al., 2006, "The HTK book".
    """

    def __init__(
        self, fft_length=2048, sequence_stride=512, sequence_length=None, window="hann", sampling_rate=16000,
        num_mel_bins=128, min_freq=20.0, max_freq=None, power_to_db=True, top_db=80.0, mag_exp=2.0, min_power=1e-10,
        ref_power=1.0, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.fft_length, self.sequence_stride = fft_length, sequence_stride
        self.sequence_length = sequence_length or fft_length
        if fft_length < self.sequence_length:
            raise ValueError(
                f"{self._label()}: fft_length must be at least sequence_length={self.sequence_length}, received "
                f"fft_length={fft_length}"
            )
        self.window, self.sampling_rate, self.num_mel_bins = window, sampling_rate, num_mel_bins
        self.min_freq, self.max_freq = min_freq, max_freq or int(sampling_rate / 2)
        self.power_to_db, self.top_db, self.mag_exp = power_to_db, top_db, mag_exp
        self.min_power, self.ref_power = min_power, ref_power

    def _bins(self):
        """(terms, mel bins): what each bin takes of each frequency; the constant term is left out."""

        def mel(f):
            return 1127.0 * np.log1p(np.asarray(f) / 700.0)

        at = mel(np.linspace(0, self.sampling_rate / 2, self.fft_length // 2 + 1))[:, None]
        edges = np.linspace(mel(self.min_freq), mel(self.max_freq), self.num_mel_bins + 2)
        low, middle, high = edges[:-2], edges[1:-1], edges[2:]
        weights = np.maximum(0, np.minimum((at - low) / (middle - low), (high - at) / (high - middle)))
        weights[0] = 0
        return weights.astype("float32")

    def call(self, inputs):
        from maas import ops

        x = inputs if inputs.dtype == "float64" else ops.cast(inputs, "float32")
        real, imag = ops.stft(x, self.sequence_length, self.sequence_stride, self.fft_length, self.window)
        size = ops.power(ops.sqrt(ops.square(real) + ops.square(imag)), self.mag_exp)
        y = ops.matmul(size, ops.cast(self._bins(), size.dtype))
        if self.power_to_db:
            y = 10.0 * ops.log10(ops.maximum(y, self.min_power))
            y = y - 10.0 * math.log10(max(abs(self.ref_power), self.min_power))
            # Of each sound's own largest value: what else is in the batch changes nothing.
            y = ops.maximum(y, ops.max(y, axis=(-2, -1), keepdims=True) - self.top_db)
        return ops.cast(ops.swapaxes(y, -1, -2), self.compute_dtype)

    def get_config(self):
        names = (
            "fft_length sequence_stride sequence_length window sampling_rate num_mel_bins min_freq max_freq "
            "power_to_db top_db mag_exp min_power ref_power"
        )
        return {**super().get_config(), **config_of(self, *names.split())}
