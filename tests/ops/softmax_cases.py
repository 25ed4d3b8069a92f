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
OPS = [Op("softmax", reference, CASES + MEASURED, epsilons=1, error=error, rows=(0,))]
