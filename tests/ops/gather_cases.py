"""Cases of reading by index and its gradients, and what they mean, in NumPy."""

import numpy as np

from tests.ops.case import Case, Op, index

ALL = ("float32", "float64", "float16", "uint8", "int64", "bool")


def take(x, indices, axis):
    return np.take(x, indices, axis)


def take_gradient(dy, indices, axis, size):
    axis %= dy.ndim - indices.ndim + 1
    dx = np.zeros((*dy.shape[:axis], *size, *dy.shape[axis + indices.ndim :]))
    np.add.at(np.moveaxis(dx, axis, 0), indices, np.moveaxis(dy, range(axis, axis + indices.ndim), range(indices.ndim)))
    return dx


def take_along_axis(x, indices, axis):
    return np.take_along_axis(x, indices, axis)


def take_along_axis_gradient(dy, indices, axis, size):
    dx = np.zeros((*dy.shape[:axis], *size, *dy.shape[axis + 1 :]))
    where = list(np.indices(indices.shape))
    where[axis] = indices
    np.add.at(dx, tuple(where), dy)
    return dx


def rows(case):
    """The axes before `axis` are a batch of x and of the result; without them the indices are."""
    return (0,) if case.params["axis"] else (1,)


def _take(shape, indices, axis, dtype="int64"):
    return Case(shape, index(indices, shape[axis], dtype), axis=axis)


def _along(shape, indices, axis):
    return Case(shape, index(indices, shape[axis]), axis=axis)


TAKE = [
    _take((5,), (), 0),
    _take((5, 3), (4,), 0),
    _take((5, 3), (4,), 0, "int8"),
    _take((5, 3), (4,), 0, "int32"),
    _take((5, 3), (2, 3), 1),
    _take((2, 5, 3), (7,), 1, "int32"),
    _take((2, 5, 3), (2, 2), -1),
    _take((5, 3), (0,), 0),
    _take((7, 130), (9,), 0),
]
TAKE_GRADIENT = [
    Case((), index((), 5), axis=0, size=[5]),
    Case((2, 3, 4), index((2, 3), 5), axis=0, size=[5]),
    Case((3, 7, 2), index((7,), 4, "int32"), axis=1, size=[4]),
    Case((0, 3), index((0,), 5), axis=0, size=[5]),
    Case((300, 17), index((300,), 40), axis=0, size=[40]),
]
ALONG = [
    _along((5, 3), (2, 3), 0),
    _along((5, 3), (5, 7), 1),
    _along((2, 4, 3), (2, 9, 3), 1),
    _along((2, 4, 3), (2, 0, 3), 1),
]
ALONG_GRADIENT = [
    Case((2, 3), index((2, 3), 5), axis=0, size=[5]),
    Case((5, 70), index((5, 70), 3, "int32"), axis=1, size=[3]),
]


def along_rows(case):
    return (0, 1) if case.params["axis"] else ()


OPS = [
    Op("take", take, TAKE, dtypes=ALL, epsilons=0, rows=rows),
    Op("take_gradient", take_gradient, TAKE_GRADIENT, epsilons=300, rows="sums over the indices"),
    Op("take_along_axis", take_along_axis, ALONG, dtypes=ALL, epsilons=0, rows=along_rows),
    Op("take_along_axis_gradient", take_along_axis_gradient, ALONG_GRADIENT, epsilons=300, rows=along_rows),
]
