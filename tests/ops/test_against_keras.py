"""Every function of `maas.ops` that Keras has: values, dtypes, shapes of symbolic calls, slopes."""

import keras
import numpy as np
import pytest

import maas
from maas import ops, tree
from tests.ops import support
from tests.ops.keras_calls import CALLS, GRADIENTS, X, with_functions

# Names whose values are compared here.
CLAIMS = {f"ops.{name}" for name, *_ in CALLS} | {f"ops.{name}" for name in with_functions(ops)} | {"ops.sparsemax"}
IDS = [f"{i}-{name}" for i, (name, *_) in enumerate(CALLS)]


def leaves(y):
    return tree.flatten(list(y) if isinstance(y, tuple) else y)


def assert_same(found, wanted, name):
    found, wanted = leaves(found), keras.tree.flatten(list(wanted) if isinstance(wanted, tuple) else wanted)
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted):
        if isinstance(b, (str, bool, int)) or b is None:
            assert a == b
            continue
        dtype = a.dtype
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape and str(dtype) == str(b.dtype)
        if name in ("eigh", "qr"):  # vectors are given up to their sign
            a, b = np.abs(a), np.abs(b)
        size = 1 + np.abs(np.nan_to_num(b.astype("float64"), posinf=0, neginf=0)).max(initial=0)
        np.testing.assert_allclose(a.astype("float64"), b.astype("float64"), rtol=1e-5, atol=2e-6 * size)


@pytest.mark.parametrize("name, args, options", CALLS, ids=IDS)
def test_values(name, args, options):
    if name == "dtype" or name == "is_tensor":
        args = (ops.convert_to_tensor(X),), (keras.ops.convert_to_tensor(X),)
    else:
        args = args, args
    assert_same(getattr(ops, name)(*args[0], **options), getattr(keras.ops, name)(*args[1], **options), name)


def test_calls_with_functions():
    found, wanted = with_functions(ops), with_functions(keras.ops)
    for name in wanted:
        assert_same(found[name], wanted[name], name)


# Sizes from values, what is asked about a KerasTensor itself, and what has no call on one.
NO_SHAPES = "bincount convert_to_numpy dtype histogram is_tensor ndim nonzero shape size unique".split()


def arrays(first):
    return list(first) if isinstance(first, (list, tuple)) else [first]


def symbolic_calls():
    for i, (name, args, options) in enumerate(CALLS):
        first = arrays(args[0])
        if name not in NO_SHAPES and first and all(isinstance(p, np.ndarray) for p in first):
            yield pytest.param(name, args, options, id=f"{i}-{name}")


@pytest.mark.parametrize("name, args, options", symbolic_calls())
def test_symbolic_shapes(name, args, options):
    """A KerasTensor in place of the first array gives the shapes and dtypes of the values."""
    first = args[0]
    parts = arrays(first)
    eager = leaves(getattr(ops, name)(*args, **options))
    made = [maas.KerasTensor(p.shape, dtype=str(p.dtype)) for p in parts]
    made = type(first)(made) if isinstance(first, (list, tuple)) else made[0]
    symbolic = leaves(getattr(ops, name)(made, *args[1:], **options))
    assert [(tuple(y.shape), y.dtype) for y in symbolic] == [(tuple(y.shape), y.dtype) for y in eager]


@pytest.mark.parametrize("name, args, options", GRADIENTS, ids=[f"{i}-{c[0]}" for i, c in enumerate(GRADIENTS)])
def test_slopes(name, args, options):
    def wide(a):
        return a.astype("float64") if isinstance(a, np.ndarray) and a.dtype == "float32" else a

    first = args[0]
    parts = [wide(p) for p in (first if isinstance(first, (list, tuple)) else [first])]
    rng = np.random.default_rng(2)
    # A NaN stays and its slope must be 0; only where nothing but NaN is there is no result to compare.
    parts = [
        np.where(np.isnan(p).all(-1, keepdims=True), rng.standard_normal(p.shape), p) if np.isnan(p).any() else p
        for p in parts
    ]
    rest = [wide(a) for a in args[1:]]

    def run(*xs):
        return getattr(ops, name)(type(first)(xs) if isinstance(first, (list, tuple)) else xs[0], *rest, **options)

    support.check_gradients(run, parts, tolerance=2e-5)


def test_sparsemax_is_the_nearest_point_of_the_simplex():
    y = np.asarray(ops.sparsemax(X), "float64")
    np.testing.assert_allclose(y.sum(1), 1, rtol=1e-6)
    inside = y > 0
    tau = np.array([(x[m] - v[m]) for x, v, m in zip(X.astype("float64"), y, inside)], dtype=object)
    assert all(np.ptp(t) < 1e-6 for t in tau) and all((x[~m] <= t[0] + 1e-6).all() for x, m, t in zip(X, inside, tau))


def test_fold_adds_what_unfold_cut():
    """Keras on JAX forgets rows that a stride leaves over: there fold gives another size than asked for."""
    x = np.ones((1, 2, 7, 8), "float32")
    y = np.asarray(ops.fold(ops.unfold(x, 2, stride=2), (7, 8), 2, stride=2))
    assert y.shape == x.shape and (y[:, :, :6] == 1).all() and (y[:, :, 6] == 0).all()


@pytest.mark.parametrize("center", [True, False])
def test_istft_without_window_gives_the_signal_back(center):
    """Keras on JAX gives it `fft_length / sequence_stride` times."""
    x = np.random.default_rng(1).standard_normal(40).astype("float32")
    parts = ops.stft(x, 16, 4, 16, window=None, center=center)
    np.testing.assert_allclose(np.asarray(ops.istft(parts, 16, 4, 16, window=None, center=center)), x, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_functions_to_the_last_digits(dtype):
    from scipy import special

    eps = np.finfo(dtype).eps
    wide = np.logspace(-6, 1.4, 300)
    for name, x in {
        "erfc": np.concatenate([-wide, wide]),
        "erfinv": np.concatenate([np.linspace(-0.999, 0.999, 400), 1 - np.logspace(-1, -6, 50)]),
        "i0": np.linspace(-80, 80, 401),
        "cbrt": np.concatenate([np.logspace(-30, 30, 301), -wide]),
    }.items():
        x = x.astype(dtype)
        want = getattr(special, name)(x.astype("float64"))
        seen = (np.abs(want) > 1e-37) & (np.abs(want) < 1e38)
        got = np.asarray(getattr(ops, name)(x), "float64")
        assert (np.abs(got / np.where(seen, want, 1) - 1)[seen] < (1 if dtype == "float32" else 16) * eps).all(), name
    for name, x, want in (("erfinv", [-1, 1, 2], [-np.inf, np.inf, np.nan]), ("erfc", [-np.inf, np.inf], [2, 0])):
        np.testing.assert_array_equal(getattr(ops, name)(np.array(x, dtype)), want)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: ops.glu(X), ValueError, "divisible by 2"),
        (lambda: ops.ldexp(X, X), TypeError, "ldexp: x2 must hold integers, received float32"),
        (lambda: ops.gcd(X, X), TypeError, "gcd: integers are needed, received float32"),
        (lambda: ops.depth_to_space(np.ones((1, 2, 2, 3), "float32"), 2), ValueError, "4 must divide the channels"),
        (lambda: ops.space_to_depth(np.ones((1, 3, 2, 3), "float32"), 2), ValueError, "must divide height and width"),
        (lambda: ops.unfold(X, 2), ValueError, "unfold: x must be .* received x of shape"),
        (lambda: ops.fold(np.ones((1, 5, 4), "float32"), 3, 2), ValueError, r"fold: x must be .* \(1, 5, 4\)"),
        (lambda: ops.adaptive_max_pool(X[None], (2, 2)), ValueError, "one positive size per .* output_size"),
        (lambda: ops.correlate(X, X), ValueError, "correlate: sequences of one axis"),
        (lambda: ops.correlate(X[0], X[0], "all"), ValueError, "mode.*'all'"),
        (lambda: ops.nanquantile(X, 1.5), ValueError, r"nanquantile: q must be in \[0, 1\]"),
        (lambda: ops.nanquantile(X, 0.5, axis=2), ValueError, r"nanquantile: axis must be in \[-2, 2\)"),
        (lambda: ops.psnr(X, X[0], 1.0), ValueError, "psnr: both signals"),
        (lambda: ops.cdist(X, X[:, :2]), ValueError, "cdist: rows of one length"),
        (lambda: ops.vander(X), ValueError, "vander: x must have one axis"),
        (lambda: ops.extract_sequences(X, 9, 1), ValueError, "sequence_length=9"),
        (lambda: ops.vectorize(abs, signature="(n)->()"), NotImplementedError, "signature="),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_empty_arrays():
    none = np.zeros((0, 4), "float32")
    for name in ("cbrt", "erfc", "i0", "glu", "hypot", "fmax", "nancumsum", "isin"):
        args = (none, none) if name in ("hypot", "fmax", "isin") else (none,)
        assert 0 in getattr(ops, name)(*args).shape
    assert np.asarray(ops.nansum(none)) == 0 and np.isnan(np.asarray(ops.nanmean(none)))


def test_half_floats_are_counted_and_summed_in_float32():
    x = np.full(70000, 0.5, "float16")
    x[::7] = np.nan
    assert ops.nanmean(x).dtype == "float16" and np.asarray(ops.nanmean(x)) == 0.5
    assert np.asarray(ops.nanmean(np.full(100, 6e4, "float16"))) == np.float16(6e4)
    assert np.asarray(ops.nanvar(np.tile(np.array([0, 1], "float16"), 40000))) == 0.25
    many = np.arange(5000) % 100
    assert np.asarray(ops.nanquantile(many.astype("float16"), 0.9, method="lower")) == 89


@pytest.mark.parametrize("method, want", [("lower", 1), ("higher", np.inf), ("nearest", 1), ("linear", np.inf)])
def test_quantiles_beside_infinity(method, want):
    for x in ([1, np.inf], [1, np.inf, np.nan]):
        assert np.asarray(ops.nanquantile(np.array(x, "float32"), 0.5, method=method)) == want
    assert np.asarray(ops.nanquantile(np.array([1, 2, np.inf], "float32"), 0.5)) == 2


def test_edges_of_small_functions():
    places = np.array([-13, -12, -3, 0, 7, 11, 12, 99], "int32")
    assert_same(ops.unravel_index(places, (3, 4)), keras.ops.unravel_index(places, (3, 4)), "unravel_index")
    unsigned = places.astype("uint8")
    assert_same(ops.unravel_index(unsigned, (3, 4)), keras.ops.unravel_index(unsigned, (3, 4)), "unravel_index")
    zeros = np.array([-0.0, 0.0, -1, np.nan], "float32")
    assert_same(ops.angle(zeros), keras.ops.angle(zeros), "angle")
    every = np.arange(-128, 128)
    a, b = (v.astype("int8") for v in np.meshgrid(every, every[every != 0]))
    np.testing.assert_array_equal(ops.fmod(a, b), np.fmod(a, b))
