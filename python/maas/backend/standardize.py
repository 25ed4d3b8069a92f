"""One form for shapes (tuple of int or None) and dtypes (str)."""

import numpy as np

DTYPES = (
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "bfloat16", "float16", "float32", "float64", "float8_e4m3fn", "float8_e5m2", "int4", "string",
)  # fmt: skip


def standardize_dtype(dtype):
    """The name of a dtype: `np.float32`, `"float32"`, `float` and a tensor's dtype all become a str.

    Args:
        dtype: str, NumPy dtype or scalar type, `float`, `int`, `bool`, or None for the default float dtype.

    Raises:
        ValueError: for anything that is not a dtype of this package.
    """
    if type(dtype) is str and dtype in _KNOWN:
        return dtype
    if dtype is None or dtype is float:
        from maas.backend.config import floatx

        return floatx()
    if dtype is bool:
        return "bool"
    if dtype is int:
        return "int32"
    if dtype is str:
        return "string"
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = getattr(dtype, "name", None) or str(dtype).rsplit(".", 1)[-1]
    if name.startswith("str"):
        name = "string"
    if name not in _KNOWN:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, received {dtype!r}")
    return name


_KNOWN = frozenset(DTYPES)


def is_float_dtype(dtype):
    """True for float16, bfloat16, float32, float64 and the two float8."""
    return "float" in standardize_dtype(dtype)


def numpy_dtype(dtype):
    """The NumPy dtype that holds every value of a dtype: its own, float32 for bfloat16 and float8, int8 for int4."""
    name = standardize_dtype(dtype)
    return np.dtype(_HOLDS.get(name, name))


_HOLDS = {"bfloat16": "float32", "float8_e4m3fn": "float32", "float8_e5m2": "float32", "int4": "int8"}


def standardize_shape(shape, owner="shape"):
    """Tuple of sizes, where None stands for an unknown size.

    Raises:
        ValueError: for None, for a negative size, or for an entry that is neither int nor None.
    """
    if not isinstance(shape, (tuple, list)):
        if shape is None:
            raise ValueError(f"{owner}: a shape must be a tuple of sizes, received None")
        try:
            shape = tuple(shape)
        except TypeError:
            raise ValueError(f"{owner}: a shape must be a tuple of sizes, received {shape!r}") from None
    out = []
    for d in shape:
        if d is not None:
            if isinstance(d, bool) or not hasattr(d, "__index__"):
                raise ValueError(f"{owner}: sizes must be int or None, received {d!r} in shape {tuple(shape)}")
            d = d.__index__()
            if d < 0:
                raise ValueError(f"{owner}: sizes must not be negative, received shape {tuple(shape)}")
        out.append(d)
    return tuple(out)
