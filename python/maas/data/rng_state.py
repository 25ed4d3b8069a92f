"""The random state that the order of data comes from: NumPy's and Python's global generators."""

import random

import numpy as np


def get():
    """The state of both generators."""
    return np.random.get_state(), random.getstate()


def set(state):
    """Go back to a state."""
    np.random.set_state(state[0])
    random.setstate(state[1])


def to_json(state):
    """A state as plain lists."""
    (name, keys, *rest), (version, internal, gauss) = state
    return [[name, np.asarray(keys).tolist(), *rest], [version, list(internal), gauss]]


def from_json(value):
    """The state that `to_json` wrote.

    Raises:
        ValueError: if it is none that the generators take.
    """
    try:
        (name, keys, *rest), (version, internal, gauss) = value
        state = (name, np.asarray(keys, "uint32"), *rest), (version, tuple(internal), gauss)
        np.random.RandomState().set_state(state[0])
        random.Random().setstate(state[1])
    except (TypeError, ValueError, OverflowError, KeyError, IndexError) as e:
        raise ValueError(f"random state: it does not fit ({e}), received {type(value).__name__}") from None
    return state
