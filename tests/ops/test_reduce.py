"""Reductions: every kernel against float64, equal bits where promised, gradients, Keras's dtypes, typed errors."""

import numpy as np
import pytest

from maas import _core, ops
from tests.ops.levels import LEVELS, at_level, check_gradients, check_same_bits, compiled
from tests.ops.reduce_cases import CASES, FOLDS, reference

SMALL = [c for c in CASES if not c.bench]


def values(case, dtype, name="sum", seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(case.shape) * 3
    if name == "prod":
        x = np.exp(x / 40)  # products of thousands stay in range
    return (x > 0) if dtype == "bool" else x.astype(dtype)


def is_empty(case):
    axes = case.axis or range(len(case.shape))
    return any(case.shape[a] == 0 for a in axes)


@pytest.mark.filterwarnings("ignore:Mean of empty")
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
@pytest.mark.parametrize("case", SMALL, ids=str)
def test_folds(case, dtype, level):
    for name in FOLDS:
        x = values(case, dtype, name)
        if is_empty(case) and name in ("max", "min"):
            continue
        with at_level(level):
            got = getattr(_core, name)(x, axis=list(case.axis), keepdims=case.keepdims).numpy()
        want = np.asarray(reference(name, x, case.axis, case.keepdims))
        assert got.shape == want.shape
        if got.dtype.kind != "f":
            np.testing.assert_array_equal(got, want.astype(got.dtype))
            continue
        # A pairwise or lane sum of n terms is off by far fewer than sqrt(n) epsilons of the sum of their sizes.
        scale = np.asarray(reference("sum" if name == "mean" else name, np.abs(x), case.axis, case.keepdims))
        n = x.size / max(got.size, 1)
        if name == "mean":
            scale = scale / max(n, 1)
        bound = np.finfo(got.dtype).eps * (2 + n**0.5) * np.abs(scale) + 1e-30
        assert np.all((np.abs(got - want) <= bound) | (np.isnan(got) & np.isnan(want))), name


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_bits(case):
    for name in ("sum", "mean", "prod", "max"):
        if not (is_empty(case) and name == "max"):
            check_same_bits(name, [values(case, "float32", name)], {"axis": list(case.axis), "keepdims": case.keepdims})


@pytest.mark.parametrize("level", LEVELS)
def test_a_row_alone_and_in_a_batch(level):
    x = values(CASES[0].__class__((9, 300, 5), ()), "float32")
    with at_level(level):
        for axis in ([1], [1, 2], [2]):
            program = compiled(lambda x, axis=axis: [_core.sum(x, axis=axis)], (("batch", 300, 5), "float32"))
            whole = program.numpy(x)[0]
            for i in range(len(x)):
                assert program.numpy(x[i : i + 1])[0].tobytes() == whole[i].tobytes()


@pytest.mark.parametrize("level", LEVELS)
def test_special_values(level):
    nan, inf = float("nan"), float("inf")
    x = np.array([[1, nan, 3], [inf, 1, -inf], [1e-45, 0, -1e-45], [-inf, -inf, -inf]], "float32")
    x = np.concatenate([x, np.zeros((4, 40), "float32") + x[:, :1]], 1)
    with at_level(level):
        np.testing.assert_array_equal(_core.max(x, axis=[1]).numpy(), [nan, inf, 0, -inf])
        np.testing.assert_array_equal(_core.min(x, axis=[1]).numpy(), [nan, -inf, 0, -inf])
        np.testing.assert_array_equal(_core.sum(x, axis=[1]).numpy(), [nan, nan, 0, -inf])
        np.testing.assert_array_equal(_core.max(x.T.copy(), axis=[0]).numpy(), [nan, inf, 0, -inf])
        np.testing.assert_array_equal(_core.argmax(x, axis=[1]).numpy()[:2], [1, 0])


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool", "int64"])
def test_arguments_of_extremes(dtype):
    x = values(CASES[0].__class__((4, 7, 5), ()), dtype)
    for axis in (0, 1, -1):
        for ours, theirs in ((ops.argmax, np.argmax), (ops.argmin, np.argmin)):
            got = ours(x, axis).numpy()
            assert got.dtype == np.int32
            np.testing.assert_array_equal(got, theirs(x, axis))
    np.testing.assert_array_equal(ops.argmax(x, keepdims=True).numpy(), np.argmax(x, keepdims=True))


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "min"])
def test_gradients(name):
    x = np.random.default_rng(3).permutation(24).reshape(2, 3, 4) / 7 - 1.5
    for axis in ([1], [0, 2], []):
        check_gradients(lambda x, axis=axis: getattr(_core, name)(x, axis=axis, keepdims=True), x)


def test_gradient_of_a_product_with_zeros():
    x = np.array([[0.0, 2, 3], [0, 0, 3], [1, 2, 3]])
    check_gradients(lambda x: _core.prod(x, axis=[1]), x)


def test_equal_extremes_share_the_gradient():
    program = compiled(lambda x: _core.gradients(_core.max(x, axis=[0]), [x]), ((4,), "float64"))
    np.testing.assert_array_equal(program.numpy(np.array([1.0, 5, 5, 2]))[0], [0, 0.5, 0.5, 0])


def test_unknown_sizes():
    program = compiled(
        lambda x: [_core.mean(x), _core.mean(x, axis=[0]), *_core.gradients(_core.mean(x), [x])],
        (("batch", 3), "float32"),
    )
    for n in (1, 2, 400):
        x = np.random.default_rng(n).standard_normal((n, 3)).astype("float32")
        mean, columns, dx = program.numpy(x)
        np.testing.assert_allclose(mean, x.mean(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(columns, x.mean(0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(dx, np.full_like(x, 1 / (3 * n)), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int8", "int16", "uint8", "bool"])
def test_dtypes_and_values_as_keras(keras, dtype):
    x = values(CASES[0].__class__((3, 4), ()), dtype)
    for name in [*FOLDS, "argmax", "argmin", "var", "std", "count_nonzero"]:
        want = keras.ops.convert_to_numpy(getattr(keras.ops, name)(x, axis=1))
        got = getattr(ops, name)(x, axis=1).numpy()
        if dtype != "float64":  # JAX has no float64 unless asked
            assert str(got.dtype) == str(want.dtype), name
        np.testing.assert_allclose(got.astype("float64"), want.astype("float64"), rtol=1e-5, atol=1e-6)


def test_compositions():
    x = np.random.default_rng(0).standard_normal((3, 5, 2)).astype("float32")
    np.testing.assert_allclose(ops.logsumexp(x, 1).numpy(), np.log(np.exp(x).sum(1)), rtol=1e-5)
    np.testing.assert_allclose(ops.logsumexp(np.array([1000.0, 1000], "float32")).numpy(), 1000 + np.log(2))
    assert np.isneginf(ops.logsumexp(np.full(3, -np.inf, "float32")).numpy())
    np.testing.assert_allclose(
        ops.average(x, 1, weights=np.arange(5.0)).numpy(), np.average(x, 1, np.arange(5.0)), rtol=1e-5
    )
    mean, variance = ops.moments(x, [0, 1])
    np.testing.assert_allclose(mean.numpy(), x.mean((0, 1)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(variance.numpy(), x.var((0, 1)), rtol=1e-5)
    assert ops.sum(x, axis=()).shape == x.shape


def test_errors():
    x = np.ones((2, 0, 3), "float32")
    with pytest.raises(ValueError, match=r"max: an empty axis .* received x of shape \(2, 0, 3\)"):
        ops.max(x, 1)
    with pytest.raises(ValueError, match=r"axis must be in \[-3, 3\), received axis=3"):
        ops.sum(x, 3)
    with pytest.raises(ValueError, match="an axis is named twice"):
        ops.sum(x, (0, -3))
