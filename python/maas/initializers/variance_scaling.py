"""Initializers whose spread follows from the number of inputs and outputs: Glorot, He, LeCun."""

import math

from maas.initializers.base import RandomInitializer, truncated_normal

# Standard deviation of a unit normal cut at +-2.
_CUT_STDDEV = 0.87962566103423978
_MODES = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = ("uniform", "truncated_normal", "untruncated_normal")


def compute_fans(shape, input_axes=None, output_axes=None):
    """`(fan_in, fan_out)` of a weight.

    The last axis counts outputs, the one before it inputs; further axes are a receptive field that multiplies both.
    `input_axes` and `output_axes`, given together, name the axes that count instead.
    """
    shape = tuple(shape)
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[a] for a in input_axes), math.prod(shape[a] for a in output_axes)
    if not shape:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


class VarianceScaling(RandomInitializer):
    """Values with variance `scale / n`, where n is the fan-in, the fan-out or their average.

    Args:
        scale: positive number.
        mode: "fan_in", "fan_out" or "fan_avg".
        distribution: "truncated_normal" (also "normal"), "untruncated_normal" or "uniform".
        seed: int, `SeedGenerator` or None.
        input_axes, output_axes: lists of axes that count as inputs and outputs; default the last two axes.

    Raises:
        ValueError: for a wrong argument.
    """

    def __init__(
        self, scale=1.0, mode="fan_in", distribution="truncated_normal", seed=None, input_axes=None, output_axes=None
    ):
        if scale <= 0.0:
            raise ValueError(f"VarianceScaling: `scale` must be positive, received {scale}")
        if mode not in _MODES:
            raise ValueError(f"VarianceScaling: `mode` must be one of {_MODES}, received {mode!r}")
        distribution = distribution.lower()
        distribution = "truncated_normal" if distribution == "normal" else distribution
        if distribution not in _DISTRIBUTIONS:
            raise ValueError(
                f"VarianceScaling: `distribution` must be one of {_DISTRIBUTIONS}, received {distribution!r}"
            )
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes
        super().__init__(seed)

    def draw(self, shape, dtype):
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        generator = self.generator()
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return generator.uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return math.sqrt(variance) * generator.standard_normal(shape)
        return truncated_normal(generator, shape, 0.0, math.sqrt(variance) / _CUT_STDDEV)

    def get_config(self):
        return {
            **super().get_config(),
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


def _named(name, scale, mode, distribution, doc):
    """A class for one well-known setting of `VarianceScaling`."""

    def __init__(self, seed=None, input_axes=None, output_axes=None):
        VarianceScaling.__init__(self, scale, mode, distribution, seed, input_axes, output_axes)

    def get_config(self):
        config = VarianceScaling.get_config(self)
        return {k: config[k] for k in ("seed", "input_axes", "output_axes")}

    members = {"__init__": __init__, "get_config": get_config, "__doc__": doc, "__module__": __name__}
    return type(name, (VarianceScaling,), members)


_GLOROT = "\n\n    Reference: Glorot and Bengio, 2010, 'Understanding the difficulty of training deep neural networks'."
_HE = '\n\n    Reference: He et al., 2015, "Delving Deep into Rectifiers", arXiv:1502.01852.'
_LECUN = '\n\n    Reference: LeCun et al., 1998, "Efficient BackProp".'
GlorotUniform = _named(
    "GlorotUniform",
    1.0,
    "fan_avg",
    "uniform",
    "Uniform in +-sqrt(6 / (fan_in + fan_out)); the default of most layers." + _GLOROT,
)
GlorotNormal = _named(
    "GlorotNormal", 1.0, "fan_avg", "truncated_normal", "Normal with variance 2 / (fan_in + fan_out)." + _GLOROT
)
HeUniform = _named("HeUniform", 2.0, "fan_in", "uniform", "Uniform in +-sqrt(6 / fan_in)." + _HE)
HeNormal = _named("HeNormal", 2.0, "fan_in", "truncated_normal", "Normal with variance 2 / fan_in." + _HE)
LecunUniform = _named("LecunUniform", 1.0, "fan_in", "uniform", "Uniform in +-sqrt(3 / fan_in)." + _LECUN)
LecunNormal = _named("LecunNormal", 1.0, "fan_in", "truncated_normal", "Normal with variance 1 / fan_in." + _LECUN)
