"""Cases of cross entropies from logits and their gradients, and what they mean, in float64 NumPy."""

import numpy as np

from tests.ops.case import Case, Op, Operand, index


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def one_hot(labels, classes):
    return np.where(np.arange(classes) == labels[..., None], 1.0, 0.0)


def sparse(x, labels):
    return -np.take_along_axis(log_softmax(x), labels[..., None], -1)[..., 0]


def dense(x, targets):
    return -(targets * log_softmax(x)).sum(-1)


def sparse_gradient(x, labels, dy):
    return dense_gradient(x, one_hot(labels, x.shape[-1]), dy)


def dense_gradient(x, targets, dy):
    return (np.exp(log_softmax(x)) * targets.sum(-1, keepdims=True) - targets) * dy[..., None]


def with_statistics(name):
    """The gradient op reads each row's maximum and sum of exponentials, which the loss has kept."""

    def call(x, targets, dy):
        from maas import _core

        maximum, highest = (_core.max(x, axis=[-1], keepdims=keepdims) for keepdims in (False, True))
        total = _core.sum(_core.exp(_core.subtract(x, highest)), axis=[-1])
        return getattr(_core, name)(x, targets, maximum, total, dy)

    return call


def size_of_logits(x):
    return np.abs(x).sum() / max(x.size, 1) * 1.25  # 1 for normal numbers


def error(meaning):
    """The error of x - max counts in epsilons of x; roundings of a sum of n terms add up to sqrt(n)."""

    def bound(x, t):
        mass = 1 if t.shape != x.shape else t.sum(-1)
        return (8 + x.shape[-1] ** 0.5) * (np.abs(meaning(x, t)) + mass) + 4 * size_of_logits(x)

    return bound


def gradient_error(x, t):
    mass = 1 if t.shape != x.shape else t.sum(-1).max(initial=0)
    return 8 * (1 + mass) * (4 + min(size_of_logits(x), 100))


def gradient_size(x, t, dy):
    """A probability is off by its exponent's epsilons; what is taken off it may cancel."""
    mass = 1 if t.shape != x.shape else t.sum(-1, keepdims=True)
    return 8 * (4 + np.abs(x)) * (np.exp(log_softmax(x)) + 1) * mass * np.abs(dy[..., None])


SHAPES = [(1, 1), (3, 2), (5, 10), (4, 33), (7, 1000), (2, 3, 17), (2, 50257), (0, 4)]


def scaled(scale):
    return lambda rng, shape: scale * rng.standard_normal(shape)


def cases(targets):
    """Logits of three sizes; the largest make all but one probability 0."""
    for scale in (1, 100, 1e4):
        for shape in SHAPES:
            x = Operand(shape, scaled(scale))
            yield Case(x, targets(shape), gradient=scale == 1 and shape[-1] < 2000, note=f"{scale:g}")


def labels(shape):
    return index(shape[:-1], shape[-1], negative=False)


def weights(shape):
    return Operand(shape, lambda rng, s: np.abs(rng.standard_normal(s)))


KINDS = [("sparse_softmax_cross_entropy", sparse, labels), ("softmax_cross_entropy", dense, weights)]
GRADIENTS = [
    ("sparse_softmax_cross_entropy_gradient", sparse_gradient, labels),
    ("softmax_cross_entropy_gradient", dense_gradient, weights),
]
OPS = [
    *(
        Op(
            name, meaning, list(cases(targets)), epsilons=1, error=error(meaning), gradient_epsilons=gradient_error,
            rows=(0, 1),
        )
        for name, meaning, targets in KINDS
    ),
    *(
        Op(
            name, meaning, [Case(s, targets(s), s[:-1], gradient=s[-1] < 2000) for s in SHAPES], epsilons=1,
            error=gradient_size, gradient_epsilons=400, rows=(0, 1, 2), call=with_statistics(name),
        )
        for name, meaning, targets in GRADIENTS
    ),
]  # fmt: skip
