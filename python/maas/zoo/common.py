"""What the families of the zoo share."""

import contextlib
import random

import numpy as np


@contextlib.contextmanager
def fixed_seed(seed):
    """Initializers inside draw their seeds from this one; the program's own random numbers stay as they were.

    Args:
        seed: int; None: nothing is fixed.
    """
    state = random.getstate()
    if seed is not None:
        random.seed(seed)
    try:
        yield
    finally:
        if seed is not None:
            random.setstate(state)


def randomize_statistics(model, seed=0):
    """Give every batch normalization numbers as after a training, in place of 0 and 1: mean and beta about N(0, 0.1),
    variance and gamma uniform around 1. What folds them into weights is then really tried.

    Args:
        model: a built model.
        seed: int.

    Returns:
        The model.
    """
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            for w in layer.weights:
                around = "gamma" in w.path or "variance" in w.path
                x = rng.uniform(0.7, 1.3, w.shape) if around else 0.1 * rng.standard_normal(w.shape)
                w.assign(x.astype("float32"))
        elif hasattr(layer, "layers"):
            randomize_statistics(layer, int(rng.integers(2**31)))
    return model
