"""Layer and batch normalization: second derivatives, inference, folding, Keras, typed errors.

Cases are in norm_cases.py.
"""

import re

import numpy as np
import pytest

from maas import _core, ops
from tests.ops import norm_cases, support

EPSILON = 1e-3


@pytest.mark.parametrize("level", support.LEVELS)
def test_a_nan_fills_its_row(level):
    x, gamma, beta = norm_cases.norm((9, 77)).operands()
    x[4, 5] = np.nan
    with support.isa(level):
        y = np.asarray(_core.layer_norm(x, gamma, beta))
    assert np.isnan(y[4]).all() and np.isfinite(np.delete(y, 4, 0)).all()


def test_second_derivative():
    """The gradient's own gradient, against differences."""
    rng = np.random.default_rng(0)
    x, gamma, dy = rng.standard_normal((3, 5)), rng.standard_normal(5), rng.standard_normal((3, 5))

    def layer(x, gamma, dy):
        mean = _core.mean(x, axis=[1], keepdims=True)
        variance = _core.mean(_core.square(_core.subtract(x, mean)), axis=[1], keepdims=False)
        rstd = _core.rsqrt(_core.add(variance, EPSILON))
        return _core.layer_norm_grad(x, gamma, _core.reshape(mean, shape=[3]), rstd, dy, epsilon=EPSILON)

    def batch(x, gamma, dy):
        mean = _core.mean(x, axis=[0], keepdims=False)
        variance = _core.mean(_core.square(_core.subtract(x, mean)), axis=[0], keepdims=False)
        return _core.batch_norm_grad(x, gamma, mean, variance, dy, epsilon=EPSILON)

    for f in (layer, batch):
        support.check_gradients(f, [x, gamma, dy])


def test_inference_is_one_chain():
    """Given parameters, factor and summand are prepared and the rest is one elementwise step."""
    rng = np.random.default_rng(0)
    vectors = [
        _core.Variable(rng.random(8).astype("float32") + 0.5, name=n) for n in ("mean", "variance", "beta", "gamma")
    ]
    with _core.Trace() as trace:
        x = trace.input([None, 4, 8], "float32")
        mean, variance, beta, gamma = (v.value for v in vectors)
        p = trace.compile([ops.batch_normalization(x, mean, variance, -1, beta, gamma)])
    data = rng.standard_normal((3, 4, 8)).astype("float32")
    mean, variance, beta, gamma = (v.numpy().astype(np.float64) for v in vectors)
    np.testing.assert_allclose(
        p.numpy(data)[0], (data - mean) / np.sqrt(variance + 1e-3) * gamma + beta, rtol=1e-5, atol=1e-6
    )
    assert repr(p).endswith("of 1 steps>"), repr(p)


@pytest.mark.parametrize("axis", [-1, 1])
def test_batch_normalization_as_keras(keras, axis):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 6, 6)).astype("float32")
    mean, variance, offset, scale = rng.random((4, 6)).astype("float32")
    for given in ({}, {"offset": offset, "scale": scale, "epsilon": 1e-2}):
        want = np.asarray(keras.ops.batch_normalization(x, mean, variance, axis, **given))
        np.testing.assert_allclose(
            np.asarray(ops.batch_normalization(x, mean, variance, axis, **given)), want, rtol=1e-5, atol=2e-6
        )


@pytest.mark.parametrize("axis", [-1, [1, 2], [2, 1], 1])
def test_layer_normalization_as_keras(keras, axis):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 4, 5)).astype("float32")
    sizes = [x.shape[a] for a in (sorted(axis) if isinstance(axis, list) else [axis])]
    gamma, beta = rng.standard_normal((2, *sizes)).astype("float32")
    for given in ({}, {"gamma": gamma}, {"gamma": gamma, "beta": beta, "epsilon": 1e-2}):
        want = np.asarray(keras.ops.layer_normalization(x, axis=axis, **given))
        np.testing.assert_allclose(
            np.asarray(ops.layer_normalization(x, axis=axis, **given)), want, rtol=1e-5, atol=2e-6
        )


def test_half_precision():
    x = np.random.default_rng(0).standard_normal((4, 9)).astype("float16")
    want = norm_cases.layer_norm(x.astype("float64"), scale=False, center=False)
    y = _core.layer_norm(x, epsilon=EPSILON, scale=False, center=False)
    assert y.dtype == "float16"
    np.testing.assert_allclose(np.asarray(y).astype(np.float64), want, atol=2e-3)


def test_errors():
    x = np.zeros((3, 4), "float32")
    with pytest.raises(ValueError, match=r"gamma must have shape \(4,\).* received \(3,\)"):
        ops.layer_normalization(x, gamma=np.zeros(3, "float32"))
    with pytest.raises(ValueError, match="axis"):
        ops.layer_normalization(x, axis=2)
    with pytest.raises(TypeError, match="received int32"):
        _core.layer_norm(np.zeros((3, 4), "int32"), scale=False, center=False)
    with pytest.raises(ValueError, match=r"variance must have shape \(4,\), received \(3,\)"):
        ops.batch_normalization(x, np.zeros(4, "float32"), np.zeros(3, "float32"), axis=-1)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", ["conv", "matmul", "chain of two"])
def test_inference_folds_into_weights(kind, bias):
    """After a convolution or product with parameters, nothing is left of the normalization but the bias."""
    rng = np.random.default_rng(0)
    w = _core.Variable(rng.standard_normal((3, 3, 5, 5) if kind == "conv" else (5, 5)).astype("float32"), name="w")
    b = _core.Variable(rng.standard_normal(5).astype("float32"), name="b")
    statistics = [
        _core.Variable(rng.random(5).astype("float32") + 0.5, name=n) for n in ("mean", "variance", "beta", "gamma")
    ]

    def block(x):
        y = _core.conv(x, w.value) if kind == "conv" else _core.matmul(x, w.value)
        y = _core.add(y, b.value) if bias else y
        mean, variance, beta, gamma = (v.value for v in statistics)
        return _core.relu(ops.batch_normalization(y, mean, variance, -1, beta, gamma))

    def function(x):
        return block(block(x)) if kind == "chain of two" else block(x)

    shape = (2, 6, 6, 5) if kind == "conv" else (4, 5)
    with _core.Trace() as trace:
        p = trace.compile([function(trace.input([None, *shape[1:]], "float32"))])
    x = rng.standard_normal(shape).astype("float32")
    np.testing.assert_allclose(p.numpy(x)[0], np.asarray(function(x)), rtol=1e-5, atol=1e-5)
    prepared = re.escape(str(w.shape))
    assert re.search(rf"prepare \d+: chain .* -> float32{prepared}", p.plan), "the weights are not scaled:\n" + p.plan
    b.assign(np.full(5, 3, "float32"))
    np.testing.assert_allclose(p.numpy(x)[0], np.asarray(function(x)), rtol=1e-5, atol=1e-5)


def test_no_folding_into_weights_that_change():
    w = _core.Variable(np.eye(4, dtype="float32"), name="w")
    s = _core.Variable(np.arange(4, dtype="float32"), name="s")
    with _core.Trace() as trace:
        x = trace.input([None, 4], "float32")
        y = _core.multiply(_core.matmul(x, w.value), s.value)
        w.assign(_core.add(w.value, 1.0))
        p = trace.compile([y])
    x = np.ones((2, 4), "float32")
    np.testing.assert_array_equal(p.numpy(x)[0], np.arange(4) * np.ones((2, 1)))
    np.testing.assert_array_equal(p.numpy(x)[0], np.arange(4) * 5 * np.ones((2, 1)))


@pytest.mark.parametrize("axis", [-1, [1, 2], 1])
def test_rms_normalization_as_keras(keras, axis):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 5, 5)).astype("float32")
    scale = rng.standard_normal((5, 5) if isinstance(axis, list) else 5).astype("float32")
    for given in ({}, {"scale": scale, "epsilon": 1e-2}):
        want = np.asarray(keras.ops.rms_normalization(x, axis=axis, **given))
        np.testing.assert_allclose(np.asarray(ops.rms_normalization(x, axis=axis, **given)), want, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("axis", [-1, 0])
def test_normalize_as_keras(keras, axis, order):
    x = np.random.default_rng(0).standard_normal((3, 4)).astype("float32")
    x[1] = 0
    want = np.asarray(keras.ops.normalize(x, axis=axis, order=order))
    np.testing.assert_allclose(np.asarray(ops.normalize(x, axis=axis, order=order)), want, rtol=1e-5, atol=1e-6)


def test_group_normalization_refuses():
    x = np.zeros((2, 3, 6), "float32")
    with pytest.raises(ValueError, match="groups must divide the 6 channels, received groups=4"):
        ops.group_normalization(x, 4)
    with pytest.raises(ValueError, match="axis must be in"):
        ops.group_normalization(x, 2, axis=0)
