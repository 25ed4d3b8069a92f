"""Elementwise functions. Operands broadcast as in NumPy and meet in Keras's `result_type`.

Python numbers take the tensor's dtype.
"""

from maas import _core
from maas.backend import result_type
from maas.backend.config import floatx
from maas.backend.standardize import is_float_dtype
from maas.backend.symbolic import op
from maas.ops.core import as_tensor, cast

_UNARY = {
    "negative": "-x",
    "absolute": "|x|",
    "sign": "-1, 0 or 1",
    "square": "x^2",
    "sqrt": "x^(1/2)",
    "rsqrt": "x^(-1/2)",
    "reciprocal": "1/x",
    "exp": "e^x",
    "expm1": "e^x - 1, exact near 0",
    "log": "ln(x)",
    "log1p": "ln(1 + x), exact near 0",
    "log2": "log2(x)",
    "sin": "sin(x), radians",
    "cos": "cos(x), radians",
    "tan": "tan(x), radians",
    "tanh": "tanh(x)",
    "sinh": "sinh(x)",
    "cosh": "cosh(x)",
    "arctan": "atan(x)",
    "arcsin": "asin(x)",
    "arccos": "acos(x)",
    "arcsinh": "asinh(x)",
    "arccosh": "acosh(x)",
    "arctanh": "atanh(x)",
    "erf": "2/sqrt(pi) * integral of exp(-t^2) from 0 to x",
    "sigmoid": "1 / (1 + e^-x)",
    "log_sigmoid": "ln(sigmoid(x))",
    "softplus": "ln(1 + e^x)",
    "softsign": "x / (1 + |x|)",
    "relu": "max(x, 0)",
    "relu6": "min(max(x, 0), 6)",
    "silu": "x * sigmoid(x)",
    "selu": "scale * elu(x, alpha), Klambauer et al., 2017, arXiv:1706.02515",
    "hard_sigmoid": "min(max(x/6 + 1/2, 0), 1)",
    "floor": "the largest integer <= x",
    "ceil": "the smallest integer >= x",
    "trunc": "x without its fraction",
    "isnan": "x is NaN",
    "isinf": "x is infinite",
    "isfinite": "x is neither NaN nor infinite",
    "logical_not": "not x",
}
_BINARY = {
    "add": "x1 + x2",
    "subtract": "x1 - x2",
    "multiply": "x1 * x2",
    "divide": "x1 / x2",
    "floor_divide": "floor(x1 / x2)",
    "mod": "x1 - floor(x1 / x2) * x2",
    "power": "x1^x2",
    "arctan2": "the angle of (x2, x1), in (-pi, pi]",
    "maximum": "the larger, NaN if either is",
    "minimum": "the smaller, NaN if either is",
    "equal": "x1 == x2",
    "not_equal": "x1 != x2",
    "greater": "x1 > x2",
    "greater_equal": "x1 >= x2",
    "less": "x1 < x2",
    "less_equal": "x1 <= x2",
    "logical_and": "x1 and x2",
    "logical_or": "x1 or x2",
    "logical_xor": "one of x1 and x2, not both",
}


def _unary(name, formula):
    run = getattr(_core, name)
    if name.startswith("logical"):

        def function(x):
            return run(cast(x, "bool"))
    elif name in ("floor", "ceil"):

        def function(x):
            x = as_tensor(x)
            return run(x if is_float_dtype(x.dtype) else cast(x, floatx()))
    elif name in ("absolute", "trunc"):

        def function(x):
            x = as_tensor(x)
            return x if x.dtype == "bool" else run(x)
    else:

        def function(x):
            return run(x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`y = {formula}`, element by element.\n\n    Args:\n        x: Tensor."
    return op(function)


def _binary(name, formula):
    run = getattr(_core, name)

    def function(x1, x2):
        return run(x1, x2)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"`y = {formula}`, element by element.\n\n    Args:\n        x1, x2: Tensors that broadcast.\n\n"
        "    Raises:\n        ValueError: if the shapes do not broadcast."
    )
    return op(function)


for _name, _formula in _UNARY.items():
    globals()[_name] = _unary(_name, _formula)
for _name, _formula in _BINARY.items():
    globals()[_name] = _binary(_name, _formula)

abs = globals()["absolute"]
swish = globals()["silu"]
true_divide = globals()["divide"]


@op
def clip(x, x_min, x_max):
    """`y = min(max(x, x_min), x_max)`."""
    return _core.minimum(_core.maximum(x, x_min), x_max)


@op
def where(condition, x1=None, x2=None):
    """`x1` where the condition holds, else `x2`; broadcasting. The condition alone: the indices where it holds.

    Raises:
        ValueError: if only one of `x1` and `x2` is given.
    """
    if x1 is None and x2 is None:
        from maas.ops.select import nonzero

        return nonzero(condition)
    if x1 is None or x2 is None:
        raise ValueError("where: x1 and x2 are needed together, received one of them")
    return _core.where(condition, x1, x2)


@op
def leaky_relu(x, negative_slope=0.2):
    """`y = x` for x > 0, else `negative_slope * x`."""
    return _core.leaky_relu(x, float(negative_slope))


@op
def elu(x, alpha=1.0):
    """`y = x` for x > 0, else `alpha * (e^x - 1)`. Clevert et al., 2015, arXiv:1511.07289."""
    return _core.elu(x, float(alpha))


@op
def gelu(x, approximate=True):
    """`y = x * P(X <= x)` for a standard normal X; `approximate` uses its tanh form.

    Reference: Hendrycks and Gimpel, 2016, "Gaussian error linear units (GELUs)", arXiv:1606.08415.
    """
    return _core.gelu_tanh(x) if approximate else _core.gelu_erf(x)


@op
def hard_silu(x):
    """`y = x * hard_sigmoid(x)`."""
    return _core.multiply(x, _core.hard_sigmoid(x))


hard_swish = hard_silu


@op
def round(x, decimals=0):
    """Nearest number with `decimals` digits; halves go to the even neighbour."""
    if decimals == 0:
        return _core.round(x)
    scale = 10.0**decimals
    return _core.round(as_tensor(x) * scale) / scale


@op
def logaddexp(x1, x2):
    """`y = ln(e^x1 + e^x2)` without overflow."""
    x1, x2 = as_tensor(x1), as_tensor(x2)
    if not is_float_dtype(result_type(x1.dtype, x2.dtype)):
        x1, x2 = cast(x1, floatx()), cast(x2, floatx())
    # Equal operands differ by 0 also where they are infinite; else an infinite one is the larger, or weighs nothing.
    apart = _core.where(_core.equal(x1, x2), 0.0, _core.subtract(x1, x2))
    return _core.maximum(x1, x2) + _core.log1p(_core.exp(-_core.absolute(apart)))


@op
def squared_difference(x1, x2):
    """`y = (x1 - x2)^2`."""
    return _core.square(_core.subtract(x1, x2))


__all__ = [
    *_UNARY,
    *_BINARY,
    "abs",
    "clip",
    "elu",
    "gelu",
    "hard_silu",
    "hard_swish",
    "leaky_relu",
    "logaddexp",
    "round",
    "squared_difference",
    "swish",
    "true_divide",
    "where",
]
