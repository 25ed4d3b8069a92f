"""Cases of the normalisations and what they mean, in float64 NumPy."""

from functools import partial

import numpy as np

from tests.ops.case import Case, Op, Operand


def _normalized(x, axes, kept, given, scale, center, epsilon):
    shape = [n if i in kept else 1 for i, n in enumerate(x.shape)]
    given = list(given)
    gamma = given.pop(0).reshape(shape) if scale else 1.0
    beta = given.pop(0).reshape(shape) if center else 0.0
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta, mean.reshape(-1), variance.reshape(-1)


def layer_norm(x, *given, axis=(-1,), epsilon=1e-3, scale=True, center=True):
    axes = tuple(sorted(a % x.ndim for a in axis))
    return _normalized(x, axes, axes, given, scale, center, epsilon)[0]


def batch_norm(x, *given, axis=-1, epsilon=1e-3, scale=True, center=True):
    """y, mean, variance."""
    rest = tuple(i for i in range(x.ndim) if i != axis % x.ndim)
    return _normalized(x, rest, (axis % x.ndim,), given, scale, center, epsilon)


def offset(x):
    """How far the data lies from 0, in its deviations: what subtracting the mean loses."""
    mean = abs(x.sum() / max(x.size, 1))
    return mean if mean > 1 else 0


def error(meaning, x, *given, **params):
    y = meaning(x, *given, **params)
    return [np.abs(a) + max(1, offset(x)) for a in (y if isinstance(y, tuple) else [y])]


def gradient_error(x, *given, **params):
    return 16 * (5 + 2 * offset(x) ** 2)


def norm(shape, axis=(-1,), scale=True, center=True, mean=0.0, **keywords):
    """A case of data about `mean`; axis: a tuple for layer_norm, a number for batch_norm_train."""
    axes = axis if isinstance(axis, tuple) else (axis,)
    sizes = tuple(shape[a] for a in sorted(a % len(shape) for a in axes))
    x = Operand(shape, lambda rng, s: rng.standard_normal(s) + mean)
    params = {"axis": axis, "epsilon": 1e-3, "scale": scale, "center": center}
    return Case(x, *[sizes] * (scale + center), **params, **keywords)


LAYER = [
    norm((1, 1)),
    norm((3, 17)),
    norm((33, 64)),
    norm((2, 5, 130)),
    norm((4, 768)),
    norm((3, 4, 5), axis=(1, 2)),
    norm((3, 4, 5), axis=(1,)),
    norm((2, 3, 4, 5), axis=(-1, 1)),
    norm((5, 31), scale=False),
    norm((5, 31), center=False),
    norm((70, 9), scale=False, center=False),
    norm((0, 6)),
    norm((9, 77)),
    norm((9, 100), mean=30.0),
    norm((128, 768), bench=True),
]
BATCH = [
    norm((7, 1), -1),
    norm((33, 17), -1),
    norm((2, 5, 5, 64), -1),
    norm((700, 80), -1, gradient=False),
    norm((1500, 3), -1, gradient=False),
    norm((3, 4, 5), axis=1),
    norm((40, 130), -1, scale=False),
    norm((40, 33), -1, center=False),
    norm((9, 2100), -1),
    norm((50, 6), -1, scale=False, center=False),
    norm((200, 48), -1, mean=30.0, gradient=False),
]
OPS = [
    Op(
        "layer_norm", layer_norm, LAYER, epsilons=16, error=partial(error, layer_norm), rows=(0,),
        gradient_epsilons=gradient_error, parts={"layer_norm_grad": "its gradient, which reads mean and rstd"},
    ),
    Op(
        "batch_norm_train", batch_norm, BATCH, epsilons=16, error=partial(error, batch_norm), unknown=(0,),
        rows="the statistics are the batch's",
        gradient_epsilons=gradient_error, parts={"batch_norm_grad": "its gradient, which reads mean and variance"},
    ),
]  # fmt: skip
