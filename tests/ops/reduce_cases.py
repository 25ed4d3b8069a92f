"""Cases of reductions and what they mean, in float64 NumPy."""

from dataclasses import dataclass

import numpy as np

FOLDS = ["sum", "mean", "prod", "max", "min", "any", "all"]


@dataclass
class Case:
    shape: tuple
    axis: tuple  # empty: all axes
    keepdims: bool = False
    bench: bool = False

    def __str__(self):
        return f"{self.shape}-{self.axis}-{self.keepdims}"


CASES = [
    Case((1,), ()),
    Case((3,), (0,), True),
    Case((17, 3), (0,)),
    Case((3, 17), (1,)),
    Case((3, 17), ()),
    Case((2, 5, 7), (1,)),
    Case((2, 5, 7), (0, 2), True),
    Case((2, 3, 4, 5), (0, 2)),
    Case((2, 3, 4, 5), (1, 2)),
    Case((4, 1, 5), (1,)),
    Case((4, 9, 1), (1,)),
    Case((0, 3), (0,)),
    Case((3, 0, 2), (2,)),
    Case((3, 0, 2), (1,)),
    Case((2, 4097), (1,)),  # one element more than a chunk of lanes
    Case((3, 12289), (-1,)),
    Case((129, 5), (0,)),  # one row more than a chunk of columns
    Case((1000, 67), (0,)),
    Case((2, 300, 1030), (1,)),  # two blocks of columns
    Case((64 * 56 * 56, 64), (0,), bench=True),  # gradient of a bias
    Case((32, 56, 56, 64), (1, 2), bench=True),  # global average pooling
    Case((4096, 1000), (1,), bench=True),
]


def reference(name, x, axis=(), keepdims=False):
    wide = x.astype(np.float64) if x.dtype.kind == "f" or name == "mean" else x
    with np.errstate(all="ignore"):
        return getattr(np, name)(wide, axis=tuple(axis) or None, keepdims=keepdims)
