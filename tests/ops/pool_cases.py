"""Cases of pooling, and what they mean, in float64 NumPy."""

import numpy as np

from tests.ops.case import Case, Op
from tests.ops.conv_cases import window


def _windows(x_shape, size, strides, padding):
    """(oh, ow, the slices of the window's part inside the image)."""
    axes = [window(x_shape[i + 1], size[i], strides[i], 1, padding) for i in (0, 1)]
    for oh in range(axes[0][0]):
        for ow in range(axes[1][0]):
            begin = [o * s - b for o, s, (_, b) in zip((oh, ow), strides, axes)]
            yield oh, ow, tuple(slice(max(b, 0), max(b + k, 0)) for b, k in zip(begin, size))


def output_shape(x_shape, pool_size, strides, padding):
    return (x_shape[0], *(window(x_shape[i + 1], pool_size[i], strides[i], 1, padding)[0] for i in (0, 1)), x_shape[3])


def winners(x, pool_size, strides, padding):
    """For every window the position of its largest element, row by row from its corner: the first of equals."""
    y = np.zeros(output_shape(x.shape, pool_size, strides, padding), "int64")
    corner = [window(x.shape[i + 1], pool_size[i], strides[i], 1, padding)[1] for i in (0, 1)]
    for oh, ow, (h, w) in _windows(x.shape, pool_size, strides, padding):
        part = x[:, h, w]
        n, ph, pw, c = part.shape
        first = part.reshape(n, ph * pw, c).argmax(1)  # a NaN counts as the largest
        row, column = first // pw, first % pw
        row, column = row + h.start - oh * strides[0] + corner[0], column + w.start - ow * strides[1] + corner[1]
        y[:, oh, ow] = row * pool_size[1] + column
    return y


def max_pool(x, pool_size, strides, padding):
    y = np.zeros(output_shape(x.shape, pool_size, strides, padding))
    for oh, ow, (h, w) in _windows(x.shape, pool_size, strides, padding):
        y[:, oh, ow] = x[:, h, w].max((1, 2))
    return y


def max_pool_gradient(dy, index, pool_size, strides, padding, size):
    dx = np.zeros((dy.shape[0], *size, dy.shape[3]))
    corner = [window(size[i], pool_size[i], strides[i], 1, padding)[1] for i in (0, 1)]
    n, _, _, c = np.indices(dy.shape)
    h = np.arange(dy.shape[1])[:, None, None] * strides[0] - corner[0] + index // pool_size[1]
    w = np.arange(dy.shape[2])[:, None] * strides[1] - corner[1] + index % pool_size[1]
    np.add.at(dx, (n, h, w, c), dy)
    return dx


def average_pool(x, pool_size, strides, padding):
    y = np.zeros(output_shape(x.shape, pool_size, strides, padding))
    for oh, ow, (h, w) in _windows(x.shape, pool_size, strides, padding):
        y[:, oh, ow] = x[:, h, w].mean((1, 2))
    return y


def average_pool_gradient(dy, pool_size, strides, padding, size):
    dx = np.zeros((dy.shape[0], *size, dy.shape[3]))
    for oh, ow, (h, w) in _windows(dx.shape, pool_size, strides, padding):
        part = dx[:, h, w]
        part += dy[:, oh, ow][:, None, None] / (part.shape[1] * part.shape[2])
    return dx


def several(meaning):
    """A sum over a window is off by a few epsilons of the largest for every position of it."""
    return lambda *a, pool_size, **p: 6 * pool_size[0] * pool_size[1] * np.ones_like(meaning(*a, pool_size, **p))


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
]
TIES = [pool(*c.shapes, values="ties", **c.params) for c in SHAPES]
MEASURED = [pool((32, 28, 28, 32), bench=True)]


def _gradient_cases(indexed):
    for case in SHAPES:
        x = case.operands()[0]
        index = winners(x, **case.params)
        index = index.astype("uint8" if np.prod(case.params["pool_size"]) <= 256 else "int32")
        dy = output_shape(x.shape, **case.params)
        yield Case(dy, *([index] if indexed else []), size=x.shape[1:3], **case.params)


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
