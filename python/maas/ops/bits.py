"""Bits of integers."""

import numpy as np

from maas import _core
from maas.backend import is_float_dtype, result_type
from maas.backend.symbolic import op
from maas.ops.core import _LIMITS, as_tensor, cast

__all__ = [
    "bitwise_and",
    "bitwise_invert",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
]


def _integers(name, x1, x2):
    x1, x2 = as_tensor(x1), as_tensor(x2)
    dtype = result_type(x1.dtype, x2.dtype)
    if is_float_dtype(dtype):
        raise TypeError(f"{name}: integers are needed, received {x1.dtype} and {x2.dtype}")
    return cast(x1, dtype), cast(x2, dtype), dtype == "bool"


@op
def bitwise_and(x1, x2):
    """The bits that both integers have, element by element.

    Args:
        x1, x2: Tensors of integers or booleans that broadcast.
    """
    x1, x2, truth = _integers("bitwise_and", x1, x2)
    return _core.logical_and(x1, x2) if truth else _core.bitwise_and(x1, x2)


@op
def bitwise_or(x1, x2):
    """The bits that either integer has, element by element.

    Args:
        x1, x2: Tensors of integers or booleans that broadcast.
    """
    x1, x2, truth = _integers("bitwise_or", x1, x2)
    return _core.logical_or(x1, x2) if truth else _core.bitwise_or(x1, x2)


@op
def bitwise_xor(x1, x2):
    """The bits that one integer has and the other has not, element by element.

    Args:
        x1, x2: Tensors of integers or booleans that broadcast.
    """
    x1, x2, truth = _integers("bitwise_xor", x1, x2)
    return _core.logical_xor(x1, x2) if truth else _core.bitwise_xor(x1, x2)


@op
def bitwise_not(x):
    """The bits that the integer has not, element by element.

    Args:
        x: Tensor of integers or booleans.
    """
    x, _, truth = _integers("bitwise_not", x, x)
    if truth:
        return _core.logical_not(x)
    ones = _LIMITS[x.dtype][1] if x.dtype.startswith("uint") else -1
    return _core.bitwise_xor(x, cast(as_tensor(np.asarray(ones, "int64")), x.dtype))


@op
def bitwise_invert(x):
    """The same as `bitwise_not`."""
    return bitwise_not(x)
