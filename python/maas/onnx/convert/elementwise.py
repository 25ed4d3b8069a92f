"""Functions of one or several values: logic, comparisons, roundings, trigonometry."""

from maas import _core, ops
from maas.onnx.convert.common import is_float, is_signed, like
from maas.onnx.registry import converts
from maas.onnx.trace import is_known

_UNARY = {
    "Abs": "absolute", "Acos": "arccos", "Acosh": "arccosh", "Asin": "arcsin", "Asinh": "arcsinh", "Atan": "arctan",
    "Atanh": "arctanh", "Ceil": "ceil", "Cos": "cos", "Cosh": "cosh", "Erf": "erf", "Exp": "exp", "Floor": "floor",
    "IsNaN": "isnan", "Log": "log", "Neg": "negative", "Not": "logical_not", "Reciprocal": "reciprocal",
    "Round": "round", "Sign": "sign", "Sin": "sin", "Sinh": "sinh", "Sqrt": "sqrt", "Tan": "tan", "Tanh": "tanh",
}  # fmt: skip
_BINARY = {
    "Add": "add", "Sub": "subtract", "Mul": "multiply", "And": "logical_and", "Or": "logical_or",
    "Xor": "logical_xor", "Equal": "equal", "Greater": "greater", "GreaterOrEqual": "greater_equal", "Less": "less",
    "LessOrEqual": "less_equal", "BitwiseAnd": "bitwise_and", "BitwiseOr": "bitwise_or", "BitwiseXor": "bitwise_xor",
}  # fmt: skip


@converts(*_UNARY)
def unary(call, x):
    return getattr(_core, _UNARY[call.op])(x)


@converts(*_BINARY)
def binary(call, a, b):
    if a.dtype != b.dtype:
        raise TypeError(f"both operands must have one dtype, received {a.dtype} and {b.dtype}")
    return getattr(_core, _BINARY[call.op])(a, b)


@converts("BitwiseNot")
def bitwise_not(call, x):
    return ops.bitwise_not(x)


@converts("Identity")
def identity(call, x):
    return x


@converts("IsInf")
def is_inf(call, x):
    below, above = call.attr("detect_negative", 1), call.attr("detect_positive", 1)
    found = _core.isinf(x)
    if not below:
        found = _core.logical_and(found, _core.greater(x, like(0, x)))
    if not above:
        found = _core.logical_and(found, _core.less(x, like(0, x)))
    return found


@converts("Max", "Min", "Sum", "Mean")
def several(call, *xs):
    name = {"Max": "maximum", "Min": "minimum"}.get(call.op, "add")
    y = xs[0]
    for x in xs[1:]:
        y = getattr(_core, name)(y, x)
    return _core.multiply(y, like(1.0 / len(xs), y)) if call.op == "Mean" else y


@converts("Where")
def where(call, condition, a, b):
    return _core.where(condition, a, b)


def _limits(call, x, low, high):
    """(low, high) of floats where both are known before the program runs."""
    if not is_float(x) or call.opset < 11:
        return (call.attr("min"), call.attr("max")) if call.opset < 11 else None
    return tuple(v.numpy().item() for v in (low, high)) if is_known(low) and is_known(high) else None


@converts("Clip")
def clip(call, x, low=None, high=None):
    if _limits(call, x, low, high) == (0, 6):
        return _core.relu6(x)  # which products and convolutions do in registers
    for name, value, function in (("min", low, _core.maximum), ("max", high, _core.minimum)):
        if value is None and call.opset < 11 and call.attr(name) is not None:
            value = like(call.attr(name), x)
        if value is not None:
            x = function(x, value)
    return x


@converts("BitShift")
def bit_shift(call, x, y):
    """By products and quotients of powers of two: exact in integers.

    A distance below 0, or of all bits or more, leaves nothing but the sign of a value that moves right.
    """
    bits = int(x.dtype.lstrip("uint"))
    left = call.need("direction") == "LEFT"
    zero = like(0, x)
    end = (
        zero
        if left or not is_signed(x)
        else _core.floor_divide(_core.floor_divide(x, like(2 ** (bits - 2), x)), like(4, x))
    )
    far = _core.greater_equal(y, like(bits, y))
    if is_signed(y):
        far = _core.logical_or(far, _core.less(y, like(0, y)))
    places = _core.where(far, like(0, y), y)
    # Bit by bit of the distance: no power in floating point.
    for k in range(bits.bit_length() - 1):
        on = _core.equal(_core.mod(_core.floor_divide(places, like(2**k, y)), like(2, y)), like(1, y))
        # Half of the distance twice: 2 to the power of all of it may not fit.
        moved = x
        for half in ((2**k) // 2, (2**k) - (2**k) // 2) if k else (1,):
            step = like(2**half, x)
            moved = _core.multiply(moved, step) if left else _core.floor_divide(moved, step)
        x = _core.where(on, moved, x)
    return _core.where(far, end, x)
