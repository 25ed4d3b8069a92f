"""Small array helpers."""

import numpy as np


def to_categorical(x, num_classes=None):
    """One-hot rows of class numbers.

    Args:
        x: array-like of ints, any shape; a last axis of size 1 is dropped.
        num_classes: int; `max(x) + 1` by default.

    Returns:
        float64 array of shape (..., num_classes).

    Raises:
        ValueError: if a class number is not in [0, num_classes).
    """
    x = np.array(x, dtype="int64")
    shape = x.shape[:-1] if x.ndim > 1 and x.shape[-1] == 1 else x.shape
    x = x.reshape(-1)
    if not num_classes:
        if x.size == 0:
            raise ValueError(f"to_categorical: num_classes is needed for an empty array, received shape {x.shape}")
        num_classes = int(x.max()) + 1
    if x.size and (x.min() < 0 or x.max() >= num_classes):
        wrong = int(x.min() if x.min() < 0 else x.max())
        raise ValueError(f"to_categorical: class numbers must be in [0, {num_classes}), received {wrong}")
    out = np.zeros((x.size, num_classes))
    out[np.arange(x.size), x] = 1
    return out.reshape(*shape, num_classes)


def normalize(x, axis=-1, order=2):
    """`x / ||x||` along `axis`, with the norm of `order`; zero vectors stay zero."""
    x = np.asarray(x)
    norm = np.atleast_1d(np.linalg.norm(x, order, axis))
    norm[norm == 0] = 1
    return x / np.expand_dims(norm, axis)


def set_random_seed(seed):
    """Seeds Python's `random`, NumPy and the generators of this package.

    Args:
        seed: int in [0, 2^32).
    """
    import random

    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise ValueError(f"set_random_seed: seed must be an int in [0, 2**32), received seed={seed!r}")
    random.seed(int(seed))
    np.random.seed(int(seed))
    from maas import random as engine_random

    engine_random.set_global_seed(int(seed))
