"""Cases of matrix products and what they mean, in float64 NumPy."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Case:
    """a: (*batch_a, m, k) times b: (*batch_b, k, n); either may be stored transposed."""

    m: int
    k: int
    n: int
    batch_a: tuple = ()
    batch_b: tuple = ()
    transpose_a: bool = False
    transpose_b: bool = False

    @property
    def params(self):
        return {"transpose_a": self.transpose_a, "transpose_b": self.transpose_b}

    def operands(self, dtype="float32"):
        rng = np.random.default_rng(0)
        a = rng.standard_normal((*self.batch_a, self.m, self.k)).astype(dtype)
        b = rng.standard_normal((*self.batch_b, self.k, self.n)).astype(dtype)
        return [
            np.ascontiguousarray(a.swapaxes(-1, -2)) if self.transpose_a else a,
            np.ascontiguousarray(b.swapaxes(-1, -2)) if self.transpose_b else b,
        ]


def reference(case, a, b):
    a, b = a.astype("float64"), b.astype("float64")
    return (a.swapaxes(-1, -2) if case.transpose_a else a) @ (b.swapaxes(-1, -2) if case.transpose_b else b)


_SIZES = [
    (1, 1, 1), (1, 16, 16), (1, 784, 512), (5, 7, 70), (6, 64, 64), (7, 3, 31), (13, 513, 65), (14, 600, 10),
    (33, 1000, 17), (100, 64, 129), (29, 1030, 48), (12, 5, 32),
]  # fmt: skip
CASES = [
    *(Case(*s) for s in _SIZES),
    *(Case(*s, transpose_a=True) for s in _SIZES),
    *(Case(*s, transpose_b=True) for s in _SIZES),
    Case(9, 20, 33, transpose_a=True, transpose_b=True),
    Case(5, 7, 18, (3,), (3,)),
    Case(5, 7, 70, (2, 3), (3,)),
    Case(5, 7, 9, (2, 1), (1, 4), transpose_b=True),
    Case(4, 600, 65, (2,), (2,), transpose_a=True),
    Case(4, 8, 12, (3, 2), ()),
    Case(0, 4, 5),
    Case(3, 0, 5),
    Case(3, 4, 0),
    Case(2, 3, 4, (0,), (0,)),
]
