"""Cases of running sums and what they mean, in float64 NumPy."""

import numpy as np

from tests.ops.case import Case, Op


def reference(x, axis, reverse=False):
    x = x.astype("int32") if x.dtype == bool else x
    y = np.cumsum(np.flip(x, axis) if reverse else x, axis).astype(x.dtype)
    return np.flip(y, axis) if reverse else y


def error(x, axis, reverse=False):
    # Sums that run one by one are off by at most one rounding of every sum so far.
    return x.shape[axis] * reference(np.abs(x), axis, reverse)


CASES = [
    Case((1,), axis=0),
    Case((7,), axis=-1, reverse=True),
    Case((33,), axis=0),
    Case((17, 16), axis=1),
    Case((35, 50), axis=1, reverse=True),  # tails of rows and of the axis
    Case((3, 200), axis=-1),
    Case((9, 1), axis=0),
    Case((6, 37), axis=0, reverse=True),  # a tail of columns
    Case((2, 5, 16), axis=1),
    Case((2, 3, 4, 5), axis=2, reverse=True),
    Case((0, 4), axis=1),
    Case((4, 0), axis=1),
    Case((4096, 1000), axis=1, bench=True),
    Case((64, 1000, 64), axis=1, bench=True),
]
OPS = [
    Op(
        "cumsum",
        reference,
        CASES,
        dtypes=("float32", "float64", "int32", "int64", "bool"),
        epsilons=1,
        error=error,
        rows=lambda case: (0,) if case.params["axis"] % len(case.shapes[0]) else (),
    )
]
