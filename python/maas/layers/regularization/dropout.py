"""Layers that add noise while training: Dropout, AlphaDropout, SpatialDropout, GaussianNoise, GaussianDropout."""

from maas.layers.input_spec import InputSpec
from maas.layers.layer import Layer
from maas.layers.options import standardize_data_format


class _Noise(Layer):
    """Base of layers that do something in training only; owns the seed generator."""

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.supports_masking = True

    def _ready(self, active):
        if active:
            from maas.random import SeedGenerator

            self.seed_generator = SeedGenerator(self.seed)
        self._build_at_init()

    def compute_output_shape(self, input_shape):
        return input_shape


def _check_rate(layer, rate):
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        raise ValueError(f"{layer._label()}: `rate` must be a number in [0, 1], received rate={rate!r}")
    return rate


class Dropout(_Noise):
    """Sets a share `rate` of the entries to 0 and scales the others by `1 / (1 - rate)`; in training only.

    Args:
        rate: number in [0, 1].
        noise_shape: tuple like the input's shape, 1 where one draw counts for the whole axis, None where the size is
            the input's.
        seed: int or None.

    Raises:
        ValueError: if the rate is out of range.
    Reference: Srivastava et al., 2014, "Dropout: a simple way to prevent neural networks from overfitting".
    """

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.rate = _check_rate(self, rate)
        if noise_shape is not None:
            ok = isinstance(noise_shape, (tuple, list)) and all(
                d is None or (isinstance(d, int) and d > 0) for d in noise_shape
            )
            if not ok:
                raise ValueError(
                    f"{self._label()}: `noise_shape` must be a tuple of positive ints and None, received "
                    f"{noise_shape!r}"
                )
            noise_shape = tuple(noise_shape)
        self.noise_shape = noise_shape
        self._ready(rate > 0)

    def _noise_shape(self, inputs):
        from maas import ops

        if self.noise_shape is None:
            return None
        sizes = ops.shape(inputs)
        return tuple(sizes[i] if d is None else d for i, d in enumerate(self.noise_shape))

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        from maas import random

        return random.dropout(inputs, self.rate, noise_shape=self._noise_shape(inputs), seed=self.seed_generator)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, "noise_shape": self.noise_shape}


# Where SELU goes for inputs far below 0: -scale * alpha.
_SELU_FLOOR = -1.7580993408473766


class AlphaDropout(Dropout):
    """Sets a share `rate` of the entries to the lower end of SELU and rescales all, so that mean 0 and variance 1 stay.

    `y = a x + b` for what is kept and `y = a f + b` for what is dropped, with `f = -1.7581`,
    `a = ((1 - rate) (1 + rate f^2))^(-1/2)` and `b = -a f rate`; in training only.

    Args:
        rate, noise_shape, seed: as for `Dropout`.

    Reference: Klambauer et al., 2017, "Self-normalizing neural networks", arXiv:1706.02515.
    """

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        from maas import ops, random

        shape = ops.shape(inputs) if self.noise_shape is None else self._noise_shape(inputs)
        kept = ops.greater_equal(random.uniform(shape, seed=self.seed_generator), self.rate)
        # With rate=1 nothing is kept, and the scale, which goes to infinity, has nothing to scale.
        a = ((1 - self.rate) * (1 + self.rate * _SELU_FLOOR**2)) ** -0.5 if self.rate < 1 else 0.0
        b = -a * _SELU_FLOOR * self.rate
        return ops.add(ops.multiply(ops.where(kept, inputs, _SELU_FLOOR), a), b)


class _SpatialDropout(Dropout):
    def __init__(self, rate, seed=None, name=None, dtype=None, **kwargs):
        super().__init__(rate, seed=seed, name=name, dtype=dtype, **kwargs)

    def get_config(self):
        # Keras writes no more than the constructor takes.
        return {"rate": self.rate, "seed": self.seed, "name": self.name, "dtype": self.dtype}


class SpatialDropout1D(_SpatialDropout):
    """`Dropout` that drops whole channels of (batch, time, channels).

    Args:
        rate: number in [0, 1].
        seed: int or None.
    """

    def __init__(self, rate, seed=None, name=None, dtype=None, **kwargs):
        super().__init__(rate, seed=seed, name=name, dtype=dtype, **kwargs)
        self.input_spec = InputSpec(ndim=3)

    def _noise_shape(self, inputs):
        from maas import ops

        batch, _, channels = ops.shape(inputs)
        return (batch, 1, channels)


class _SpatialDropoutND(_SpatialDropout):
    """`Dropout` that drops whole channels of images.

    Args:
        rate: number in [0, 1].
        data_format: "channels_last" or "channels_first".
        seed: int or None.
    """

    def __init__(self, rate, data_format=None, seed=None, name=None, dtype=None, **kwargs):
        super().__init__(rate, seed=seed, name=name, dtype=dtype, **kwargs)
        self.data_format = standardize_data_format(data_format, self._label())
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _noise_shape(self, inputs):
        from maas import ops

        sizes, ones = ops.shape(inputs), (1,) * self.rank
        first = self.data_format == "channels_first"
        return (*sizes[:2], *ones) if first else (sizes[0], *ones, sizes[-1])

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format}


class SpatialDropout2D(_SpatialDropoutND):
    __doc__ = _SpatialDropoutND.__doc__
    rank = 2


class SpatialDropout3D(_SpatialDropoutND):
    __doc__ = _SpatialDropoutND.__doc__.replace("images", "volumes")
    rank = 3


class GaussianNoise(_Noise):
    """Adds normal noise in training.

    Args:
        stddev: number >= 0.
        seed: int or None.

    Raises:
        ValueError: for a negative `stddev`.
    """

    def __init__(self, stddev, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        if isinstance(stddev, bool) or not isinstance(stddev, (int, float)) or stddev < 0:
            raise ValueError(f"{self._label()}: `stddev` must be a number >= 0, received stddev={stddev!r}")
        self.stddev = stddev
        self._ready(stddev > 0)

    def call(self, inputs, training=False):
        if not training or self.stddev == 0:
            return inputs
        from maas import ops, random

        noise = random.normal(
            ops.shape(inputs), mean=0.0, stddev=self.stddev, dtype=self.compute_dtype, seed=self.seed_generator
        )
        return ops.add(inputs, noise)

    def get_config(self):
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}


class GaussianDropout(_Noise):
    """Multiplies by normal noise of mean 1 and variance `rate / (1 - rate)` in training.

    Args:
        rate: number in [0, 1).
        seed: int or None.
    """

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.rate = _check_rate(self, rate)
        self._ready(rate > 0)

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        from maas import ops, random

        stddev = (self.rate / (1.0 - self.rate)) ** 0.5
        noise = random.normal(
            ops.shape(inputs), mean=1.0, stddev=stddev, dtype=self.compute_dtype, seed=self.seed_generator
        )
        return ops.multiply(inputs, noise)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
