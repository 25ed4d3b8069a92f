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
