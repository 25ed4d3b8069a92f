"""Closeness counted in the epsilons of a dtype."""

import numpy as np

_EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def assert_close(a, b, eps=4, dtype=None, scale=None):
    """Raise unless `|a - b| <= eps * epsilon * max(|b|, scale)` everywhere; NaN equals NaN, infinities must be equal.

    Args:
        a: array or tensor, the value under test.
        b: array or tensor of the same shape, the expected value, best in float64.
        eps: float, allowed error in epsilons.
        dtype: str, whose epsilon; default that of `a`.
        scale: float, values smaller than this are held to its epsilon. Default the root mean square of `b`, which is
            what rounding of sums is proportional to.

    Raises:
        AssertionError: naming the worst element, both values and the error in epsilons.
    """
    dtype = dtype or str(getattr(a, "dtype", "float32"))
    epsilon = _EPSILON.get(dtype, 2.0**-23)
    x, y = np.asarray(a).astype("float64"), np.asarray(b).astype("float64")
    if x.shape != y.shape:
        raise AssertionError(f"shapes differ: {y.shape} is expected, received {x.shape}")
    finite = np.isfinite(y)
    with np.errstate(invalid="ignore"):
        same = (x == y) | (np.isnan(x) & np.isnan(y))
    if scale is None:
        scale = float(np.sqrt(np.mean(np.square(y[finite])))) if finite.any() else 0.0
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        error = np.abs(x - y) / (epsilon * np.maximum(np.abs(y), scale or np.finfo("float32").tiny))
    error = np.where(same, 0.0, np.where(finite & np.isfinite(x), error, np.inf))
    if error.size and error.max() > eps:
        at = np.unravel_index(int(error.argmax()), error.shape)
        raise AssertionError(
            f"{int((error > eps).sum())} of {error.size} elements differ by more than {eps} epsilons of {dtype}; "
            f"the worst, at "
            f"{tuple(int(i) for i in at)}, by {error[at]:.3g}: {y[at]!r} is expected, received {x[at]!r}"
        )
