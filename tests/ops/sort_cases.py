"""Cases of sorting and searching, and what they mean, in NumPy."""

import numpy as np

from tests.ops.case import Case, Op, Operand

ALL = ("float32", "float64", "float16", "int8", "uint8", "int16", "int32", "int64", "uint32", "bool")


def sort(x, axis):
    return np.sort(x, axis, kind="stable")


def argsort(x, axis):
    return np.argsort(x, axis, kind="stable").astype("int32")


def top_k(x, k):
    key = np.where(np.isnan(x), np.inf, x) if x.dtype.kind == "f" else x.astype("int64")
    indices = np.argsort(-key, -1, kind="stable")[..., :k]
    return np.take_along_axis(x, indices, -1), indices.astype("int32")


def searchsorted(a, v, right=False):
    return np.searchsorted(a, v, "right" if right else "left").astype("int32")


def ascending(n):
    return Operand((n,), lambda rng, s: np.sort(rng.integers(-20, 20, s)).astype("float64"))


def apart(rng, shape):
    """Values that no small step brings to another's place."""
    return rng.permutation(int(np.prod(shape))).reshape(shape) / 50 - 3.0


def axis_rows(case):
    return (0,) if case.params["axis"] % len(case.shapes[0]) else ()


SORT = [
    Case((1,), axis=0),
    Case((7,), axis=-1),
    Case((5, 9), axis=0),
    Case((4, 33), axis=1, values="ties"),
    Case((3, 300), axis=1, values=apart),  # by radix
    Case((2, 1000), axis=-1, values="ties", special=True),
    Case((2, 31, 3), axis=1, special=True),
    Case((0, 4), axis=0),
    Case((3, 0), axis=1),
]
MEASURED = [Case((1024, 1000), axis=1, bench=True), Case((1_000_000,), axis=0, bench=True)]
TOP_K = [
    Case((3, 70), k=5, values="ties"),
    Case((2, 200), k=32),
    Case((4, 300), k=1),
    Case((7,), k=7),
    Case((5, 9), k=1),
    Case((5, 9), k=0),
    Case((2, 3, 300), k=200, values=apart),
    Case((4, 33), k=6, values="ties"),
    Case((3, 0), k=0),
    Case((128, 50257), k=10, bench=True),
]
SEARCH = [
    Case(ascending(1), (5,)),
    Case(ascending(17), (4, 5), values="ties"),
    Case(ascending(17), (4, 5), values="ties", right=True),
    Case(ascending(0), (3,)),
    Case(ascending(60), (200,), values="huge"),
]
OPS = [
    Op("sort", sort, SORT + MEASURED, dtypes=ALL, epsilons=0, rows=axis_rows),
    Op("argsort", argsort, SORT, dtypes=ALL, gradient=False, rows=axis_rows),
    Op("top_k", top_k, TOP_K, dtypes=ALL, epsilons=0, rows=lambda case: (0,) if len(case.shapes[0]) > 1 else ()),
    Op("searchsorted", searchsorted, SEARCH, dtypes=("float32", "float64", "int32", "int64"), gradient=False,
       rows=(1,)),
]  # fmt: skip
