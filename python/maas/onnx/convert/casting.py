"""Casts: between dtypes, and of bits."""

from maas import ops
from maas.onnx.convert.common import is_float
from maas.onnx.dtypes import dtype_name
from maas.onnx.registry import converts


def cast_to(x, dtype, saturate=True):
    """`x` in `dtype`; float8 stops at its largest value, or with `saturate=False` becomes infinite or NaN."""
    if x.dtype == dtype:
        return x
    if dtype.startswith("float8") and saturate:
        return ops.saturate_cast(x, dtype)
    if dtype == "int4":
        # Integers keep their low bits; floats are cut off first.
        return ops.cast(ops.cast(x, "int32") if is_float(x) else x, dtype)
    return ops.cast(x, dtype)


@converts("Cast")
def cast(call, x):
    return cast_to(x, dtype_name(call.need("to"), "the result"), bool(call.attr("saturate", 1)))


@converts("CastLike")
def cast_like(call, x, other):
    return cast_to(x, other.dtype, bool(call.attr("saturate", 1)))
