"""Edges of elementwise functions: huge quotients, zeros, infinities, the ends of integers, casts, 16-bit floats."""

import math

import numpy as np
import pytest

import maas
from maas import _core, ops
from tests.ops import support

SPECIAL = np.array(
    [0.0, 1, 0.1, 0.5, 1.5, 3, 7, 100, 1e10, 16777217.0, 1e30, 3e38, 1e-10, 2e-30, np.inf, np.nan], "float32"
)
SPECIAL = np.concatenate([SPECIAL, -SPECIAL])
A, B = (t.ravel() for t in np.meshgrid(SPECIAL, SPECIAL))


@pytest.mark.parametrize("level", support.LEVELS)
def test_a_remainder_is_exact_for_every_quotient(level):
    with np.errstate(all="ignore"):
        want = np.mod(A.astype("float64"), B.astype("float64")).astype("float32")
    with support.isa(level):
        got = np.asarray(ops.mod(A, B))
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("level", support.LEVELS)
def test_a_floored_quotient_goes_with_its_remainder(level):
    with np.errstate(all="ignore"):
        a, b = A.astype("float64"), B.astype("float64")
        want = np.floor_divide(a, b)  # by 0 it is infinite, as in Keras
    small = np.abs(want) < 2**23
    with support.isa(level):
        got = np.asarray(ops.floor_divide(A, B))
        assert float(ops.floor_divide(np.float32(1), np.float32(0.1))) == 9
    np.testing.assert_array_equal(got[small], want[small])
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    large = np.isfinite(want) & ~small & (np.abs(want) < 3e38)
    np.testing.assert_allclose(got[large], want[large], rtol=2e-7)


def test_remainders_have_the_same_bits_everywhere():
    seen = []
    for level in ("avx2", "avx512"):
        with support.isa(level):
            seen += [_core.run_cut(name, [A, B], {}, seed) for name in ("mod", "floor_divide") for seed in (1, 2)]
    support.same_bits(seen[0] + seen[2], seen[4] + seen[6])
    support.same_bits(seen[1] + seen[3], seen[5] + seen[7])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64"])
def test_integers_at_their_ends(dtype):
    info = np.iinfo(dtype)
    x = np.array(sorted({0, 1, 2, 3, 7, info.max - 1, info.max, info.min, max(info.min, -1), max(info.min, -7)}), dtype)
    a, b = (t.ravel() for t in np.meshgrid(x, x))
    with np.errstate(all="ignore"):
        for name in ("add", "subtract", "multiply", "maximum", "minimum"):
            np.testing.assert_array_equal(np.asarray(getattr(ops, name)(a, b)), getattr(np, name)(a, b), name)
        for name in ("floor_divide", "mod"):  # by 0 too: NumPy gives 0, and so do we; no trap
            np.testing.assert_array_equal(np.asarray(getattr(ops, name)(a, b)), getattr(np, name)(a, b), name)
        if info.min < 0:
            np.testing.assert_array_equal(np.asarray(ops.negative(x)), -x)
            np.testing.assert_array_equal(np.asarray(ops.abs(x)), np.abs(x))
    for name in ("trunc", "round"):
        y = getattr(ops, name)(x)
        assert y.dtype == dtype
        np.testing.assert_array_equal(np.asarray(y), x, name)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64"])
def test_integer_powers_stay_integers(dtype):
    base, exponent = np.meshgrid(np.array([0, 1, 2, 3, 7, 100], dtype), np.array([0, 1, 2, 3, 5, 13], dtype))
    y = ops.power(base, exponent)
    assert y.dtype == dtype
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(np.asarray(y), base**exponent)
    if np.iinfo(dtype).min < 0:
        got = ops.power(np.array([1, -1, -1, 2, -3], dtype), np.array([-3, -3, -2, -1, -1], dtype))
        assert np.asarray(got).tolist() == [1, -1, 1, 0, 0]


def test_dtypes_of_integers_and_truth_values():
    ints, truth = np.array([1, 2], "int8"), np.array([True, False])
    assert ops.floor(ints).dtype == ops.ceil(truth).dtype == "float32"
    assert ops.abs(truth).dtype == ops.trunc(truth).dtype == "bool"
    assert ops.softmax(ints).dtype == ops.log_softmax(ints).dtype == "float32"
    np.testing.assert_allclose(np.asarray(ops.softmax(ints)), [0.26894142, 0.73105858], rtol=1e-6)
    y = ops.cumsum(np.array([100, 100], "int8"))
    assert y.dtype == "int8" and np.asarray(y).tolist() == [100, -56]
    assert ops.cumsum(truth).dtype == "int32"


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_zeros_keep_their_sign(dtype, level):
    x = np.array([-0.0, 0.0, 2.5, -2.5], dtype)
    with support.isa(level):
        assert np.signbit(np.asarray(ops.sign(x))).tolist() == [True, False, False, True]
        assert not np.signbit(np.asarray(ops.abs(x))).any()
        assert np.signbit(np.asarray(ops.negative(x))).tolist() == [False, True, True, False]


def test_logaddexp_at_infinity():
    x = np.array([np.inf, -np.inf, np.inf, 3.0, -np.inf, np.nan], "float32")
    y = np.array([np.inf, -np.inf, -np.inf, -np.inf, 5.0, 0.0], "float32")
    np.testing.assert_array_equal(np.asarray(ops.logaddexp(x, y)), np.logaddexp(x, y))
    assert float(ops.logaddexp(np.uint8(0), np.uint8(200))) == 200


def test_saturate_cast_takes_the_nearest_value():
    cases = [
        ([-128, -1, 0, 127], "int8", "uint8", [0, 0, 0, 127]),
        ([0, 255], "uint8", "int8", [0, 127]),
        ([-(2**31), 2**31 - 1], "int32", "int16", [-32768, 32767]),
        ([2**32 - 1], "uint32", "int32", [2**31 - 1]),
        ([-5, 7], "int64", "bool", [False, True]),
        ([-1.5, 1e30, -np.inf, np.nan], "float32", "uint8", [0, 255, 0, 0]),
        ([1e30, -1e30, 2.0], "float32", "float16", [65504, -65504, 2]),
        ([2**40, -5], "int64", "float16", [65504, -5]),
    ]
    for values, source, target, want in cases:
        y = ops.saturate_cast(np.array(values, source), target)
        assert y.dtype == target
        np.testing.assert_array_equal(np.asarray(y).astype("float64"), want)


DTYPES = ["bool", "int8", "uint8", "int16", "int32", "uint32", "int64", "float16", "bfloat16", "float32", "float64"]


@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("target", DTYPES)
def test_casts_are_those_of_the_plain_kernel(source, target):
    rng = np.random.default_rng(0)
    values = np.concatenate(
        [
            rng.standard_normal(600) * 10.0 ** rng.integers(-9, 12, 600),
            [0.0, -0.0, 0.5, -0.9, 127.5, 255.9, -129, 2**31, 2**53 + 1, 1e-41, 65519, 65520, np.inf, -np.inf, np.nan],
        ]
    )
    seen = {}
    for level in support.LEVELS:
        with support.isa(level):
            x = ops.cast(values, source)
            seen[level] = np.asarray(ops.cast(ops.cast(x, target), "float64"))
    for level in ("avx2", "avx512"):
        np.testing.assert_array_equal(seen[level], seen["ref"])


HALVES = {
    "softmax": lambda x: ops.softmax(x),
    "log_softmax": lambda x: ops.log_softmax(x, axis=1),
    "tanh": lambda x: ops.tanh(x),
    "sum": lambda x: ops.sum(x, axis=-1),
    "cumsum": lambda x: ops.cumsum(x, axis=1),
    "layer_normalization": lambda x: ops.layer_normalization(x, axis=-1),
    "max_pool": lambda x: ops.max_pool(ops.reshape(x, (1, 4, 6, 5)), 2),
    "average_pool": lambda x: ops.average_pool(ops.reshape(x, (1, 4, 6, 5)), 2),
    "conv": lambda x: ops.conv(ops.reshape(x, (1, 4, 6, 5)), ops.cast(np.ones((2, 2, 5, 3), "float32"), x.dtype)),
    "attention": lambda x: ops.dot_product_attention(*[ops.reshape(x, (1, 6, 4, 5))] * 3),
    "concatenate": lambda x: ops.concatenate([x, x], axis=1),
    "take": lambda x: ops.take(x, np.array([2, 0]), axis=0),
}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", HALVES)
def test_half_floats_run_everywhere_and_round_once(name, dtype):
    function = HALVES[name]
    x = ops.cast(np.random.default_rng(0).standard_normal((6, 20)).astype("float32"), dtype)
    y, wide = function(x), function(ops.cast(x, "float32"))
    assert y.dtype == dtype
    want, got = np.asarray(wide), np.asarray(ops.cast(y, "float32"))
    eps = {"float16": 2.0**-11, "bfloat16": 2.0**-8}[dtype]
    # Ops that have no kernel of their own round once; compositions round every step.
    np.testing.assert_allclose(got, want, rtol=6 * eps, atol=6 * eps)


def test_leaky_relu_has_slope_one_at_zero():
    with _core.Trace() as trace:
        x = trace.input([3])
        program = trace.compile(_core.gradients(ops.sum(ops.leaky_relu(x, 0.25)), [x]))
    assert program.numpy(np.array([-1.0, 0.0, 1.0], "float32"))[0].tolist() == [0.25, 1, 1]


def test_gelu_far_out():
    x = np.array([-np.inf, -20, -13.5, -5, -1e-30, 0, 1e-30, 5, 20, np.inf, np.nan], "float32")
    want = [0.5 * v * math.erfc(-v / math.sqrt(2)) if math.isfinite(v) else max(v, 0.0) for v in x.tolist()]
    for level in support.LEVELS[1:]:
        with support.isa(level):
            y = np.asarray(ops.gelu(x, approximate=False))
        np.testing.assert_allclose(y[:-1], want[:-1], rtol=6 * 2.0**-24 * 2, atol=3e-37)
        assert np.isnan(y[-1])


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_the_next_number(dtype):
    """Bit for bit NumPy's, away from denormals, which kernels do not know."""
    bits = np.random.default_rng(0).integers(0, 2 ** (8 * np.dtype(dtype).itemsize) - 1, 20_000, dtype="uint64")
    x = bits.astype(f"uint{8 * np.dtype(dtype).itemsize}").view(dtype)
    tiny, most = np.finfo(dtype).tiny, np.finfo(dtype).max
    powers = 2.0 ** np.arange(-12, 12)
    x = np.concatenate([x[np.isfinite(x) & (np.abs(x) > 2 * tiny)], powers, -powers, [np.inf, -np.inf, most]])
    x = x.astype(dtype)
    for goal in (np.inf, -np.inf, 0.0):
        y = np.full_like(x, goal)
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(maas.ops.nextafter(x, y).numpy(), np.nextafter(x, y))
    edges = maas.ops.nextafter(np.array([0, 0, 1, np.nan, tiny], dtype), np.array([1, -1, 1, 2, 0], dtype)).numpy()
    np.testing.assert_array_equal(edges, np.array([tiny, -tiny, 1, np.nan, 0], dtype))
    unknown = maas.ops.nextafter(np.array([0, 1, -2, np.inf], dtype), np.array(np.nan, dtype)).numpy()
    assert np.isnan(unknown).all()
    if dtype == "float32":
        import keras

        for ours, theirs in ((lib.ops.nextafter(x[:500], x[500:1000]) for lib in (maas, keras)),):
            np.testing.assert_array_equal(ours, theirs)
        assert maas.ops.nextafter(1, 2).dtype == keras.ops.nextafter(1, 2).dtype == "float32"
