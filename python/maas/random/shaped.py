"""Draws whose distribution has a shape: gamma, beta, binomial.

Rejection runs a fixed number of candidates side by side, so that a program needs no loop over data and element i is a
function of the seed and i alone.
"""

import math

import numpy as np

from maas import _core
from maas.random.draws import _dtype, _sizes, _state

_CANDIDATES = 8  # at most one in 20 is refused, so that none of 8 fits once in 4e10 elements
_FEW = 16  # binomial counts up to this one are drawn trial by trial


def _stream(state, number):
    """A state of its own for one of several draws that belong together; gamma draws take the three after `number`."""
    # A state with values is a column, one inside a trace a row.
    return _core.add(state, np.array([0x51ED2701 * number, 0], "int64").reshape(state.shape))


def _shaped(name, parameter, sizes, dtype, positive=True):
    """A parameter in the shape and dtype of the result."""
    from maas.ops.core import as_tensor, cast

    x = as_tensor(parameter)
    if positive and not x.is_symbolic and not bool((np.asarray(x, "float64") > 0).all()):
        raise ValueError(f"{name} must be positive, received {parameter!r}")
    return _core.broadcast_to(cast(x, dtype), shape=sizes) if sizes else cast(x, dtype)


def _log_gamma_draws(sizes, alpha, dtype, state):
    """Logarithms of gamma draws, which stay finite where the draws themselves are too small for a float."""
    many = [_CANDIDATES, *sizes]
    # Below 1 the method needs a larger shape: gamma(a) = gamma(a + 1) u^(1/a).
    small = _core.less(alpha, 1.0)
    d = _core.subtract(_core.where(small, _core.add(alpha, 1.0), alpha), 1.0 / 3.0)
    x = _core.random_normal(_stream(state, 1), shape=many, mean=0.0, stddev=1.0, truncated=False, dtype=dtype)
    u = _core.random_uniform(_stream(state, 2), shape=many, low=1e-30, high=1.0, dtype=dtype)
    t = _core.add(_core.multiply(x, _core.multiply(_core.rsqrt(d), 1.0 / 3.0)), 1.0)
    inside = _core.greater(t, 0.0)
    log_v = _core.multiply(_core.log(_core.where(inside, t, 1.0)), 3.0)
    v = _core.exp(log_v)
    bound = _core.add(_core.multiply(_core.square(x), 0.5), _core.multiply(d, _core.add(_core.subtract(1.0, v), log_v)))
    kept = _core.logical_and(inside, _core.less(_core.log(u), bound))
    first = _core.argmax(_core.cast(kept, dtype="int32"), axis=[0], keepdims=True)
    drawn = _core.reshape(_core.take_along_axis(log_v, first, axis=0), shape=list(sizes))
    boost = _core.random_uniform(_stream(state, 3), shape=list(sizes), low=1e-30, high=1.0, dtype=dtype)
    boost = _core.where(small, _core.divide(_core.log(boost), alpha), 0.0)
    return _core.add(_core.add(drawn, _core.log(d)), boost)


def _float(name, dtype):
    dtype = _dtype(dtype)
    if "float" not in dtype:
        raise ValueError(f"{name}: dtype must be floating, received dtype={dtype!r}")
    return dtype, dtype if dtype in ("float32", "float64") else "float32"


def gamma(shape, alpha, dtype=None, seed=None):
    """Numbers of the gamma distribution with density `x^(alpha - 1) e^-x / Gamma(alpha)`.

    Args:
        shape: tuple of sizes.
        alpha: positive number, or a tensor that broadcasts to `shape`.
        dtype: str, a floating dtype, default float32.
        seed: int, SeedGenerator or None.

    Raises:
        ValueError: if `alpha` is not positive.
    Reference: Marsaglia and Tsang, 2000, "A simple method for generating gamma variables".
    """
    dtype, inner = _float("gamma", dtype)
    sizes = _sizes(shape)
    alpha = _shaped("gamma: alpha", alpha, sizes, inner)
    return _core.cast(_core.exp(_log_gamma_draws(sizes, alpha, inner, _state(seed))), dtype=dtype)


def _beta(sizes, a, b, dtype, state):
    x, y = (_log_gamma_draws(sizes, p, dtype, _stream(state, 4 * i)) for i, p in enumerate((a, b)))
    return _core.sigmoid(_core.subtract(x, y))


def beta(shape, alpha, beta, dtype=None, seed=None):
    """Numbers of the beta distribution, `x / (x + y)` for gamma draws x and y.

    Args:
        shape: tuple of sizes.
        alpha, beta: positive numbers, or tensors that broadcast to `shape`.
        dtype: str, a floating dtype, default float32.
        seed: int, SeedGenerator or None.

    Raises:
        ValueError: if a parameter is not positive.
    """
    dtype, inner = _float("beta", dtype)
    sizes = _sizes(shape)
    a, b = _shaped("beta: alpha", alpha, sizes, inner), _shaped("beta: beta", beta, sizes, inner)
    return _core.cast(_beta(sizes, a, b, inner, _state(seed)), dtype=dtype)


def binomial(shape, counts, probabilities, dtype=None, seed=None):
    """How many of `counts` trials succeed that each do with the given probability.

    Args:
        shape: tuple of sizes.
        counts: number >= 0, or a tensor that broadcasts to `shape`; at most 2^31.
        probabilities: number in [0, 1], or a tensor that broadcasts to `shape`.
        dtype: str, a floating dtype, default float32.
        seed: int, SeedGenerator or None.

    Raises:
        ValueError: if counts or probabilities are out of range.
    Reference: Relles, 1972, "A simple algorithm for generating binomial random variables when n is large".
    """
    from maas.ops.core import as_tensor

    dtype, _ = _float("binomial", dtype)
    sizes, state, most = _sizes(shape), _state(seed), 2.0**31
    if not as_tensor(counts).is_symbolic:
        given = np.asarray(as_tensor(counts), "float64")
        if not ((given >= 0) & (given <= most)).all():
            raise ValueError(f"binomial: counts must be in [0, 2^31], received {counts!r}")
        most = float(given.max(initial=0))
    if not as_tensor(probabilities).is_symbolic:
        given = np.asarray(as_tensor(probabilities), "float64")
        if not ((given >= 0) & (given <= 1)).all():
            raise ValueError(f"binomial: probabilities must be in [0, 1], received {probabilities!r}")
    n = _core.floor(_shaped("binomial: counts", counts, sizes, "float64", positive=False))
    p = _shaped("binomial: probabilities", probabilities, sizes, "float64", positive=False)
    total = _core.multiply(n, 0.0)
    # The i-th smallest of n uniform numbers is a beta draw: it says on which side of p half of the trials lie.
    for step in range(max(0, math.ceil(math.log2(max(most, 1) / _FEW)) + 1)):
        many = _core.greater(n, float(_FEW))
        i = _core.floor(_core.multiply(_core.add(n, 1.0), 0.5))
        safe = _core.where(many, i, 1.0)
        other = _core.where(many, _core.subtract(_core.add(n, 1.0), i), 1.0)
        middle = _beta(sizes, safe, other, "float64", _stream(state, 8 * (step + 1)))
        below = _core.less_equal(middle, p)
        rest = _core.subtract(1.0, middle)
        p_above = _core.divide(_core.subtract(p, middle), _core.where(_core.greater(rest, 0.0), rest, 1.0))
        p_below = _core.divide(p, _core.where(_core.greater(middle, 0.0), middle, 1.0))
        total = _core.where(_core.logical_and(many, below), _core.add(total, i), total)
        p = _core.where(many, _core.where(below, p_above, p_below), p)
        n = _core.where(many, _core.where(below, _core.subtract(n, i), _core.subtract(i, 1.0)), n)
    u = _core.random_uniform(_stream(state, 1), shape=[_FEW, *sizes], dtype="float64")
    trial = np.arange(_FEW, dtype="float64").reshape(-1, *[1] * len(sizes))
    hits = _core.logical_and(_core.less(u, p), _core.less(trial, n))
    return _core.cast(_core.add(total, _core.sum(_core.cast(hits, dtype="float64"), axis=[0])), dtype=dtype)
