"""Cases of pooling, and what they mean, in float64 NumPy."""

import numpy as np

from tests.ops.case import Case, Op
from tests.ops.conv_cases import windows


def _axes(x_shape, size, strides, padding):
    return windows(x_shape, size, strides, (1,) * len(size), padding)


def _windows(x_shape, size, strides, padding):
    """(output, the slices of its window's part inside the image)."""
    axes = _axes(x_shape, size, strides, padding)
    for out in np.ndindex(*(n for n, _ in axes)):
        begin = [o * s - b for o, s, (_, b) in zip(out, strides, axes)]
        yield out, tuple(slice(max(b, 0), min(max(b + k, 0), n)) for b, k, n in zip(begin, size, x_shape[1:-1]))


def _at(where):
    return (slice(None), *where)


def output_shape(x_shape, pool_size, strides, padding):
    return (x_shape[0], *(n for n, _ in _axes(x_shape, pool_size, strides, padding)), x_shape[-1])


def winners(x, pool_size, strides, padding):
    """For every window the position of its largest element, row by row from its corner: the first of equals."""
    y = np.zeros(output_shape(x.shape, pool_size, strides, padding), "int64")
    axes = _axes(x.shape, pool_size, strides, padding)
    for out, part in _windows(x.shape, pool_size, strides, padding):
        inside = x[_at(part)]
        first = inside.reshape(len(x), np.prod(inside.shape[1:-1]), x.shape[-1]).argmax(
            1
        )  # a NaN counts as the largest
        places = np.unravel_index(first, inside.shape[1:-1])
        corner = [p.start - (o * s - b) for p, o, s, (_, b) in zip(part, out, strides, axes)]
        y[_at(out)] = np.ravel_multi_index([p + c for p, c in zip(places, corner)], pool_size)
    return y


def _spatial(x_shape):
    return tuple(range(1, len(x_shape) - 1))


def max_pool(x, pool_size, strides, padding):
    y = np.zeros(output_shape(x.shape, pool_size, strides, padding))
    for out, part in _windows(x.shape, pool_size, strides, padding):
        y[_at(out)] = x[_at(part)].max(_spatial(x.shape))
    return y


def max_pool_gradient(dy, index, pool_size, strides, padding, size):
    dx = np.zeros((dy.shape[0], *size, dy.shape[-1]))
    axes = _axes(dx.shape, pool_size, strides, padding)
    n, *outs, c = np.indices(dy.shape)
    places = np.unravel_index(index, pool_size)
    where = [o * s - b + p for o, s, (_, b), p in zip(outs, strides, axes, places)]
    np.add.at(dx, (n, *where, c), dy)
    return dx


def average_pool(x, pool_size, strides, padding):
    y = np.zeros(output_shape(x.shape, pool_size, strides, padding))
    for out, part in _windows(x.shape, pool_size, strides, padding):
        y[_at(out)] = x[_at(part)].mean(_spatial(x.shape))
    return y


def average_pool_gradient(dy, pool_size, strides, padding, size):
    dx = np.zeros((dy.shape[0], *size, dy.shape[-1]))
    for out, part in _windows(dx.shape, pool_size, strides, padding):
        inside = dx[_at(part)]
        inside += dy[_at(out)].reshape(len(dy), *(1,) * len(size), dy.shape[-1]) / np.prod(inside.shape[1:-1])
    return dx


def several(meaning):
    """A sum over a window is off by a few epsilons of the largest for every position of it."""
    return lambda *a, pool_size, **p: 6 * np.prod(pool_size) * np.ones_like(meaning(*a, pool_size, **p))


def pool(x, pool_size=(2, 2), strides=(2, 2), padding="valid", **keywords):
    return Case(x, pool_size=pool_size, strides=strides, padding=padding, **keywords)


SHAPES = [
    pool((1, 2, 2, 1)),
    pool((2, 26, 26, 32)),
    pool((3, 11, 11, 64)),
    pool((2, 9, 7, 5), padding="same"),
    pool((2, 9, 8, 17), (3, 3), (2, 2), "same"),
    pool((2, 9, 8, 40), (3, 2), (1, 1)),
    pool((2, 7, 7, 16), (3, 3), (1, 1), "same"),
    pool((2, 10, 10, 3), (2, 2), (3, 3)),  # inputs between the windows
    pool((2, 1, 33, 9), (1, 4), (1, 4)),
    pool((1, 20, 20, 3), (20, 20), (1, 1)),  # positions need more than a byte
    pool((0, 8, 8, 4)),
    pool((2, 11, 9), (2,), (2,)),
    pool((2, 12, 20), (3,), (2,), "same"),
    pool((2, 5, 6, 7, 5), (2, 2, 2), (2, 2, 2)),
    pool((2, 5, 6, 7, 20), (3, 2, 3), (2, 1, 2), "same"),
    pool((1, 7, 7, 8, 3), (7, 7, 6), (1, 1, 1)),
]
TIES = [pool(*c.shapes, values="ties", **c.params) for c in SHAPES]
MEASURED = [pool((32, 28, 28, 32), bench=True)]


def _gradient_cases(indexed):
    for case in SHAPES:
        x = case.operands()[0]
        index = winners(x, **case.params)
        index = index.astype("uint8" if np.prod(case.params["pool_size"]) <= 256 else "int32")
        dy = output_shape(x.shape, **case.params)
        yield Case(dy, *([index] if indexed else []), size=x.shape[1:-1], **case.params)


OPS = [
    Op("max_pool", max_pool, SHAPES + TIES + MEASURED, epsilons=0, rows=(0,)),
    Op(
        "max_pool_gradient", max_pool_gradient, list(_gradient_cases(True)), epsilons=1,
        error=several(max_pool_gradient), gradient=False, rows=(0, 1),
    ),
    Op("average_pool", average_pool, SHAPES, epsilons=1, error=several(average_pool), rows=(0,)),
    Op(
        "average_pool_gradient", average_pool_gradient, list(_gradient_cases(False)), epsilons=1,
        error=several(average_pool_gradient), rows=(0,),
    ),
]  # fmt: skip
