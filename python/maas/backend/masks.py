"""The mask that travels with a tensor from layer to layer: a bool tensor of shape (batch, time), True for real steps.

Tensors of the engine have no attributes of their own, so their masks are kept here, by identity, until the tensor dies.
"""

import functools
import weakref

from maas.backend.keras_tensor import KerasTensor

_masks = {}  # id of a tensor -> (weak reference to it, mask)


def get_keras_mask(x):
    """The mask of `x`, or None."""
    if isinstance(x, KerasTensor):
        return getattr(x, "_keras_mask", None)
    entry = _masks.get(id(x)) if _masks else None
    return entry[1] if entry is not None else None


def set_keras_mask(x, mask):
    """Give `x` a mask; None takes it away."""
    if isinstance(x, KerasTensor):
        x._keras_mask = mask
    elif mask is None:
        _masks.pop(id(x), None)
    else:
        _masks[id(x)] = (weakref.ref(x, functools.partial(_drop, id(x))), mask)


def _drop(key, _):
    _masks.pop(key, None)
