"""Smaller elementwise functions, composed of others. Complex numbers do not exist here, so every `x` is real."""

import math

from maas import _core
from maas.backend import is_float_dtype, result_type
from maas.backend.symbolic import op
from maas.ops.core import _LIMITS, as_tensor, cast, floating, zeros_like
from maas.ops.views import split

__all__ = [
    "angle", "bitwise_left_shift", "bitwise_right_shift", "cbrt", "celu", "conj", "conjugate", "deg2rad", "exp2",
    "fabs", "fmax", "fmin", "fmod", "gcd", "glu", "hard_shrink", "hard_tanh", "heaviside", "hypot", "imag",
    "isneginf", "isposinf", "isreal", "lcm", "ldexp", "left_shift", "logaddexp2", "nextafter", "rad2deg", "real",
    "right_shift", "signbit", "sinc", "soft_shrink", "sparse_plus", "sparse_sigmoid", "squareplus", "tanh_shrink",
    "threshold",
]  # fmt: skip


def _pair(x1, x2, floats=False):
    """Both operands in the dtype in which they meet."""
    x1, x2 = as_tensor(x1), as_tensor(x2)
    dtype = result_type(x1.dtype, x2.dtype, float) if floats else result_type(x1.dtype, x2.dtype)
    return cast(x1, dtype), cast(x2, dtype)


def _even(x):
    """`|x|` whose slope at 0 is 1, for functions that are reflected there."""
    return _core.where(_core.less(x, 0), _core.negative(x), x)


@op
def real(x):
    """The real part: `x` itself."""
    return as_tensor(x)


@op
def imag(x):
    """The imaginary part: zeros."""
    return zeros_like(as_tensor(x))


@op
def conjugate(x):
    """The complex conjugate: `x` itself."""
    return as_tensor(x)


conj = conjugate


@op
def isreal(x):
    """Whether the imaginary part is 0: True everywhere."""
    return _core.equal(zeros_like(as_tensor(x)), 0)


@op
def angle(x):
    """The angle of a real number in the complex plane: pi below 0 and for -0.0, else 0; NaN stays NaN."""
    x = floating(x)
    return _core.add(_core.where(signbit(x), cast(math.pi, x.dtype), 0.0), _core.where(_core.isnan(x), x, 0.0))


@op
def cbrt(x):
    """`y = x^(1/3)`, negative for negative `x`."""
    x = floating(x)
    size = _even(x)
    usable = _core.logical_and(_core.greater(size, 0.0), _core.isfinite(size))
    safe = _core.where(usable, size, cast(1.0, x.dtype))
    # 1/3 is no float: a step of Newton takes the error of the power away.
    y = _core.power(safe, 1.0 / 3.0)
    y = _core.add(y, _core.multiply(_core.subtract(_core.divide(safe, _core.multiply(y, y)), y), 1.0 / 3.0))
    return _core.where(usable, _core.where(_core.less(x, 0.0), _core.negative(y), y), x)


@op
def exp2(x):
    """`y = 2^x`."""
    x = floating(x)
    return _core.power(cast(2.0, x.dtype), x)


@op
def deg2rad(x):
    """Degrees as radians: `y = x pi / 180`."""
    return _core.multiply(floating(x), math.pi / 180)


@op
def rad2deg(x):
    """Radians as degrees: `y = x 180 / pi`."""
    return _core.multiply(floating(x), 180 / math.pi)


@op
def fabs(x):
    """`y = |x|` as a float."""
    return _core.absolute(floating(x))


def _without_nan(x1, x2, function):
    x1, x2 = _pair(x1, x2)
    y = function(x1, x2)
    if not is_float_dtype(x1.dtype):
        return y
    return _core.where(_core.isnan(x1), x2, _core.where(_core.isnan(x2), x1, y))


@op
def fmax(x1, x2):
    """The larger of both; of a NaN and a number the number."""
    return _without_nan(x1, x2, _core.maximum)


@op
def fmin(x1, x2):
    """The smaller of both; of a NaN and a number the number."""
    return _without_nan(x1, x2, _core.minimum)


@op
def fmod(x1, x2):
    """`y = x1 - trunc(x1 / x2) x2`: the remainder with the sign of `x1`."""
    x1, x2 = _pair(x1, x2)
    if x1.dtype == "bool":
        x1, x2 = cast(x1, "int32"), cast(x2, "int32")
    if x1.dtype.startswith("uint"):
        return _core.mod(x1, x2)
    if not is_float_dtype(x1.dtype):
        # The least integer has no absolute value: from the remainder with the sign of x2.
        y = _core.mod(x1, x2)
        turned = _core.logical_and(_core.not_equal(y, 0), _core.not_equal(_core.less(y, 0), _core.less(x1, 0)))
        return _core.where(turned, _core.subtract(y, x2), y)
    y = _core.mod(_even(x1), _even(x2))
    return _core.where(_core.less(x1, 0), _core.negative(y), y)


@op
def heaviside(x1, x2):
    """0 below 0, `x2` at 0, 1 above it; NaN stays NaN."""
    x1, x2 = _pair(x1, x2, floats=True)
    y = _core.where(_core.equal(x1, 0.0), x2, cast(_core.greater(x1, 0.0), x1.dtype))
    return _core.where(_core.isnan(x1), x1, y)


@op
def hypot(x1, x2):
    """`y = sqrt(x1^2 + x2^2)` without overflow."""
    x1, x2 = _pair(x1, x2, floats=True)
    a, b = _core.absolute(x1), _core.absolute(x2)
    scale = _core.stop_gradient(_core.maximum(a, b))
    usable = _core.logical_and(_core.greater(scale, 0.0), _core.isfinite(scale))
    scale = _core.where(usable, scale, cast(1.0, x1.dtype))
    root = _core.sqrt(_core.add(_core.square(_core.divide(a, scale)), _core.square(_core.divide(b, scale))))
    y = _core.multiply(scale, root)
    return _core.where(_core.logical_or(_core.isinf(a), _core.isinf(b)), cast(math.inf, x1.dtype), y)


@op
def isposinf(x):
    """Whether `x` is positive infinity."""
    x = as_tensor(x)
    return _core.logical_and(_core.isinf(x), _core.greater(x, 0))


@op
def isneginf(x):
    """Whether `x` is negative infinity."""
    x = as_tensor(x)
    return _core.logical_and(_core.isinf(x), _core.less(x, 0))


@op
def signbit(x):
    """Whether `x` is negative; -0.0 is. A NaN's sign is not looked at: False."""
    x = as_tensor(x)
    if x.dtype == "bool":
        return _core.logical_and(x, False)
    if not is_float_dtype(x.dtype):
        return _core.less(x, 0)
    minus_zero = _core.logical_and(_core.equal(x, 0.0), _core.less(_core.reciprocal(x), 0.0))
    return _core.logical_or(_core.less(x, 0.0), minus_zero)


@op
def sinc(x):
    """`y = sin(pi x) / (pi x)`, 1 at 0."""
    x = _core.multiply(floating(x), math.pi)
    near = _core.less(_core.absolute(x), 1e-3)
    safe = _core.where(near, cast(1.0, x.dtype), x)
    # The series keeps value and slopes right where the quotient is 0 / 0.
    square = _core.square(_core.where(near, x, 0.0))
    series = _core.add(_core.multiply(_core.add(_core.multiply(square, 1 / 120), -1 / 6), square), 1.0)
    return _core.where(near, series, _core.divide(_core.sin(safe), safe))


@op
def ldexp(x1, x2):
    """`y = x1 2^x2`.

    Args:
        x1: Tensor.
        x2: Tensor of integers.

    Raises:
        TypeError: if `x2` holds no integers.
    """
    x1, x2 = floating(x1), as_tensor(x2)
    if is_float_dtype(x2.dtype) or x2.dtype == "bool":
        raise TypeError(f"ldexp: x2 must hold integers, received {x2.dtype}")
    # In three parts: 2^x2 may leave the range where the product does not.
    part = _core.floor_divide(x2, 3)
    rest = _core.subtract(x2, _core.multiply(part, 2))
    two = cast(2.0, x1.dtype)
    third = _core.power(two, cast(part, x1.dtype))
    return _core.multiply(_core.multiply(_core.multiply(x1, third), third), _core.power(two, cast(rest, x1.dtype)))


@op
def logaddexp2(x1, x2):
    """`y = log2(2^x1 + 2^x2)` without overflow."""
    x1, x2 = _pair(x1, x2, floats=True)
    apart = _core.where(_core.equal(x1, x2), 0.0, _core.subtract(x1, x2))
    small = _core.log1p(exp2(_core.negative(_core.absolute(apart))))
    return _core.add(_core.maximum(x1, x2), _core.multiply(small, 1 / math.log(2)))


def integers(name, x1, x2, truths=False):
    """Both operands in the integer dtype in which they meet; two bools stay bools with `truths`, else become int32.

    Raises:
        TypeError: for a floating operand.
    """
    a, b = _pair(x1, x2)
    if is_float_dtype(a.dtype):
        raise TypeError(f"{name}: integers are needed, received {as_tensor(x1).dtype} and {as_tensor(x2).dtype}")
    return (cast(a, "int32"), cast(b, "int32")) if a.dtype == "bool" and not truths else (a, b)


@op
def gcd(x1, x2):
    """The greatest common divisor of integers, by Euclid's method; of 0 and 0 it is 0."""
    from maas.ops.control import while_loop

    a, b = integers("gcd", x1, x2)
    if not a.dtype.startswith("uint"):
        a, b = _core.absolute(a), _core.absolute(b)
    a, b = _core.add(a, zeros_like(b)), _core.add(b, zeros_like(a))

    def step(a, b):
        rest = _core.equal(b, 0)
        return _core.where(rest, a, b), _core.where(rest, b, _core.mod(a, _core.where(rest, 1, b)))

    # A pair of Fibonacci numbers takes longest: 92 steps in 64 bits.
    return while_loop(lambda a, b: _core.any(_core.not_equal(b, 0), axis=[]), step, (a, b), maximum_iterations=92)[0]


@op
def lcm(x1, x2):
    """The least common multiple of integers, 0 if one is 0."""
    a, b = integers("lcm", x1, x2)
    divisor = gcd(a, b)
    y = _core.multiply(a, _core.floor_divide(b, _core.where(_core.equal(divisor, 0), 1, divisor)))
    return y if a.dtype.startswith("uint") else _core.absolute(y)


_BITS = {f"{u}int{n}": n for u in ("", "u") for n in (8, 16, 32, 64)}


@op
def bitwise_left_shift(x, y):
    """The bits of `x` moved `y` places up; what leaves the dtype is lost."""
    x, y = integers("bitwise_left_shift", x, y)
    inside = _core.logical_and(_core.greater_equal(y, 0), _core.less(y, _BITS[x.dtype]))
    factor = _core.power(cast(2, x.dtype), _core.where(inside, y, 0))
    return _core.where(inside, _core.multiply(x, factor), 0)


@op
def bitwise_right_shift(x, y):
    """The bits of `x` moved `y` places down: `floor(x / 2^y)`."""
    x, y = integers("bitwise_right_shift", x, y)
    most = _BITS[x.dtype] - (1 if x.dtype.startswith("uint") else 2)  # what 2^y can be in this dtype
    inside = _core.logical_and(_core.greater_equal(y, 0), _core.less_equal(y, most))
    moved = _core.floor_divide(x, _core.power(cast(2, x.dtype), _core.where(inside, y, 0)))
    return _core.where(inside, moved, _core.where(_core.less(x, 0), cast(-1, x.dtype), 0) if most % 2 == 0 else 0)


left_shift, right_shift = bitwise_left_shift, bitwise_right_shift


@op
def celu(x, alpha=1.0):
    """`y = max(x, 0) + min(alpha (e^(x / alpha) - 1), 0)`. Reference: Barron, 2017, arXiv:1704.07483."""
    x = floating(x)
    low = _core.expm1(_core.multiply(_core.minimum(x, 0.0), 1.0 / alpha))
    return _core.where(_core.greater(x, 0.0), x, _core.multiply(low, float(alpha)))


@op
def glu(x, axis=-1):
    """`y = a sigmoid(b)` for the halves `a` and `b` of `x` along `axis`. Reference: Dauphin et al., 2017,
    arXiv:1612.08083.

    Raises:
        ValueError: if the size of the axis is odd.
    """
    a, b = split(floating(x), 2, axis=axis)
    return _core.multiply(a, _core.sigmoid(b))


@op
def hard_shrink(x, threshold=0.5):
    """`y = x` where `|x| > threshold`, else 0."""
    x = floating(x)
    return _core.where(_core.greater(_core.absolute(x), float(threshold)), x, 0.0)


@op
def soft_shrink(x, threshold=0.5):
    """`y = sign(x) max(|x| - threshold, 0)`."""
    x, t = floating(x), float(threshold)
    below = _core.where(_core.less(x, -t), _core.add(x, t), 0.0)
    return _core.where(_core.greater(x, t), _core.subtract(x, t), below)


@op
def hard_tanh(x):
    """`y = min(max(x, -1), 1)`."""
    x = as_tensor(x)
    return _core.minimum(_core.maximum(cast(x, "int32") if x.dtype == "bool" else x, -1), 1)


@op
def tanh_shrink(x):
    """`y = x - tanh(x)`."""
    x = floating(x)
    return _core.subtract(x, _core.tanh(x))


@op
def threshold(x, threshold, default_value):
    """`y = x` where `x > threshold`, else `default_value`."""
    x = as_tensor(x)
    return _core.where(_core.greater(x, threshold), x, default_value)


@op
def squareplus(x, b=4):
    """`y = (x + sqrt(x^2 + b)) / 2`. Reference: Barron, 2021, arXiv:2112.11687."""
    x = floating(x)
    return _core.multiply(_core.add(x, _core.sqrt(_core.add(_core.square(x), float(b)))), 0.5)


@op
def sparse_plus(x):
    """`y = 0` up to -1, `((x + 1) / 2)^2` up to 1, then `x`."""
    x = floating(x)
    middle = _core.square(_core.multiply(_core.add(x, 1.0), 0.5))
    y = _core.where(_core.greater_equal(x, 1.0), x, middle)
    return _core.where(_core.less_equal(x, -1.0), 0.0, y)


@op
def sparse_sigmoid(x):
    """`y = min(max((x + 1) / 2, 0), 1)`."""
    return _core.minimum(_core.maximum(_core.multiply(_core.add(floating(x), 1.0), 0.5), 0.0), 1.0)


# Half of the distance from 1 to the next number, the smallest normal number, and a power of two that lifts
# numbers whose steps would be denormals.
_STEPS = {
    "float64": (2.0**-53, 2.0**-1022, 2.0**128), "float32": (2.0**-24, 2.0**-126, 2.0**48),
    "float16": (2.0**-11, 2.0**-14, 2.0**14), "bfloat16": (2.0**-8, 2.0**-126, 2.0**48),
}  # fmt: skip


@op
def nextafter(x1, x2):
    """The number next to `x1` on the way to `x2`, element by element; `x2` where both are equal, NaN where one is.

    Args:
        x1, x2: Tensors that broadcast; integers become floats.

    Denormal numbers count as zero in kernels, so the smallest normal number is next to 0.

    Reference: Rump et al., 2009, "Computing predecessor and successor in rounding to nearest".
    """
    a, b = _pair(x1, x2, floats=True)
    if a.dtype not in _STEPS:
        raise ValueError(f"nextafter: a float of 16, 32 or 64 bits is needed, received {a.dtype}")
    half, least, lift = _STEPS[a.dtype]

    def number(value):
        return _core.Tensor(value, a.dtype)

    low = _core.less(_core.absolute(a), number(4 * least / half))
    high = _core.where(low, _core.multiply(a, number(lift)), a)
    # A little more than half a step, so that rounding takes the next number; powers of two have a shorter step below.
    step = _core.multiply(_core.absolute(high), number(half * (1 + 2 * half)))
    up = _core.less(a, b)
    away = _core.add(high, _core.where(up, step, _core.negative(step)))
    away = _core.where(low, _core.multiply(away, number(1 / lift)), away)
    small = _core.less_equal(_core.absolute(a), number(least))
    to_zero = _core.logical_and(small, _core.equal(_core.less(a, 0.0), up))
    y = _core.where(_core.equal(a, 0.0), _core.where(up, number(least), number(-least)), away)
    y = _core.where(_core.logical_and(to_zero, _core.not_equal(a, 0.0)), _core.multiply(a, 0.0), y)
    most = number(_LIMITS[a.dtype][1])
    # From infinity the way back is the largest number.
    back = _core.where(_core.less(a, 0.0), _core.negative(most), most)
    y = _core.where(_core.equal(_core.absolute(a), float("inf")), back, y)
    return _core.where(_core.logical_or(_core.equal(a, b), _core.isnan(b)), b, y)
