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


def linear(a, b, axis, reverse=False):
    a, b = (np.moveaxis(np.flip(x, axis) if reverse else x, axis, 0) for x in (a, b))
    y = np.zeros_like(b)
    for j in range(len(b)):
        y[j] = a[j] * y[j - 1] + b[j] if j else b[j]
    return np.flip(np.moveaxis(y, 0, axis), axis) if reverse else np.moveaxis(y, 0, axis)


def linear_error(a, b, axis, reverse=False):
    return linear(np.abs(a), np.abs(b), axis, reverse)


def axis_rows(operands):
    return lambda case: operands if case.params["axis"] % len(case.shapes[0]) else ()


LINEAR = [
    Case((1,), (1,), axis=0),
    Case((7,), (7,), axis=-1, reverse=True),
    Case((5, 9), (5, 9), axis=1),
    Case((5, 9), (5, 9), axis=0, reverse=True),
    Case((3, 40, 5), (3, 40, 5), axis=1, values=(-1.1, 1.1)),
    Case((0, 4), (0, 4), axis=0),
]
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
        rows=axis_rows((0,)),
    ),
    Op(
        "linear_scan",
        linear,
        LINEAR,
        dtypes=("float32", "float64", "int32", "int64"),
        epsilons=8,
        error=linear_error,
        gradient_epsilons=500,
        rows=axis_rows((0, 1)),
    ),
]
