"""grad, value_and_grad, custom_gradient and GradientTape against JAX and finite differences in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import maas
from maas import ops

X = np.random.default_rng(0).normal(size=(4, 3))
W = np.random.default_rng(1).normal(size=(3, 5))


@pytest.fixture
def x64():
    """JAX counts in 64 bits for one test: other tests' oracles are JAX as it comes."""
    with jax.enable_x64(True):
        yield


def model(np_like, tanh, x, w, b):
    h = tanh(np_like.matmul(x, w) + b)
    return np_like.sum(h * h) + np_like.sum(np_like.exp(-h))


def ours(x, w, b):
    return model(ops, ops.tanh, x, w, b)


def theirs(x, w, b):
    return model(jnp, jnp.tanh, x, w, b)


def finite_differences(f, x, step=1e-6):
    out = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        out[i] = (float(f(up)) - float(f(down))) / (2 * step)
    return out


@pytest.mark.parametrize("jitted", [False, True])
def test_argnums_and_values_are_those_of_jax(jitted, x64):
    b = np.zeros(5)
    f = maas.value_and_grad(ours, argnums=(1, 0))
    value, (dw, dx) = (maas.jit(f) if jitted else f)(X, W, b)
    want, (want_dw, want_dx) = jax.value_and_grad(theirs, argnums=(1, 0))(X, W, b)
    np.testing.assert_allclose(float(value), float(want), rtol=1e-12)
    np.testing.assert_allclose(dw.numpy(), want_dw, rtol=1e-11)
    np.testing.assert_allclose(dx.numpy(), want_dx, rtol=1e-11)
    np.testing.assert_allclose(dw.numpy(), finite_differences(lambda w: ours(X, w, b), W), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("jitted", [False, True])
def test_grad_of_grad_and_closures(jitted, x64):
    def first(f, grad, np_like):
        def g(x):
            z = x * 2.0  # of the outer x: a constant to the inner derivative
            return np_like.sum(grad(lambda y: np_like.sum(y**3 * z))(x) ** 2)

        return g

    f = maas.grad(first(None, maas.grad, ops))
    got = (maas.jit(f) if jitted else f)(X).numpy()
    np.testing.assert_allclose(got, jax.grad(first(None, jax.grad, jnp))(X), rtol=1e-11)


def test_jit_inside_grad():
    f = maas.jit(lambda x: ops.sum(ops.sin(x) * x))
    np.testing.assert_allclose(maas.grad(f)(X).numpy(), np.cos(X) * X + np.sin(X), rtol=1e-12)


def test_nested_arguments_aux_and_unused():
    params = {"w": W, "b": [np.zeros(5), None], "unused": np.ones(2)}

    def loss(p, x):
        h = ops.matmul(x, p["w"]) + p["b"][0]
        return ops.sum(h * h), {"h": h, "n": 3}

    grads, aux = maas.grad(loss, has_aux=True)(params, X)
    np.testing.assert_allclose(grads["w"].numpy(), 2 * X.T @ (X @ W), rtol=1e-12)
    assert grads["b"][1] is None and aux["n"] == 3
    np.testing.assert_array_equal(grads["unused"].numpy(), np.zeros(2))


def test_variables_are_arguments():
    w = maas.Variable(W, dtype="float64")
    (dw,) = maas.grad(lambda w: ops.sum(w**2), argnums=(0,))(w)
    np.testing.assert_allclose(dw.numpy(), 2 * W)


def test_python_may_branch_on_values_outside_traces():
    def f(x):
        return x * 2.0 if float(x) > 0 else -x

    assert float(maas.grad(f)(np.float64(3))) == 2 and float(maas.grad(f)(np.float64(-3))) == -1


@pytest.mark.parametrize("jitted", [False, True])
@pytest.mark.parametrize(
    "f, x, error, word",
    [
        (lambda x: x * 2.0, np.ones(3), ValueError, r"scalar.*\(3,\)"),
        (lambda x: ops.sum(x), np.ones(3, int), TypeError, "int"),
        (lambda x: ops.argmax(x), np.ones(3), TypeError, "int32"),
        (lambda x: "text", np.ones(3), TypeError, "str"),
    ],
)
def test_errors(f, x, error, word, jitted):
    g = maas.grad(f)
    with pytest.raises(error, match=word):
        (maas.jit(g) if jitted else g)(x)


def test_argnums_out_of_range_and_names():
    def energy(x):
        raise ValueError("inside")

    with pytest.raises(ValueError, match="argnums names argument 2"):
        maas.grad(energy, argnums=2)(X)
    with pytest.raises(ValueError, match="energy: inside"):
        maas.grad(energy)(X)


@maas.custom_gradient
def log1pexp(x):
    e = ops.exp(x)

    def grad(*args, upstream=None):
        if upstream is None:
            (upstream,) = args
        return ops.multiply(upstream, 1.0 - 1.0 / ops.add(1.0, e))

    return ops.log(1.0 + e), grad


@pytest.mark.parametrize("jitted", [False, True])
def test_custom_gradient_is_the_given_one(jitted):
    f = maas.grad(log1pexp)
    f = maas.jit(f) if jitted else f
    assert float(f(np.float32(100))) == 1.0  # the plain rule gives nan here
    second = maas.grad(maas.grad(log1pexp))
    second = maas.jit(second) if jitted else second
    s = 1 / (1 + np.exp(-0.3))
    np.testing.assert_allclose(float(second(np.float64(0.3))), s * (1 - s), rtol=1e-12)


def test_custom_gradient_keeps_the_bits_of_the_value():
    x = np.linspace(-5, 5, 1001).astype("float32")
    plain = ops.log(1.0 + ops.exp(x)).numpy()
    np.testing.assert_array_equal(log1pexp(x).numpy(), plain)
    np.testing.assert_array_equal(
        maas.jit(log1pexp)(x).numpy(), maas.jit(lambda x: ops.log(1.0 + ops.exp(x)))(x).numpy()
    )
    value, _ = maas.jit(maas.value_and_grad(lambda x: ops.sum(log1pexp(x))))(x)
    np.testing.assert_allclose(float(value), plain.astype("float64").sum(), rtol=1e-6)


def test_custom_gradient_of_several_arguments():
    @maas.custom_gradient
    def f(a, b):
        return (a * b, a + b), lambda da, db: (da * 10.0, db * 100.0)

    def total(a, b):
        p, s = f(a, b)
        return ops.sum(p * 2.0) + ops.sum(s)

    for g in (maas.grad(total, (0, 1)), maas.jit(maas.grad(total, (0, 1)))):
        da, db = g(X, X)
        np.testing.assert_array_equal(da.numpy(), np.full_like(X, 20))
        np.testing.assert_array_equal(db.numpy(), np.full_like(X, 100))
    with pytest.raises(ValueError, match="2 gradients, received 1"):
        maas.jit(maas.custom_gradient(lambda a, b: (a * b, lambda d: d)))(X, X)
    with pytest.raises(TypeError, match="must return"):
        maas.jit(maas.custom_gradient(lambda a: a))(X)


def test_tape_values_are_there_while_it_records():
    x = maas.ops.convert_to_tensor(X)
    with maas.GradientTape() as tape:
        tape.watch(x)
        y = x * x
        np.testing.assert_array_equal(y.numpy(), X * X)
        z = ops.sum(y * 3.0) if float(ops.sum(y)) > 0 else ops.sum(x)
    np.testing.assert_allclose(tape.gradient(z, x).numpy(), 6 * X, rtol=1e-12)
    with pytest.raises(RuntimeError, match="persistent=True"):
        tape.gradient(z, x)


def test_tape_watches_trainable_variables_and_sums_their_readings():
    v, frozen = maas.Variable(W, dtype="float64"), maas.Variable(W, dtype="float64", trainable=False)
    with maas.GradientTape(persistent=True) as tape:
        loss = ops.sum(v * v) + ops.sum(v * 2.0) + ops.sum(frozen)
        assert tape.watched_variables() == (v,)
    got = tape.gradient(loss, [v, frozen])
    np.testing.assert_allclose(got[0].numpy(), 2 * W + 2)
    assert got[1] is None
    np.testing.assert_array_equal(tape.gradient(loss, frozen, unconnected_gradients="zero").numpy(), np.zeros_like(W))
    with maas.GradientTape(watch_accessed_variables=False) as tape:
        loss = ops.sum(v * v)
    assert tape.gradient(loss, v) is None


def test_nested_tapes_give_second_derivatives():
    x = maas.ops.convert_to_tensor(X)
    with maas.GradientTape() as outer:
        outer.watch(x)
        with maas.GradientTape() as inner:
            inner.watch(x)
            y = ops.sum(ops.sin(x) * x)
        first = inner.gradient(y, x)
    np.testing.assert_allclose(outer.gradient(first, x).numpy(), 2 * np.cos(X) - X * np.sin(X), rtol=1e-11)


def test_tape_output_gradients_jacobian_pauses_and_unwatched():
    x, other = maas.ops.convert_to_tensor(X), maas.ops.convert_to_tensor(X)
    with maas.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = ops.exp(x)
        with tape.stop_recording():
            z = x * 5.0
    np.testing.assert_allclose(tape.gradient(y, x, output_gradients=X).numpy(), X * np.exp(X), rtol=1e-12)
    assert tape.gradient(z, x) is None and tape.gradient(y, other) is None
    np.testing.assert_allclose(tape.jacobian(y, x).numpy().reshape(12, 12), np.diag(np.exp(X).reshape(-1)), rtol=1e-12)


def test_models_under_a_tape_give_the_gradients_of_a_trace():
    m = maas.Sequential([maas.Input((3,)), maas.layers.Dense(8, activation="gelu"), maas.layers.LayerNormalization()])
    x = X.astype("float32")
    m(x), m(x)  # the short cut of compiled calls must not hide the ops
    with maas.GradientTape() as tape:
        loss = ops.mean(m(x) ** 3)
    got = tape.gradient(loss, m.trainable_variables)

    @maas.jit
    def traced():
        with maas.GradientTape() as t:
            inner = ops.mean(m(x) ** 3)
        return t.gradient(inner, m.trainable_variables)

    for a, b in zip(got, traced()):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-6)


def test_tape_frees_what_it_kept():
    import gc
    import weakref

    class Counted(maas.GradientTape):
        pass

    x = maas.ops.convert_to_tensor(X)
    with Counted() as tape:
        tape.watch(x)
        y = ops.sum(x * x)
    gone = weakref.ref(tape)
    tape.gradient(y, x)
    del tape
    gc.collect()
    assert gone() is None and not maas._core.is_recording()
