"""Cases of cross entropies from logits and what they mean, in float64 NumPy."""

import numpy as np

SHAPES = [(1, 1), (3, 2), (5, 10), (4, 33), (7, 1000), (2, 3, 17), (2, 50257), (0, 4)]
SCALES = [1, 100, 1e4]
HOSTILE = [-1, 10, 2**40, -(2**62)]


def log_softmax(x):
    x = x.astype(np.float64)
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def sparse(x, labels):
    """Loss of every row, and d sum(loss) / dx."""
    log_p, at = log_softmax(x), labels[..., None]
    dx = np.exp(log_p)
    np.put_along_axis(dx, at, np.take_along_axis(dx, at, -1) - 1, -1)
    return -np.take_along_axis(log_p, at, -1)[..., 0], dx


def dense(x, targets):
    log_p, t = log_softmax(x), targets.astype(np.float64)
    return -(t * log_p).sum(-1), np.exp(log_p) * t.sum(-1, keepdims=True) - t
