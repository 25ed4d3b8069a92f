"""Reductions: special values, equals, unknown sizes, Keras's dtypes, typed errors. Cases are in reduce_cases.py."""

import numpy as np
import pytest

from maas import _core, ops
from tests.ops import support
from tests.ops.support import check_gradients, compiled

FOLDS = ["sum", "mean", "prod", "max", "min", "any", "all"]


@pytest.mark.parametrize("level", support.LEVELS)
def test_special_values(level):
    nan, inf = float("nan"), float("inf")
    x = np.array([[1, nan, 3], [inf, 1, -inf], [1e-45, 0, -1e-45], [-inf, -inf, -inf]], "float32")
    x = np.concatenate([x, np.zeros((4, 40), "float32") + x[:, :1]], 1)
    with support.isa(level):
        np.testing.assert_array_equal(_core.max(x, axis=[1]).numpy(), [nan, inf, 0, -inf])
        np.testing.assert_array_equal(_core.min(x, axis=[1]).numpy(), [nan, -inf, 0, -inf])
        np.testing.assert_array_equal(_core.sum(x, axis=[1]).numpy(), [nan, nan, 0, -inf])
        np.testing.assert_array_equal(_core.max(x.T.copy(), axis=[0]).numpy(), [nan, inf, 0, -inf])
        np.testing.assert_array_equal(_core.argmax(x, axis=[1]).numpy()[:2], [1, 0])


def test_arguments_of_extremes_over_all_axes():
    x = np.random.default_rng(0).standard_normal((4, 7, 5)).astype("float32")
    for ours, theirs in ((ops.argmax, np.argmax), (ops.argmin, np.argmin)):
        np.testing.assert_array_equal(ours(x, 1).numpy(), theirs(x, 1))
        np.testing.assert_array_equal(ours(x, keepdims=True).numpy(), theirs(x, keepdims=True))


def test_gradient_of_a_product_with_zeros():
    x = np.array([[0.0, 2, 3], [0, 0, 3], [1, 2, 3]])
    check_gradients(lambda x: _core.prod(x, axis=[1]), [x])


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
    x = 3 * np.random.default_rng(0).standard_normal((3, 4))
    x = (x > 0) if dtype == "bool" else x.astype(dtype)
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
