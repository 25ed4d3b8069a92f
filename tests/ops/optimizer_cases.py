"""Cases of fused optimizer updates and what they mean, in float64 NumPy (Keras 3's formulas)."""

from functools import partial

import numpy as np

from tests.ops.case import Case, Op, Operand

SIZES = [0, 1, 15, 17, 1024, 5003]
RATE = np.asarray(0.01)


def sgd(w, g, rate, m=None, momentum=0.0, nesterov=False):
    if momentum == 0:
        return w - rate * g
    m = momentum * m - rate * g
    return w + (momentum * m - rate * g if nesterov else m), m


def adam(w, g, rate, m, v, h=None, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False):
    m, v = m + (g - m) * (1 - beta_1), v + (g * g - v) * (1 - beta_2)
    top = np.maximum(h, v) if amsgrad else v
    return w - m * rate / (np.sqrt(top) + epsilon), m, v, *([top] if amsgrad else [])


def error(meaning, *operands, **params):
    y = meaning(*operands, **params)
    return [8 * np.abs(a) + 4 for a in (y if isinstance(y, tuple) else [y])]


def square(rng, shape):
    return rng.standard_normal(shape) ** 2


SGD = [
    Case((n,), (n,), RATE, *[(n,)] * ("momentum" in params), **params)
    for params in ({}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True})
    for n in SIZES
]


def adam_case(n, v, amsgrad=False, **params):
    gradient = v == "positive"  # the slope of a root has no bound at 0
    return Case(
        (n,), (n,), RATE, (n,), *[Operand((n,), v)] * (1 + amsgrad), gradient=gradient, amsgrad=amsgrad, **params
    )


ADAM = [
    adam_case(n, v, **params)
    for params in ({}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}, {"amsgrad": True})
    for n, v in (*((n, square) for n in SIZES), (17, "positive"))
]
OPS = [
    Op("sgd", sgd, SGD, epsilons=1, error=partial(error, sgd), rows=(0, 1, 3)),
    Op("adam", adam, ADAM, epsilons=1, error=partial(error, adam), rows=(0, 1, 3, 4, 5)),
]
