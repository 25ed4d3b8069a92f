"""Layer and batch normalization: every kernel against float64, gradients, equal bits, Keras, typed errors."""

import re

import numpy as np
import pytest

from maas import _core, ops
from tests.ops import norm_cases, support

EPSILON = 1e-3


def layer_norm(case):
    return lambda *a: _core.layer_norm(*a, axis=list(case.axis), epsilon=EPSILON, scale=case.scale, center=case.center)


def batch_norm(case):
    return lambda *a: _core.batch_norm_train(
        *a, axis=case.axis[0], epsilon=EPSILON, scale=case.scale, center=case.center
    )


def close(got, want, eps, size=1.0):
    np.testing.assert_allclose(got, want, rtol=16 * eps, atol=16 * eps * size)


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", norm_cases.LAYER, ids=str)
def test_layer_norm(case, dtype, level):
    operands = case.operands(dtype)
    with support.isa(level):
        y = np.asarray(layer_norm(case)(*operands))
    assert y.dtype == dtype and y.shape == case.shape
    close(y, norm_cases.layer_norm(case, operands, EPSILON), np.finfo(dtype).eps, 1 + case.mean)


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", norm_cases.BATCH, ids=str)
def test_batch_norm(case, dtype, level):
    operands = case.operands(dtype)
    with support.isa(level):
        results = support.forward(batch_norm(case), operands)
    for got, want in zip(results, norm_cases.batch_norm(case, operands, EPSILON)):
        assert got.dtype == dtype
        close(got, want, np.finfo(dtype).eps, 1 + case.mean)


@pytest.mark.parametrize("case", [c for c in norm_cases.LAYER if c.shape[0]], ids=str)
def test_layer_norm_gradient(case):
    support.check_gradients(layer_norm(case), case.operands("float64"))


@pytest.mark.parametrize("case", [c for c in norm_cases.BATCH if c.shape[0] < 100], ids=str)
def test_batch_norm_gradient(case):
    """Also through mean and variance, which users may put into a loss."""
    support.check_gradients(batch_norm(case), case.operands("float64"))


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize(
    "function, case",
    [*((layer_norm, c) for c in norm_cases.LAYER), *((batch_norm, c) for c in norm_cases.BATCH)],
    ids=lambda v: getattr(v, "__name__", str(v)),
)
def test_float32_gradients(function, case, level):
    """Against the float64 rows on the same numbers."""
    operands, f = case.operands(), function(case)
    ws = support.cotangents(f, operands)
    wide = [a.astype(np.float64) for a in (*operands, *ws)]
    want = support.program(f, wide[: len(operands)]).numpy(*wide)
    with support.isa(level):
        got = support.program(f, operands, symbolic_batch=[0]).numpy(*operands, *ws)
    for g, w in zip(got, want):
        close(g, w, 2.0**-23, (4 + 2 * case.mean**2) * (1 + np.abs(w).max(initial=0)))


@pytest.mark.parametrize(
    "function, case",
    [*((layer_norm, c) for c in norm_cases.LAYER if c.shape[0]), *((batch_norm, c) for c in norm_cases.BATCH)],
    ids=lambda v: getattr(v, "__name__", str(v)),
)
def test_bits(function, case):
    support.check_bits(function(case), case.operands())


@pytest.mark.parametrize("level", support.LEVELS)
def test_layer_norm_row_alone(level):
    case = norm_cases.Case((9, 77))
    x, gamma, beta = case.operands()
    with support.isa(level):
        whole = np.asarray(layer_norm(case)(x, gamma, beta))
        for i in range(len(x)):
            support.same_bits([np.asarray(layer_norm(case)(x[i : i + 1], gamma, beta))[0]], [whole[i]])
        x[4, 5] = np.nan
        marred = np.asarray(layer_norm(case)(x, gamma, beta))
    assert np.isnan(marred[4]).all()
    np.testing.assert_array_equal(np.delete(marred, 4, 0), np.delete(whole, 4, 0))


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
    want = norm_cases.layer_norm(norm_cases.Case((4, 9), scale=False, center=False), [x], EPSILON)
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
