"""Bits of integers."""

import numpy as np

from maas import _core
from maas.backend.symbolic import op
from maas.ops.core import _LIMITS, cast
from maas.ops.pointwise import integers

__all__ = [
    "bitwise_and",
    "bitwise_invert",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
]


@op
def bitwise_and(x1, x2):
    """The bits that both integers have, element by element.

    Args:
        x1, x2: Tensors of integers or booleans that broadcast.
    """
    x1, x2 = integers("bitwise_and", x1, x2, truths=True)
    return _core.logical_and(x1, x2) if x1.dtype == "bool" else _core.bitwise_and(x1, x2)


@op
def bitwise_or(x1, x2):
    """The bits that either integer has, element by element.

    Args:
        x1, x2: Tensors of integers or booleans that broadcast.
    """
    x1, x2 = integers("bitwise_or", x1, x2, truths=True)
    return _core.logical_or(x1, x2) if x1.dtype == "bool" else _core.bitwise_or(x1, x2)


@op
def bitwise_xor(x1, x2):
    """The bits that one integer has and the other has not, element by element.

    Args:
        x1, x2: Tensors of integers or booleans that broadcast.
    """
    x1, x2 = integers("bitwise_xor", x1, x2, truths=True)
    return _core.logical_xor(x1, x2) if x1.dtype == "bool" else _core.bitwise_xor(x1, x2)


@op
def bitwise_not(x):
    """The bits that the integer has not, element by element.

    Args:
        x: Tensor of integers or booleans.
    """
    x, _ = integers("bitwise_not", x, x, truths=True)
    if x.dtype == "bool":
        return _core.logical_not(x)
    ones = _LIMITS[x.dtype][1] if x.dtype.startswith("uint") else -1
    return _core.bitwise_xor(x, cast(np.asarray(ones, "int64"), x.dtype))


@op
def bitwise_invert(x):
    """The same as `bitwise_not`."""
    return bitwise_not(x)
