"""Cases of sparsemax and what it means, in float64 NumPy: by sorting, as the paper has it."""

import numpy as np

from tests.ops.case import Case, Op


def threshold(x, axis):
    """tau of x - max(x): the largest k elements with 1 + k z_k > their sum are above it."""
    z = np.moveaxis(x - x.max(axis, keepdims=True), axis, -1)
    falling = -np.sort(-z, axis=-1)
    total, k = np.cumsum(falling, -1), np.arange(1, z.shape[-1] + 1)
    count = np.maximum((1 + k * falling > total).sum(-1, keepdims=True), 1)
    return np.moveaxis((np.take_along_axis(total, count - 1, -1) - 1) / count, -1, axis)


def reference(x, axis=-1):
    return np.maximum(x - x.max(axis, keepdims=True) - threshold(x, axis), 0)


def error(x, axis=-1):
    # What is subtracted rounds in its own size; nothing above 1 below the maximum counts.
    return np.minimum(x.max(axis, keepdims=True) - x, 1) - 4 * threshold(x, axis)


def near(rng, shape):
    """Much of a long row is above the threshold."""
    return 0.01 * rng.standard_normal(shape)


def growing(rng, shape):
    """Gaps that grow: the threshold takes many steps."""
    return np.broadcast_to(-(1.5 ** -np.arange(shape[-1])) * rng.uniform(0.5, 1, (*shape[:-1], 1)), shape)


CASES = [
    Case((1, 1)),
    Case((3, 17)),
    Case((2, 7, 5), axis=1),
    Case((4, 33), values="huge"),
    Case((4, 33), values="ties"),
    Case((5, 16)),
    Case((7, 64), values=near),
    Case((3, 40), values=growing, gradient=False),
    Case((2, 3, 1001), values=near),
    Case((6, 30), special=True),
    Case((0, 5)),
    Case((63, 65), axis=0, rows=()),
    Case((128 * 12, 128), bench=True),
    Case((64, 50257), bench=True),
]
OPS = [Op("sparsemax", reference, CASES, epsilons=2, error=error, rows=(0,))]
