"""What layers, optimizers and ops are built on: settings, variables, names, symbolic tensors."""

from maas import missing_names
from maas.backend.config import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    is_int_dtype,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from maas.backend.keras_tensor import KerasTensor
from maas.backend.naming import get_uid, name_scope
from maas.backend.standardize import is_float_dtype, numpy_dtype, standardize_dtype, standardize_shape
from maas.backend.variable import Variable


def is_keras_tensor(x):
    """True for the symbolic tensors of functional models."""
    return isinstance(x, KerasTensor)


def result_type(*dtypes):
    """The dtype in which values of these dtypes meet, by Keras's rules; int64 and float64 stay what they are.

    Args:
        *dtypes: str, None (the default float dtype), or Python's `int` and `float`, which ask for a number and for a
            floating dtype but for none in particular. None at all: the default float dtype.

    Raises:
        ValueError: for float8, which has to be cast by hand.
    """
    from maas import _core

    if not dtypes:
        return floatx()
    weak_int, weak_float = any(d is int for d in dtypes), any(d is float for d in dtypes)
    given = [standardize_dtype(d) for d in dtypes if d is not int and d is not float]
    return _core.result_type(given, weak_int=weak_int, weak_float=weak_float)


def clear_session(free_memory=True):
    """Start automatic names anew and give cached programs and free memory back."""
    from maas import _core
    from maas.backend.naming import reset_uids

    reset_uids()
    if free_memory:
        _core.trim_memory()


__all__ = [
    "KerasTensor",
    "Variable",
    "backend",
    "clear_session",
    "epsilon",
    "floatx",
    "get_uid",
    "image_data_format",
    "is_float_dtype",
    "is_int_dtype",
    "is_keras_tensor",
    "name_scope",
    "numpy_dtype",
    "result_type",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "standardize_dtype",
    "standardize_shape",
]

__getattr__ = missing_names.getattr_of(__name__)
