"""Cases of running sums and what they mean, in float64 NumPy."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Case:
    shape: tuple
    axis: int
    reverse: bool = False

    def operands(self, dtype="float32"):
        x = 10 * np.random.default_rng(0).standard_normal(self.shape)
        return [(x > 0) if dtype == "bool" else x.astype(dtype)]


def reference(x, axis, reverse=False):
    wide = x.astype(np.float64 if x.dtype.kind == "f" else np.int64)
    return np.flip(np.cumsum(np.flip(wide, axis), axis), axis) if reverse else np.cumsum(wide, axis)


CASES = [
    Case((1,), 0),
    Case((7,), -1, True),
    Case((33,), 0),
    Case((17, 16), 1),
    Case((35, 50), 1, True),  # tails of rows and of the axis
    Case((3, 200), -1),
    Case((9, 1), 0),
    Case((6, 37), 0, True),  # a tail of columns
    Case((2, 5, 16), 1),
    Case((2, 3, 4, 5), 2, True),
    Case((0, 4), 1),
    Case((4, 0), 1),
]
