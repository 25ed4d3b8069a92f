"""Functions of one or several values: logic, comparisons, roundings, trigonometry."""

from maas import _core, ops
from maas.onnx.convert.common import is_float, like
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
    """Bits that leave the dtype are lost; of distances beyond it nothing is left but the sign."""
    kind = call.need("direction")
    if kind not in ("LEFT", "RIGHT"):
        raise ValueError(f"direction must be LEFT or RIGHT, received {kind!r}")
    return (ops.bitwise_left_shift if kind == "LEFT" else ops.bitwise_right_shift)(x, y)
