"""Cases of the normalisations and what they mean, in float64 NumPy."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Case:
    shape: tuple
    axis: tuple = (-1,)
    scale: bool = True
    center: bool = True
    mean: float = 0.0  # of the data

    def operands(self, dtype="float32"):
        rng = np.random.default_rng(0)
        sizes = [self.shape[a] for a in sorted(a % len(self.shape) for a in self.axis)]
        x = rng.standard_normal(self.shape) + self.mean
        given = [rng.standard_normal(sizes) for on in (self.scale, self.center) if on]
        return [a.astype(dtype) for a in (x, *given)]


def _parts(case, operands):
    x, *given = (a.astype(np.float64) for a in operands)
    axes = sorted(a % x.ndim for a in case.axis)
    shape = [n if i in axes else 1 for i, n in enumerate(x.shape)]
    gamma = given.pop(0).reshape(shape) if case.scale else 1.0
    return x, axes, gamma, given.pop(0).reshape(shape) if case.center else 0.0


def layer_norm(case, operands, epsilon):
    x, axes, gamma, beta = _parts(case, operands)
    axes = tuple(axes)
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon) * gamma + beta


def batch_norm(case, operands, epsilon):
    """y, mean, variance."""
    x, axes, gamma, beta = _parts(case, operands)
    rest = tuple(i for i in range(x.ndim) if i not in axes)
    mean, variance = x.mean(rest, keepdims=True), x.var(rest, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta, mean.reshape(-1), variance.reshape(-1)


LAYER = [
    Case((1, 1)),
    Case((3, 17)),
    Case((33, 64)),
    Case((2, 5, 130)),
    Case((4, 768)),
    Case((3, 4, 5), axis=(1, 2)),
    Case((3, 4, 5), axis=(1,)),
    Case((2, 3, 4, 5), axis=(-1, 1)),
    Case((5, 31), scale=False),
    Case((5, 31), center=False),
    Case((70, 9), scale=False, center=False),
    Case((0, 6)),
    Case((9, 100), mean=30.0),
]
BATCH = [
    Case((7, 1)),
    Case((33, 17)),
    Case((2, 5, 5, 64)),
    Case((700, 80)),
    Case((1500, 3)),
    Case((3, 4, 5), axis=(1,)),
    Case((40, 130), scale=False),
    Case((40, 33), center=False),
    Case((9, 2100)),
    Case((50, 6), scale=False, center=False),
    Case((200, 48), mean=30.0),
]
