"""Cases of reductions and what they mean, in float64 NumPy."""

from functools import partial

import numpy as np

from tests.ops.case import Case, Op

DTYPES = ("float32", "float64", "int32", "bool")


def reference(name, x, axis=(), keepdims=False):
    # One rounding for each factor: a float64 product of many is as far off in NumPy as in any kernel.
    wide = x.astype(np.longdouble) if name == "prod" and x.dtype.kind == "f" else x
    y = getattr(np, name)(wide, axis=tuple(axis) or None, keepdims=keepdims)
    if wide is not x:
        y = np.asarray(y).astype("float64")
    if name in ("sum", "prod") and x.dtype.kind != "f":
        y = y.astype("int32")
    return y


def error(name, x, axis=(), keepdims=False):
    # A pairwise or lane sum of n terms is off by far fewer than sqrt(n) epsilons of the sum of their sizes.
    y = np.asarray(reference(name, np.abs(x), axis, keepdims))
    return (2 + (x.size / max(y.size, 1)) ** 0.5) * y


def argument(name, x, axis=(), keepdims=False):
    return np.asarray(getattr(np, name)(x, *axis, keepdims=keepdims)).astype("int32")


def element_count(x, axis=(), dtype="float32"):
    return np.asarray(np.prod([x.shape[a] for a in axis or range(x.ndim)]), dtype)


def fold(shape, *axis, **keywords):
    """A case; no axis: all of them."""
    reduced = [a % len(shape) for a in axis or range(len(shape))]
    empty = any(shape[a] == 0 for a in reduced)
    return Case(shape, axis=list(axis), rows=() if 0 in reduced else (0,), gradient=not empty, **keywords)


def cases(name):
    # Products of thousands stay in range.
    values = (lambda rng, s: np.exp(3 / 40 * rng.standard_normal(s))) if name == "prod" else "normal"
    solid = [
        fold((1,), values=values),
        fold((3,), 0, keepdims=True, values=values),
        fold((17, 3), 0, values=values),
        fold((3, 17), 1, values=values),
        fold((3, 17), values=values),
        fold((2, 5, 7), 1, values=values),
        fold((2, 5, 7), 0, 2, keepdims=True, values=values),
        fold((2, 3, 4, 5), 0, 2, values=values),
        fold((2, 3, 4, 5), 1, 2, values=values),
        fold((4, 1, 5), 1, values=values),
        fold((4, 9, 1), 1, values=values),
        fold((3, 0, 2), 2, values=values),
        fold((2, 4097), 1, values=values),  # one element more than a chunk of lanes
        fold((3, 12289), -1, values=values),
        fold((129, 5), 0, values=values),  # one row more than a chunk of columns
        fold((1000, 67), 0, values=values),
        fold((2, 140, 1030), 1, values=values),  # two chunks of rows, two blocks of columns
        fold((9, 300, 5), 1, 2, values=values),
    ]
    return solid if name in ("max", "min") else [*solid, fold((0, 3), 0), fold((3, 0, 2), 1)]


ARGUMENTS = [
    fold((1,)),
    fold((4, 7, 5), values="ties"),  # the first of equals
    fold((4, 7, 5), 0),
    fold((4, 7, 5), 1, keepdims=True),
    fold((4, 7, 5), -1, values="ties"),
    fold((9, 1000), 1),
    fold((0, 3), 1),
]
MEASURED = [
    fold((64 * 56 * 56, 64), 0, bench=True),  # gradient of a bias
    fold((32, 56, 56, 64), 1, 2, bench=True),  # global average pooling
    fold((4096, 1000), 1, bench=True),
]
OPS = [
    *(
        Op(
            name, partial(reference, name), cases(name) + (MEASURED if name == "sum" else []), dtypes=DTYPES,
            epsilons=1, error=partial(error, name), rows=(0,), gradient=name not in ("any", "all"),
            result={"int32": "float32", "bool": "float32"} if name == "mean" else None,
        )
        for name in ("sum", "mean", "prod", "max", "min", "any", "all")
    ),
    *(
        Op(name, partial(argument, name), ARGUMENTS, dtypes=(*DTYPES, "int64"), gradient=False, rows=(0,))
        for name in ("argmax", "argmin")
    ),
    Op(
        "element_count", element_count, gradient=False, rows="one number", cases=[
            Case((3, 4, 5), axis=[0, 2], dtype="float32"),
            Case((3, 4), dtype="int64"),
            Case((0, 4), axis=[0], dtype="float64"),
        ],
    ),
]  # fmt: skip
