"""Conversion, dtypes, shapes and constants."""

import numpy as np

from maas import _core
from maas.backend.config import floatx
from maas.backend.standardize import is_float_dtype, standardize_dtype
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


def _is_sizes(x):
    """True for an unknown size, and for a list of sizes with one among them."""
    if isinstance(x, (list, tuple)):
        return any(isinstance(v, _core.Dim) for v in x) and all(isinstance(v, (int, _core.Dim)) for v in x)
    return isinstance(x, _core.Dim)


def _is_symbolic(x):
    """True for a value of the trace, or nested lists with one (or an unknown size) among them."""
    if isinstance(x, (list, tuple)):
        return any(_is_symbolic(v) for v in x)
    return isinstance(x, _core.Dim) or getattr(x, "is_symbolic", False)


def as_tensor(x, dtype=None):
    """`x` as a Tensor: a Variable reads as its value, Python floats become float32, ints int32."""
    if isinstance(x, _core.Tensor):
        return x
    if isinstance(x, _core.Variable):
        return x.value
    if _is_sizes(x):
        return _tensor_of_sizes(x, dtype)
    if isinstance(x, (list, tuple)) and any(_is_symbolic(v) for v in x):
        from maas import ops

        y = ops.stack([as_tensor(v) for v in x])
        return y if dtype is None else cast(y, dtype)
    if dtype is None:
        if isinstance(x, bool):
            dtype = "bool"
        elif isinstance(x, int):
            dtype = "int32"
        elif isinstance(x, (float, list, tuple)):
            value = np.asarray([np.asarray(v) if is_tensor(v) else v for v in x] if isinstance(x, (list, tuple)) else x)
            dtype = {"f": "float32", "i": "int32", "u": "int32", "O": "int32"}.get(value.dtype.kind)
            # Integers as Python wrote them are checked to fit; those of tensors in the list are not.
            if dtype != "int32" or any(is_tensor(v) for v in x):
                x = value
    return _core.Tensor(x, dtype)


def _tensor_of_sizes(sizes, dtype=None):
    """Sizes, some of them known only when the program runs, as an int32 tensor: a view of that shape says them."""
    if isinstance(sizes, _core.Dim):
        return cast(_core.reshape(_tensor_of_sizes([sizes]), shape=[]), dtype or "int32")
    zero, parts = _core.Tensor(0, "int32"), []
    for i in range(0, len(sizes), 8):
        parts.append(_core.shape_of(_core.broadcast_to(zero, shape=[as_size(s, "a size") for s in sizes[i : i + 8]])))
    return cast(parts[0] if len(parts) == 1 else _core.concatenate(*parts, axis=0), dtype or "int32")


def as_size(value, name):
    """A size as int or Dim: from an int, a Dim, or a scalar integer tensor that follows from shapes alone.

    Raises:
        TypeError: for a tensor whose value is not known before the program runs.
    """
    if isinstance(value, _core.Dim):
        return value
    if isinstance(value, _core.Variable) or hasattr(value, "__maas_variable__"):
        value = as_tensor(value)
    if is_tensor(value):
        known = value.size_values
        if known is None or len(known) != 1:
            raise TypeError(f"{name}: sizes must be known or follow from shapes, received {value!r}")
        return known[0]
    return int(value)


def as_sizes(shape, name):
    """A list of sizes (ints, Dims, -1 or None as they are) from a size, a sequence of sizes or a tensor of sizes."""
    if is_tensor(shape):
        known = shape.size_values
        if known is None:
            raise TypeError(f"{name}: sizes must be known or follow from shapes, received {shape!r}")
        return list(known)
    if isinstance(shape, _core.Dim) or hasattr(shape, "__index__"):
        return [as_size(shape, name)]
    return [s if s is None else as_size(s, name) for s in shape]


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
    **{f"uint{n}": (0, 2**n - 1) for n in (8, 16, 32, 64)},
    "float16": (-65504, 65504),
    "bfloat16": (-255 * 2.0**120, 255 * 2.0**120),
    "float32": (-float(np.finfo("float32").max), float(np.finfo("float32").max)),
    "float64": (-float(np.finfo("float64").max), float(np.finfo("float64").max)),
    "float8_e4m3fn": (-448, 448),
    "float8_e5m2": (-57344, 57344),
}


def floating(x):
    """`x` as a tensor of a floating dtype: integers become `floatx()`."""
    x = as_tensor(x)
    return x if is_float_dtype(x.dtype) else cast(x, floatx())


def wide(x):
    """`x` in a dtype to compute in: float32 or float64; integers and shorter floats become float32."""
    x = as_tensor(x)
    return x if x.dtype in ("float32", "float64") else cast(x, "float32")


def convert_to_tensor(x, dtype=None, sparse=None, ragged=None):
    """An array, number, Variable or nested list as a Tensor.

    Args:
        x: the value.
        dtype: str; default that of `x`, float32 for Python floats and int32 for ints.

    Raises:
        OverflowError: for Python's own integers, alone or in lists, that do not fit in the dtype. Those of an array are
            wrapped by an explicit dtype, as NumPy does.
    """
    if dtype is None:
        return as_tensor(x)
    dtype = standardize_dtype(dtype)
    if _is_sizes(x):
        return _tensor_of_sizes(x, dtype)
    if isinstance(x, (_core.Tensor, _core.Variable)):
        return cast(x, dtype)
    if isinstance(x, (list, tuple)) and _is_symbolic(x):
        return cast(as_tensor(x), dtype)
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
    sizes = as_sizes(shape, "full")
    return _core.broadcast_to(value, shape=sizes) if sizes else value


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
