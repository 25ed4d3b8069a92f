"""Cases of softmax and what it means, in float64 NumPy."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Case:
    shape: tuple
    axis: int = -1
    scale: float = 1.0

    def operands(self, dtype="float32"):
        return [(self.scale * np.random.default_rng(0).standard_normal(self.shape)).astype(dtype)]


def reference(x, axis=-1, log=False):
    x = x.astype(np.float64)
    z = x - x.max(axis, keepdims=True)
    total = np.exp(z).sum(axis, keepdims=True)
    return z - np.log(total) if log else np.exp(z) / total


CASES = [
    Case((1, 1)),
    Case((3, 17)),
    Case((2, 7, 5), axis=1),
    Case((4, 33), scale=100),
    Case((5, 16)),
    Case((7, 64)),
    Case((3, 130)),
    Case((2, 3, 1001)),
    Case((0, 5)),
    Case((63, 65), axis=0),
]
