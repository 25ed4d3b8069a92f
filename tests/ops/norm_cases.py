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


def layer_norm(x, *given, axis=(-1,), epsilon=1e-3, scale=True, center=True, subtract_mean=True):
    axes = tuple(sorted(a % x.ndim for a in axis))
    if not subtract_mean:
        shape = [n if i in axes else 1 for i, n in enumerate(x.shape)]
        gamma = given[0].reshape(shape) if scale else 1.0
        beta = given[-1].reshape(shape) if center else 0.0
        return x / np.sqrt((x * x).mean(axes, keepdims=True) + epsilon) * gamma + beta
    return _normalized(x, axes, axes, given, scale, center, epsilon)[0]


def batch_norm(x, *given, axis=-1, epsilon=1e-3, scale=True, center=True):
    """y, mean, variance."""
    rest = tuple(i for i in range(x.ndim) if i != axis % x.ndim)
    return _normalized(x, rest, (axis % x.ndim,), given, scale, center, epsilon)


def group_norm(x, *given, groups=1, epsilon=1e-3, scale=True, center=True):
    z = x.reshape(x.shape[0], int(np.prod(x.shape[1:-1])), groups, x.shape[-1] // groups)
    z = (z - z.mean((1, 3), keepdims=True)) / np.sqrt(z.var((1, 3), keepdims=True) + epsilon)
    z = z.reshape(x.shape)
    return z * (given[0] if scale else 1.0) + (given[-1] if center else 0.0)


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


def group(shape, groups, scale=True, center=True, mean=0.0, **keywords):
    x = Operand(shape, lambda rng, s: rng.standard_normal(s) + mean)
    params = {"groups": groups, "epsilon": 1e-3, "scale": scale, "center": center}
    return Case(x, *[shape[-1:]] * (scale + center), **params, **keywords)


def rms(shape, axis=(-1,), scale=True, center=False, **keywords):
    case = norm(shape, axis, scale, center, **keywords)
    case.params["subtract_mean"] = False
    return case


GROUP = [
    group((1, 1), 1),
    group((3, 5, 6), 2),
    group((2, 3, 4, 48), 3),
    group((2, 70, 8), 8),
    group((3, 7, 130), 130),
    group((2, 9, 150), 1),
    group((2, 200, 33), 11, gradient=False),
    group((4, 31), 31, scale=False),
    group((2, 4, 72), 4, center=False),
    group((2, 4, 20), 5, scale=False, center=False),
    group((0, 4, 6), 3),
    group((2, 40, 12), 3, mean=30.0, gradient=False),
    group((8, 28, 28, 256), 32, bench=True),
]
LAYER = [
    rms((4, 33)),
    rms((3, 4, 5), axis=(1, 2)),
    rms((3, 4, 5), axis=(1,), scale=False),
    rms((2, 5, 130), center=True),
    rms((128, 768), bench=True, note="rms"),
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
    Op("group_norm", group_norm, GROUP, epsilons=16, error=partial(error, group_norm), rows=(0,),
       gradient_epsilons=gradient_error),
    Op(
        "batch_norm_train", batch_norm, BATCH, epsilons=16, error=partial(error, batch_norm), unknown=(0,),
        rows="the statistics are the batch's",
        gradient_epsilons=gradient_error, parts={"batch_norm_grad": "its gradient, which reads mean and variance"},
    ),
]  # fmt: skip
