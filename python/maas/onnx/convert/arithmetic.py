"""Quotients, remainders and powers, which differ between integers and floats."""

from maas import _core, ops
from maas.onnx.convert.common import is_float, is_signed, like
from maas.onnx.registry import converts


def truncated_quotient(a, b):
    """`a / b` of integers, rounded toward zero."""
    down = _core.floor_divide(a, b)
    if not is_signed(a):
        return down
    rest = _core.subtract(a, _core.multiply(down, b))
    up = _core.logical_and(
        _core.not_equal(rest, like(0, a)), _core.not_equal(_core.less(a, like(0, a)), _core.less(b, like(0, a)))
    )
    return _core.add(down, _core.cast(up, dtype=a.dtype))


@converts("Div")
def div(call, a, b):
    if a.dtype != b.dtype:
        raise TypeError(f"both operands must have one dtype, received {a.dtype} and {b.dtype}")
    return _core.divide(a, b) if is_float(a) else truncated_quotient(a, b)


@converts("Mod")
def mod(call, a, b):
    """The remainder has the sign of the divisor, with `fmod` that of the dividend."""
    return ops.fmod(a, b) if call.attr("fmod", 0) else _core.mod(a, b)


@converts("Pow")
def power(call, x, y):
    dtype = x.dtype
    if y.dtype != dtype:
        if is_float(y) and not is_float(x):
            # An integer to a floating power, cut off to an integer.
            return ops.cast(_core.power(ops.cast(x, "float64"), ops.cast(y, "float64")), dtype)
        y = ops.cast(y, dtype)
    return _core.power(x, y)
