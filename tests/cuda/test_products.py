"""Products on a GPU: no panels, epilogues in their kernels, 16-bit floats summed in float32, any strides."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

import maas
from maas import ops

pytestmark = pytest.mark.usefixtures("gpu")

RNG = np.random.default_rng(0)
X, W, BIAS, MORE = (RNG.normal(size=s).astype("float32") for s in ((3, 9, 40), (40, 24), (24,), (3, 9, 24)))


def _jit(f, *arrays):
    """The results of f on the GPU, of a run step by step and of a recorded one, and its plan."""
    jitted = maas.jit(f)
    with maas.device("gpu"):
        first = jitted(*arrays)
        again = jitted(*arrays)
        plan = str(jitted.plan(*arrays))
    np.testing.assert_array_equal(np.asarray(first), np.asarray(again))
    return np.asarray(first).astype("float64"), plan


def _steps(plan):
    return sum(line.startswith("step ") for line in plan.splitlines())


def _exact_gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / 2**0.5))


EPILOGUES = {
    "bias": (lambda y, b, r: y + b, lambda y, b, r: y + b),
    "bias relu": (lambda y, b, r: ops.relu(y + b), lambda y, b, r: np.maximum(y + b, 0)),
    "relu": (lambda y, b, r: ops.relu(y), lambda y, b, r: np.maximum(y, 0)),
    "gelu": (lambda y, b, r: ops.gelu(b + y, approximate=False), lambda y, b, r: _exact_gelu(y + b)),
    "residual": (lambda y, b, r: r + (y + b), lambda y, b, r: y + b + r),
    "residual relu": (lambda y, b, r: ops.relu(y + b + r), lambda y, b, r: np.maximum(y + b + r, 0)),
    "gelu residual": (
        lambda y, b, r: ops.gelu(y + b, approximate=False) + r,
        lambda y, b, r: _exact_gelu(y + b) + r,
    ),
}


@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-6), ("bfloat16", 8e-3), ("float16", 1e-3)])
@pytest.mark.parametrize("name", EPILOGUES)
def test_epilogues_join_the_product(name, dtype, tolerance):
    function, oracle = EPILOGUES[name]
    arrays = [np.asarray(jnp.asarray(a, dtype)) for a in (X, W, BIAS, MORE)]
    got, plan = _jit(lambda x, w, b, r: function(ops.matmul(x, w), b, r), *arrays)
    x, w, b, r = (a.astype("float64") for a in arrays)
    want = oracle(x @ w, b, r)
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * 4)
    assert "gemm_pack" not in plan and _steps(plan) == 1, plan


def test_an_epilogue_of_other_functions_follows_as_a_chain():
    got, plan = _jit(lambda x, w, b: ops.tanh(ops.matmul(x, w) + b) * 2.0, X, W, BIAS)
    np.testing.assert_allclose(got, np.tanh(X.astype("float64") @ W + BIAS) * 2, rtol=1e-5, atol=1e-5)
    assert _steps(plan) == 2, plan


@pytest.mark.parametrize("dtype, tolerance", [("float32", 3e-6), ("bfloat16", 8e-3)])
def test_views_are_read_in_place(dtype, tolerance):
    a, b = (np.asarray(jnp.asarray(RNG.normal(size=s), dtype)) for s in ((5, 4, 33, 16), (5, 4, 16, 12)))

    def f(a, b):
        left = ops.transpose(a, (1, 0, 3, 2))[:, 1:, ::2]
        return ops.matmul(left, ops.swapaxes(ops.transpose(b, (1, 0, 3, 2))[:, 1:], -1, -2)[..., :1, :])

    a64, b64 = a.astype("float64"), b.astype("float64")
    left = a64.transpose(1, 0, 3, 2)[:, 1:, ::2, :1]
    want = left @ b64.transpose(1, 0, 2, 3)[:, 1:, :1, :]
    got, _ = _jit(lambda a, b: f(a[:, :, :1], b), a, b)
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * 4)


def test_gradients_follow_the_cpu():
    def loss(w, x, b):
        return ops.sum(ops.square(ops.relu(ops.matmul(x, w) + b)))

    grad = maas.jit(maas.grad(loss))
    cpu = np.asarray(grad(W, X, BIAS))
    with maas.device("gpu"):
        gpu = np.asarray(grad(W, X, BIAS))
    np.testing.assert_allclose(gpu, cpu, rtol=2e-5, atol=2e-4)
