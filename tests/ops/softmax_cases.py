"""Cases of softmax and what it means, in float64 NumPy."""

import numpy as np

from tests.ops.case import Case, Op


def reference(x, axis=-1, log=False):
    z = x - x.max(axis, keepdims=True)
    total = np.exp(z).sum(axis, keepdims=True)
    return z - np.log(total) if log else np.exp(z) / total


def error(x, axis=-1, log=False):
    # x - max rounds once: the relative error of exp of it is its size in epsilons.
    spread, y = np.abs(x - x.max(axis, keepdims=True)), np.abs(reference(x, axis, log))
    return y + spread + 4 if log else (8 + spread) * y


def gradient(y, dy, axis=-1, log=False):
    if log:
        return dy - np.exp(y) * dy.sum(axis, keepdims=True)
    return y * (dy - (y * dy).sum(axis, keepdims=True))


def gradient_error(y, dy, axis=-1, log=False):
    """Roundings of a sum of n terms add up to sqrt(n); what is taken from dy may cancel."""
    n = max(y.shape[axis], 1) ** 0.5
    if log:
        return 4 * np.abs(dy) + np.exp(y) * (8 + n) * (1 + np.abs(dy).sum(axis, keepdims=True))
    return np.abs(y) * (4 * np.abs(dy) + (4 + n) * np.abs(y * dy).sum(axis, keepdims=True))


CASES = [
    case
    for log in (False, True)
    for case in (
        Case((1, 1), log=log),
        Case((3, 17), log=log),
        Case((2, 7, 5), axis=1, log=log),
        Case((4, 33), values="huge", log=log),
        Case((5, 16), log=log),
        Case((7, 64), log=log),
        Case((3, 130), log=log),
        Case((2, 3, 1001), log=log),
        Case((0, 5), log=log),
        Case((63, 65), axis=0, rows=(), log=log),
    )
]
MEASURED = [Case((128 * 12, 128), bench=True), Case((64, 50257), bench=True)]
GRADIENTS = [
    Case(shape, shape, axis=axis, log=log, **({} if rows is None else {"rows": rows}))
    for log in (False, True)
    for shape, axis, rows in (
        ((1, 1), -1, None),
        ((3, 17), -1, None),
        ((2, 7, 5), 1, None),
        ((5, 16), -1, None),
        ((3, 130), -1, None),
        ((2, 3, 1001), -1, None),
        ((0, 5), -1, None),
        ((63, 65), 0, ()),
    )
]
OPS = [
    Op("softmax", reference, CASES + MEASURED, epsilons=1, error=error, rows=(0,)),
    Op(
        "softmax_gradient", gradient,
        [*GRADIENTS, Case((128 * 12, 128), (128 * 12, 128), bench=True)],
        epsilons=1, error=gradient_error, gradient_epsilons=400, rows=(0, 1),
    ),
]  # fmt: skip
