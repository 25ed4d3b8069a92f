"""Conversion, dtypes, shapes and constants."""

import numpy as np

from maas import _core
from maas.backend.standardize import standardize_dtype
from maas.backend.symbolic import op

__all__ = [
    "cast",
    "convert_to_numpy",
    "convert_to_tensor",
    "empty",
    "full",
    "full_like",
    "is_tensor",
    "ones",
    "ones_like",
    "saturate_cast",
    "shape",
    "stop_gradient",
    "zeros",
    "zeros_like",
    "dtype",
]


def is_tensor(x):
    """True for tensors of the engine, concrete or symbolic."""
    return isinstance(x, _core.Tensor)


def as_tensor(x, dtype=None):
    """`x` as a Tensor: a Variable reads as its value, Python floats become float32, ints int32."""
    if isinstance(x, _core.Tensor):
        return x
    if isinstance(x, _core.Variable):
        return x.value
    if dtype is None:
        if isinstance(x, bool):
            dtype = "bool"
        elif isinstance(x, int):
            dtype = "int32"
        elif isinstance(x, (float, list, tuple)):
            value = np.asarray([np.asarray(v) if is_tensor(v) else v for v in x] if isinstance(x, (list, tuple)) else x)
            dtype = {"f": "float32", "i": "int32"}.get(value.dtype.kind)
            x = value
    return _core.Tensor(x, dtype)


@op
def cast(x, dtype):
    """`x` in another dtype: floats become integers by truncation, anything becomes bool by `!= 0`.

    Args:
        x: Tensor.
        dtype: str.
    """
    dtype = standardize_dtype(dtype)
    x = as_tensor(x)
    return x if x.dtype == dtype else _core.cast(x, dtype=dtype)


@op
def saturate_cast(x, dtype):
    """`x` in another dtype; values out of range become the nearest one that fits."""
    from maas.backend import is_float_dtype

    x, dtype = as_tensor(x), standardize_dtype(dtype)
    if dtype == x.dtype or x.dtype == "bool":
        return cast(x, dtype)
    low, high = _LIMITS[dtype]
    if is_float_dtype(x.dtype):
        # A limit that the floating dtype cannot hold is rounded up; the cast itself stops there.
        return cast(_core.minimum(_core.maximum(x, float(low)), float(high)), dtype)
    has = _LIMITS[x.dtype]
    if low > has[0]:
        x = _core.maximum(x, int(low))
    return cast(_core.minimum(x, int(high)) if high < has[1] else x, dtype)


# The least and the greatest value of every dtype.
_LIMITS = {
    "bool": (0, 1),
    **{f"int{n}": (-(2 ** (n - 1)), 2 ** (n - 1) - 1) for n in (4, 8, 16, 32, 64)},
    **{f"uint{n}": (0, 2**n - 1) for n in (8, 32)},
    "float16": (-65504, 65504),
    "bfloat16": (-255 * 2.0**120, 255 * 2.0**120),
    "float32": (-float(np.finfo("float32").max), float(np.finfo("float32").max)),
    "float64": (-float(np.finfo("float64").max), float(np.finfo("float64").max)),
    "float8_e4m3fn": (-448, 448),
}


def convert_to_tensor(x, dtype=None, sparse=None, ragged=None):
    """An array, number, Variable or nested list as a Tensor.

    Args:
        x: the value.
        dtype: str; default that of `x`, float32 for Python floats and int32 for ints.
    """
    if dtype is None:
        return as_tensor(x)
    dtype = standardize_dtype(dtype)
    if isinstance(x, (_core.Tensor, _core.Variable)):
        return cast(x, dtype)
    return _core.Tensor(x, dtype)


def convert_to_numpy(x):
    """A NumPy copy of a concrete tensor or Variable."""
    return x.numpy() if hasattr(x, "numpy") else np.asarray(x)


def dtype(x):
    """The dtype of `x` as a str."""
    return standardize_dtype(x.dtype if hasattr(x, "dtype") else np.asarray(x).dtype)


def shape(x):
    """Sizes of `x`: ints where they are known, symbolic sizes inside a trace, None for a KerasTensor's unknown ones."""
    if isinstance(x, _core.Tensor):
        return x.dims
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


@op
def stop_gradient(variable):
    """The value, through which no gradient flows."""
    return _core.stop_gradient(as_tensor(variable))


def _sizes(shape):
    return [shape] if hasattr(shape, "__index__") or isinstance(shape, _core.Dim) else list(shape)


@op
def full(shape, fill_value, dtype=None):
    """A tensor of one value.

    Args:
        shape: tuple of sizes.
        fill_value: number or tensor that broadcasts.
        dtype: str, default float32.
    """
    from maas.backend.config import floatx

    value = convert_to_tensor(fill_value, dtype or (floatx() if not hasattr(fill_value, "dtype") else None))
    return _core.broadcast_to(value, shape=_sizes(shape)) if _sizes(shape) else value


def zeros(shape, dtype=None):
    """A tensor of zeros, float32 by default."""
    return full(shape, 0, dtype)


def ones(shape, dtype=None):
    """A tensor of ones, float32 by default."""
    return full(shape, 1, dtype)


def empty(shape, dtype=None):
    """A tensor whose values do not matter (they are zeros)."""
    return zeros(shape, dtype)


@op
def full_like(x, fill_value, dtype=None):
    """One value in the shape and dtype of `x`."""
    x = as_tensor(x)
    return full(x.dims, fill_value, dtype or x.dtype)


@op
def zeros_like(x, dtype=None):
    """Zeros in the shape and dtype of `x`."""
    return full_like(x, 0, dtype)


@op
def ones_like(x, dtype=None):
    """Ones in the shape and dtype of `x`."""
    return full_like(x, 1, dtype)
