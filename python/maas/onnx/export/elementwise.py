"""Elementwise functions."""

import math

from maas.backend import result_type
from maas.onnx.dtypes import dtype_code
from maas.onnx.export.writer import writes

_SAME = {
    "identity": "Identity", "copy": "Identity", "stop_gradient": "Identity", "negative": "Neg", "absolute": "Abs",
    "sign": "Sign", "sqrt": "Sqrt", "reciprocal": "Reciprocal", "exp": "Exp", "log": "Log", "sin": "Sin",
    "cos": "Cos", "tan": "Tan", "tanh": "Tanh", "sinh": "Sinh", "cosh": "Cosh", "arctan": "Atan", "arcsin": "Asin",
    "arccos": "Acos", "arcsinh": "Asinh", "arccosh": "Acosh", "arctanh": "Atanh", "erf": "Erf", "sigmoid": "Sigmoid",
    "softplus": "Softplus", "softsign": "Softsign", "relu": "Relu", "floor": "Floor", "ceil": "Ceil",
    "round": "Round", "isnan": "IsNaN", "isinf": "IsInf", "logical_not": "Not",
}  # fmt: skip
_PAIRS = {
    "add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div", "power": "Pow", "maximum": "Max",
    "minimum": "Min", "equal": "Equal", "greater": "Greater", "greater_equal": "GreaterOrEqual", "less": "Less",
    "less_equal": "LessOrEqual", "logical_and": "And", "logical_or": "Or", "logical_xor": "Xor",
    "bitwise_and": "BitwiseAnd", "bitwise_or": "BitwiseOr", "bitwise_xor": "BitwiseXor",
}  # fmt: skip
_OF_BOOLS = {"add": "Or", "multiply": "And", "maximum": "Or", "minimum": "And"}
_WHOLE = {"floor", "ceil", "round"}


@writes(*_SAME)
def same(w, n):
    x = n.inputs[0]
    if n.op in _WHOLE and "float" not in x.dtype:
        return w.emit("Identity", [x])
    return w.emit(_SAME[n.op], [x])


def _common(w, n):
    """Operands in one dtype: where the graph promotes, ONNX wants a cast."""
    dtype = result_type(*(v.dtype for v in n.inputs[-2:]))
    return dtype, [w.cast(v, dtype) for v in n.inputs[-2:]]


@writes(*_PAIRS, "not_equal")
def pair(w, n):
    dtype, operands = _common(w, n)
    if n.op == "not_equal":
        return w.emit("Not", [w.emit("Equal", operands)])
    if dtype == "bool" and n.op in _OF_BOOLS:
        return w.emit(_OF_BOOLS[n.op], operands)
    return w.emit(_PAIRS[n.op], operands)


@writes("floor_divide", "mod")
def quotient(w, n):
    dtype, (a, b) = _common(w, n)
    if n.op == "mod" and "float" not in dtype:
        return w.emit("Mod", [a, b])
    if "float" in dtype:
        q = w.emit("Floor", [w.emit("Div", [a, b])])
    else:
        # ONNX cuts off integer quotients; (a - a mod b) / b is exact.
        q = w.emit("Div", [w.emit("Sub", [a, w.emit("Mod", [a, b])]), b])
    return q if n.op == "floor_divide" else w.emit("Sub", [a, w.emit("Mul", [q, b])])


@writes("where")
def where(w, n):
    dtype, (a, b) = _common(w, n)
    return w.emit("Where", [w.cast(n.inputs[0], "bool"), a, b])


@writes("to_bool")
def to_bool(w, n):
    return w.cast(n.inputs[0], "bool")


@writes("cast")
def cast(w, n):
    return w.emit("Cast", n.inputs, to=dtype_code(n.outputs[0].dtype))


@writes("round_bf16", "round_f16")
def rounded(w, n):
    short = w.emit("Cast", n.inputs, to=dtype_code("bfloat16" if n.op == "round_bf16" else "float16"))
    return w.emit("Cast", [short], to=dtype_code(n.outputs[0].dtype))


def _number(w, value, x):
    return w.constant(value, x.dtype)


@writes("square")
def square(w, n):
    return w.emit("Mul", [n.inputs[0], n.inputs[0]])


@writes("rsqrt")
def rsqrt(w, n):
    return w.emit("Reciprocal", [w.emit("Sqrt", n.inputs)])


@writes("expm1", "log1p", "log2")
def logarithms(w, n):
    x = n.inputs[0]
    if n.op == "expm1":
        return w.emit("Sub", [w.emit("Exp", [x]), _number(w, 1.0, x)])
    if n.op == "log2":
        return w.emit("Mul", [w.emit("Log", [x]), _number(w, 1 / math.log(2), x)])
    return w.emit("Log", [w.emit("Add", [x, _number(w, 1.0, x)])])


@writes("trunc")
def trunc(w, n):
    x = n.inputs[0]
    if "float" not in x.dtype:
        return w.emit("Identity", [x])
    return w.emit("Mul", [w.emit("Sign", [x]), w.emit("Floor", [w.emit("Abs", [x])])])


@writes("isfinite")
def isfinite(w, n):
    return w.emit("Not", [w.emit("Or", [w.emit("IsNaN", n.inputs), w.emit("IsInf", n.inputs)])])


@writes("log_sigmoid")
def log_sigmoid(w, n):
    return w.emit("Neg", [w.emit("Softplus", [w.emit("Neg", n.inputs)])])


@writes("silu")
def silu(w, n):
    return w.emit("Mul", [n.inputs[0], w.emit("Sigmoid", n.inputs)])


@writes("gelu_erf", "gelu_tanh")
def gelu(w, n):
    return w.emit("Gelu", n.inputs, approximate="tanh" if n.op == "gelu_tanh" else "none")


@writes("relu6")
def relu6(w, n):
    x = n.inputs[0]
    return w.emit("Clip", [x, _number(w, 0.0, x), _number(w, 6.0, x)])


@writes("hard_sigmoid")
def hard_sigmoid(w, n):
    return w.emit("HardSigmoid", n.inputs, alpha=1 / 6, beta=0.5)


@writes("selu")
def selu(w, n):
    return w.emit("Selu", n.inputs)


@writes("elu", "leaky_relu")
def sloped(w, n):
    dtype, (x, slope) = _common(w, n)
    zero = w.constant(0.0, dtype)
    below = x
    if n.op == "elu":
        below = w.emit("Sub", [w.emit("Exp", [w.emit("Min", [x, zero])]), w.constant(1.0, dtype)])
    return w.emit("Where", [w.emit("Greater", [x, zero]), x, w.emit("Mul", [below, slope])])


@writes("relu_gradient")
def relu_gradient(w, n):
    dtype, (dy, y) = _common(w, n)
    zero = w.constant(0.0, dtype)
    return w.emit("Where", [w.emit("Greater", [y, zero]), dy, zero])


@writes("arctan2")
def arctan2(w, n):
    """`atan(y / x)`, turned by half a circle left of the axis."""
    dtype, (y, x) = _common(w, n)
    zero, half = w.constant(0.0, dtype), w.constant(math.pi, dtype)
    turn = w.emit("Where", [w.emit("Less", [y, zero]), w.emit("Neg", [half]), half])
    angle = w.emit("Atan", [w.emit("Div", [y, x])])
    angle = w.emit("Where", [w.emit("Less", [x, zero]), w.emit("Add", [angle, turn]), angle])
    still = w.emit("And", [w.emit("Equal", [y, zero]), w.emit("Equal", [x, zero])])
    return w.emit("Where", [still, zero, angle])
