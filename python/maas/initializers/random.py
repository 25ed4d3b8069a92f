"""Initializers that draw random numbers."""

import math

import numpy as np

from maas.initializers.base import RandomInitializer, truncated_normal


class RandomNormal(RandomInitializer):
    """Normal values.

    Args:
        mean, stddev: numbers.
        seed: int, `SeedGenerator` or None.
    """

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        self.mean, self.stddev = mean, stddev
        super().__init__(seed)

    def draw(self, shape, dtype):
        return self.mean + self.stddev * self.generator().standard_normal(shape)

    def get_config(self):
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class TruncatedNormal(RandomNormal):
    """Normal values within two standard deviations of the mean.

    Args:
        mean, stddev: numbers; `stddev` is that before truncation.
        seed: int, `SeedGenerator` or None.
    """

    def draw(self, shape, dtype):
        return truncated_normal(self.generator(), shape, self.mean, self.stddev)


class RandomUniform(RandomInitializer):
    """Uniform values in `[minval, maxval)`.

    Args:
        minval, maxval: numbers.
        seed: int, `SeedGenerator` or None.
    """

    def __init__(self, minval=-0.05, maxval=0.05, seed=None):
        self.minval, self.maxval = minval, maxval
        super().__init__(seed)

    def draw(self, shape, dtype):
        return self.generator().uniform(self.minval, self.maxval, shape)

    def get_config(self):
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


class Orthogonal(RandomInitializer):
    """Matrix with orthonormal rows or columns, times `gain`; more axes are flattened into the first one.

    The Q of a QR decomposition of a normal matrix, signs fixed by the diagonal of R.

    Args:
        gain: number, default 1.
        seed: int, `SeedGenerator` or None.
    Reference: Saxe et al., 2014, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks", arXiv:1312.6120.
    """

    def __init__(self, gain=1.0, seed=None):
        self.gain = gain
        super().__init__(seed)

    def draw(self, shape, dtype):
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: the shape must have at least 2 axes, received {tuple(shape)}")
        rows, cols = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(self.generator().standard_normal((max(rows, cols), min(rows, cols))))
        q = q * np.sign(np.diag(r))
        return self.gain * (q.T if rows < cols else q).reshape(shape)

    def get_config(self):
        return {**super().get_config(), "gain": self.gain}
