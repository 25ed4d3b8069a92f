"""Casts between all dtypes against ml_dtypes and NumPy: NaN, infinities, overflow, ties to even, denormals."""

import ml_dtypes
import numpy as np
import pytest

from maas import _core, ops
from tests.ops import support

OWN = {
    "bfloat16": ml_dtypes.bfloat16,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e5m2": ml_dtypes.float8_e5m2,
    "int4": ml_dtypes.int4,
}
FLOATS = ["float64", "float32", "bfloat16", "float16", "float8_e4m3fn", "float8_e5m2"]
INTEGERS = ["int8", "uint8", "int4", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
ALL = [*FLOATS, *INTEGERS, "bool"]


def numpy_dtype(name):
    return np.dtype(OWN.get(name, name))


def limits(name):
    bits = int(name.lstrip("uint"))
    return (0, 2**bits - 1) if name[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def round_once(x, name):
    """float64 in a narrower float, to nearest even, by exact arithmetic on its own grid."""
    x = np.asarray(x, "float64")
    if name == "float64":
        return x
    digits, low, top = {
        "float32": (24, -126, np.finfo("float32").max), "bfloat16": (8, -126, 2.0**128 * (1 - 2.0**-8)),
        "float16": (11, -14, 65504.0), "float8_e4m3fn": (4, -6, 448.0), "float8_e5m2": (3, -14, 57344.0),
    }[name]  # fmt: skip
    finite = np.where(np.isfinite(x), x, 0)
    exponent = np.maximum(np.frexp(np.where(finite == 0, 1, finite))[1] - 1, low)
    step = np.ldexp(1.0, exponent - digits + 1)
    y = np.round(finite / step) * step  # both exact: powers of two
    over = np.abs(y) > top
    y = np.where(over, np.nan if name == "float8_e4m3fn" else np.copysign(np.inf, x), y)
    infinite = np.nan if name == "float8_e4m3fn" else x
    return np.where(np.isnan(x), np.nan, np.where(np.isinf(x), infinite, np.copysign(y, x)))


def every_value(name):
    """All values of a type of 16 bits or fewer; of others the corners and what lies near ties of narrower ones."""
    if name in OWN or name == "float16":
        if name == "int4":
            return np.arange(-8, 8).astype(ml_dtypes.int4)
        size = numpy_dtype(name).itemsize
        return np.arange(2 ** (8 * size), dtype=f"uint{8 * size}").view(numpy_dtype(name))
    if name == "bool":
        return np.array([False, True])
    rng = np.random.default_rng(0)
    if name in INTEGERS:
        low, high = limits(name)
        near = [v + d for v in [2**k for k in range(1, 64)] for d in (-1, 0, 1)]
        near = [s * v for v in near for s in (1, -1) if low <= s * v <= high]
        drawn = rng.integers(low, high, 500, "uint64" if name == "uint64" else "int64", endpoint=True)
        return np.array([low, high, 0, *near, *drawn.tolist()], name)
    grid = np.concatenate([every_value(n).astype("float64") for n in ("float8_e4m3fn", "float8_e5m2", "float16")])
    grid = np.concatenate([grid[:512], grid[512::61]])
    grid = np.concatenate([grid, np.array([0.0, -0.0, 448, 464, 465, 65504, 65519, 65520, 3.3e38, 3.4e38, 1e300])])
    grid = grid[np.isfinite(grid)]
    between = (np.sort(grid)[1:] + np.sort(grid)[:-1]) / 2
    wide = np.concatenate(
        [grid, between, between * (1 + 2.0**-30), rng.standard_normal(2000) * 10.0 ** rng.integers(-30, 38, 2000)]
    )
    wide = np.concatenate([wide, -wide, [np.nan, np.inf, -np.inf]])
    with np.errstate(over="ignore"):
        return wide.astype(name)


def as_exact(a):
    return a.astype("float64") if a.dtype.kind not in "iub" else a


def wanted(x, name, to):
    """What a cast gives: floats round once, floats stop at an integer's limits (NaN is 0), integers wrap."""
    if to == "bool":
        return as_exact(x) != 0
    if to in FLOATS:
        exact = as_exact(x)
        if exact.dtype.kind in "iub" and exact.dtype.itemsize == 8 and to != "float64":
            if to == "float32":
                return exact.astype("float32").astype("float64")
            shifted = (exact >> 11) | ((exact & 2047) != 0)  # what float64 cannot hold becomes one sticky bit
            wide = np.where(np.abs(exact.astype("float64")) < 2.0**53, exact, shifted * 2048.0)
            return round_once(wide, to)
        return round_once(exact.astype("float64"), to)
    low, high = limits(to)
    held = "int8" if to == "int4" else to
    if name in FLOATS:
        whole = np.trunc(np.where(np.isnan(as_exact(x)), 0, as_exact(x)))
        over, under = whole >= high, whole <= low
        inside = np.where(over | under, 0, whole).astype(held)
        return np.where(over, np.array(high, held), np.where(under, np.array(low, held), inside))
    x = x.astype("int8") if name == "int4" else x
    return ((x.astype("int8") & 15) ^ 8) - 8 if to == "int4" else x.astype(held)


def flushed(x):
    """Denormals of float32 and float64 count as zero in kernels, in and out."""
    x = np.asarray(x, "float64")
    return np.where(np.abs(x) < 2.0**-126, np.copysign(0.0, x), x)


def same(got, want, to):
    if to in FLOATS:
        got, want = got.astype("float64"), np.asarray(want, "float64")
        np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
        np.testing.assert_array_equal(flushed(got), flushed(want))
    else:
        got = got.astype("int8") if to == "int4" else got
        np.testing.assert_array_equal(got, np.asarray(want).astype(got.dtype))


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("to", ALL)
@pytest.mark.parametrize("name", ALL)
def test_every_pair(name, to, level):
    x = every_value(name)
    if to == "bool" or name == "float64":  # denormals are zeros
        x = x[~((np.abs(as_exact(x)) < 2.0**-126) & (as_exact(x) != 0))] if name in FLOATS else x
    with support.isa(level):
        y = ops.cast(ops.convert_to_tensor(x), to)
    assert y.dtype == to
    got = np.asarray(y)
    assert got.dtype == numpy_dtype(to)
    same(got, wanted(x, name, to), to)


@pytest.mark.parametrize("name", ALL)
def test_arrays_come_back_bit_for_bit(name):
    x = every_value(name)
    for y in (np.asarray(ops.convert_to_tensor(x)), np.asarray(_core.Tensor(x[::-1])[::-1] if name != "int4" else x)):
        assert y.dtype == x.dtype
        np.testing.assert_array_equal(y.view("uint8"), np.ascontiguousarray(x).view("uint8"))


@pytest.mark.parametrize("to", ["bfloat16", "float8_e4m3fn", "int4"])
def test_numbers_and_lists(to):
    y = ops.convert_to_tensor([1.5, -2.0, 3.0], to)
    np.testing.assert_array_equal(np.asarray(ops.cast(y, "float32")), [1 if to == "int4" else 1.5, -2, 3])
    assert float(ops.convert_to_tensor(3, to)) == 3


def test_saturate_cast():
    x = np.array([-1e9, -500, -3, 0.5, 7, 300, 1e9], "float32")
    for to in ["int8", "uint8", "int16", "float16", "float8_e4m3fn", "int4"]:
        high = np.asarray(ops.cast(ops.saturate_cast(x, to), "float32"))
        low, top = limits(to) if to in INTEGERS else {"float16": (-65504, 65504), "float8_e4m3fn": (-448, 448)}[to]
        assert high[0] == low and high[-1] == top, (to, high)
        assert np.isfinite(high).all()
