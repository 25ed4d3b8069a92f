"""Special functions, computed in float64 and stored in the tensor's dtype."""

import math

import numpy as np

from maas import _core
from maas.backend.config import floatx
from maas.backend.symbolic import op
from maas.ops.core import as_tensor, cast, floating
from maas.ops.pointwise import _even

__all__ = ["bartlett", "blackman", "erfc", "erfinv", "hamming", "hanning", "i0", "kaiser"]

# (1 + 2 x) e^(x^2) erfc(x) as a polynomial in t = (x - 3.75) / (x + 3.75), fitted at Chebyshev points to 5e-15.
_ERFC = (
    1.1775789345674024, -0.004590054580646392, -0.08424913336651788, 0.059209939998191956, -0.026658668435305757,
    0.009074997670705331, -0.002413163540417598, 0.0004907758365258826, -6.916973302497414e-05, 4.13902798613368e-06,
    7.740383066514241e-07, -2.1886401039204298e-07, 1.0764999476380518e-08, 4.521959882092189e-09,
    -7.754399764545816e-10, -6.318084206514006e-11, 2.8688007363714963e-11, 1.9463285704532828e-13,
    -9.654056092939708e-13, 3.259100669418775e-14, 3.354090830432528e-14,
)  # fmt: skip
# The inverse for a first guess: Giles, 2010, "Approximating the erfinv function", single precision.
_NEAR = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164,
    0.246640727, 1.50140941,
)  # fmt: skip
_FAR = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
    1.00167406, 2.83297682,
)  # fmt: skip


def _polynomial(coefficients, x):
    """Horner's rule, the highest power first."""
    y = _core.add(_core.multiply(x, 0.0), coefficients[0])
    for c in coefficients[1:]:
        y = _core.add(_core.multiply(y, x), c)
    return y


def _erfc_of_positive(a):
    # Beyond 28 even float64 has nothing left.
    a = _core.minimum(a, 28.0)
    t = _core.divide(_core.subtract(a, 3.75), _core.add(a, 3.75))
    # Clenshaw's rule for the sum of Chebyshev polynomials.
    last = before = _core.multiply(t, 0.0)
    for c in reversed(_ERFC[1:]):
        last, before = _core.add(_core.subtract(_core.multiply(_core.multiply(t, last), 2.0), before), c), last
    y = _core.add(_core.subtract(_core.multiply(t, last), before), _ERFC[0])
    decay = _core.exp(_core.negative(_core.square(a)))
    return _core.multiply(decay, _core.divide(y, _core.add(_core.multiply(a, 2.0), 1.0)))


@op
def erfc(x):
    """`y = 1 - erf(x)`, exact also where it is tiny."""
    x = floating(x)
    wide = cast(x, "float64")
    y = _erfc_of_positive(_even(wide))
    return cast(_core.where(_core.less(wide, 0.0), _core.subtract(2.0, y), y), x.dtype)


@op
def erfinv(x):
    """The `y` with `erf(y) = x`; infinite at -1 and 1, NaN beyond."""
    x = floating(x)
    wide = cast(x, "float64")
    a = _even(wide)
    inside = _core.less(a, 1.0)
    a = _core.where(inside, a, 0.0)
    w = _core.negative(_core.log1p(_core.negative(_core.square(a))))
    root = _core.sqrt(_core.where(_core.less(w, 5.0), 9.0, w))
    guess = _core.where(
        _core.less(w, 5.0), _polynomial(_NEAR, _core.subtract(w, 2.5)), _polynomial(_FAR, _core.subtract(root, 3.0))
    )
    y = _core.multiply(guess, a)
    for _ in range(2):  # Newton
        # Near 1 the difference of 1 - a and erfc keeps the digits that a - erf loses.
        off = _core.where(
            _core.greater(a, 0.5),
            _core.subtract(_core.subtract(1.0, a), _erfc_of_positive(y)),
            _core.subtract(_core.erf(y), a),
        )
        slope = _core.multiply(_core.exp(_core.square(y)), math.sqrt(math.pi) / 2)
        y = _core.subtract(y, _core.multiply(off, slope))
    outside = _core.where(_core.equal(_core.absolute(wide), 1.0), math.inf, math.nan)
    y = _core.where(inside, y, outside)
    return cast(_core.where(_core.less(wide, 0.0), _core.negative(y), y), x.dtype)


@op
def i0(x):
    """The modified Bessel function of order 0: `y = sum_k (x^2 / 4)^k / (k!)^2`.

    Reference: Abramowitz and Stegun, 1964, 9.6.12 and, from 20 on, 9.7.1.
    """
    x = floating(x)
    a = _core.absolute(cast(x, "float64"))
    far = _core.greater(a, 20.0)
    quarter = _core.multiply(_core.square(_core.where(far, 0.0, a)), 0.25)
    series = _core.add(_core.multiply(quarter, 0.0), 1.0)
    for k in range(45, 0, -1):
        series = _core.add(_core.multiply(_core.multiply(series, quarter), 1.0 / k**2), 1.0)
    inverse = _core.reciprocal(_core.multiply(_core.where(far, a, 20.0), 8.0))
    tail = _core.add(_core.multiply(inverse, 0.0), 1.0)
    for k in range(20, 0, -1):
        tail = _core.add(_core.multiply(_core.multiply(tail, inverse), (2 * k - 1) ** 2 / k), 1.0)
    tail = _core.multiply(tail, _core.sqrt(_core.multiply(inverse, 4.0 / math.pi)))
    tail = _core.multiply(tail, _core.exp(_core.where(far, a, 0.0)))
    y = _core.where(far, tail, series)
    return cast(_core.where(_core.isnan(a), a, y), x.dtype)


# name -> values of a window at the places n of one whose last place is m (its period, for a periodic one).
COSINE_WINDOWS = {
    "hann": lambda n, m: 0.5 - 0.5 * np.cos(2 * np.pi * n / m),
    "hamming": lambda n, m: 0.54 - 0.46 * np.cos(2 * np.pi * n / m),
    "blackman": lambda n, m: 0.42 - 0.5 * np.cos(2 * np.pi * n / m) + 0.08 * np.cos(4 * np.pi * n / m),
}


def cosine_window(name, size, periodic):
    """A window of `COSINE_WINDOWS` in float64; one of one place is 1."""
    if size == 1:
        return np.ones(1)
    return COSINE_WINDOWS[name](np.arange(size), size if periodic else size - 1)


def _window(name, x, values):
    from maas.ops.core import as_size

    size = as_size(x, name)
    if not isinstance(size, int):
        raise TypeError(f"{name}: the size must be known when the program is made, received {x!r}")
    n = np.arange(size)
    # As NumPy: a window of one place is 1.
    y = np.ones(size) if size == 1 else values(n, max(size, 2) - 1)
    return as_tensor(y.astype(floatx()))


@op
def bartlett(x):
    """The triangular window of `x` places, `y[n] = 1 - |2 n / (x - 1) - 1|`, in the default float dtype."""
    return _window("bartlett", x, lambda n, last: 1 - np.abs(2 * n / last - 1))


@op
def blackman(x):
    """The Blackman window of `x` places: `y[n] = 0.42 - 0.5 cos(2 pi n / (x - 1)) + 0.08 cos(4 pi n / (x - 1))`."""
    return _window("blackman", x, COSINE_WINDOWS["blackman"])


@op
def hamming(x):
    """The Hamming window of `x` places: `y[n] = 0.54 - 0.46 cos(2 pi n / (x - 1))`."""
    return _window("hamming", x, COSINE_WINDOWS["hamming"])


@op
def hanning(x):
    """The Hann window of `x` places: `y[n] = 0.5 - 0.5 cos(2 pi n / (x - 1))`."""
    return _window("hanning", x, COSINE_WINDOWS["hann"])


@op
def kaiser(x, beta):
    """The Kaiser window of `x` places: `y[n] = i0(beta sqrt(1 - (2 n / (x - 1) - 1)^2)) / i0(beta)`."""
    beta = float(beta)
    return _window(
        "kaiser", x, lambda n, last: np.i0(beta * np.sqrt(np.maximum(0, 1 - (2 * n / last - 1) ** 2))) / np.i0(beta)
    )
