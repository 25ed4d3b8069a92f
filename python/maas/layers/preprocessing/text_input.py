"""Strings as users pass them, as nested lists of str."""

import numpy as np


def to_text(x, encoding, owner):
    """One value as str.

    Raises:
        TypeError: if it is no string.
    """
    if isinstance(x, str):
        return str(x)
    if isinstance(x, bytes):
        return x.decode(encoding)
    raise TypeError(f"{owner}: inputs must be strings, received {x!r} of type {type(x).__name__}")


def nested_text(inputs, encoding, owner):
    """Nested lists of str (or one str) from a str, bytes, list, NumPy array or anything with `__array__`."""
    if isinstance(inputs, (str, bytes)):
        return to_text(inputs, encoding, owner)
    if not isinstance(inputs, (list, tuple)):
        inputs = np.asarray(inputs).tolist()
        if not isinstance(inputs, list):
            return to_text(inputs, encoding, owner)
    return [nested_text(x, encoding, owner) for x in inputs]


def depth_of(nested):
    """Number of axes of nested lists; ragged rows count as one axis."""
    depth = 0
    while isinstance(nested, list):
        depth += 1
        nested = next((x for x in nested if x or not isinstance(x, list)), None)
    return depth
