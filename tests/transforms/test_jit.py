"""jit: signatures, state, errors, stale traces."""

import numpy as np
import pytest

import maas
from maas import ops

X = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")


def counted(f):
    def g(*args, **kwargs):
        g.traces += 1
        return f(*args, **kwargs)

    g.traces = 0
    return g


def test_nested_inputs_and_outputs():
    @maas.jit
    def f(batch, scale=2.0, *, flag=True):
        a, (b, c) = batch["a"], batch["bc"]
        return {"sum": a + b * scale if flag else a, "same": (c, None, [3, "text"])}

    batch = {"a": X, "bc": (X + 1, None)}
    out = f(batch)
    np.testing.assert_allclose(out["sum"].numpy(), X + (X + 1) * 2, rtol=1e-6)
    assert out["same"] == (None, None, [3, "text"])
    np.testing.assert_array_equal(f(batch, flag=False)["sum"].numpy(), X)
    assert "2 programs" in repr(f)


def test_one_open_size_serves_the_sizes_after_the_second():
    g = counted(lambda x, y: ops.sum(x * y, axis=1))
    f = maas.jit(g)
    for n in (6, 5, 4, 3, 6, 1, 1):
        np.testing.assert_allclose(f(X[:n], X[:n]).numpy(), (X[:n] ** 2).sum(1), rtol=1e-5)
    assert g.traces == 3  # 6, open, 1
    g = counted(lambda x: x * x.shape[0])
    f = maas.jit(g)
    for n in (6, 5, 4):
        np.testing.assert_array_equal(f(X[:n]).numpy(), X[:n] * np.float32(n))


def test_dtypes_ranks_and_static_arguments_are_signatures():
    g = counted(lambda x, n, mode="sum": getattr(ops, mode)(x) * n)
    f = maas.jit(g, static_argnums=1, static_argnames="mode")
    assert float(f(X, 2)) == pytest.approx(2 * X.sum(), rel=1e-5)
    f(X, 2), f(X.astype("float64"), 2), f(X, n=3), f(X[0], 2), f(X, 2, mode="max")
    assert g.traces == 5
    with pytest.raises(TypeError, match="must be hashable, received list"):
        f(X, [1])
    with pytest.raises(TypeError, match="received object"):
        maas.jit(lambda x: x)(object())


def test_variables_are_state_and_errors_leave_them():
    v = maas.Variable(np.zeros(3, "float32"))

    @maas.jit
    def add(x, table):
        v.assign(v + ops.sum(x, axis=0))
        return ops.take(table, ops.cast(x[0, :1], "int32"), axis=0), v.value

    out = add(np.ones((2, 3), "float32"), np.arange(5.0, dtype="float32"))
    np.testing.assert_array_equal(out[1].numpy(), [2, 2, 2])
    np.testing.assert_array_equal(v.numpy(), [2, 2, 2])


def test_layers_are_built_inside_and_their_changes_noticed():
    d = maas.layers.Dense(4)
    g = counted(lambda x, w=None: d(x) if w is None else w(x))
    f = maas.jit(g)
    want = X @ np.asarray(f(X) is not None and d.kernel.numpy()) + d.bias.numpy()
    np.testing.assert_allclose(f(X).numpy(), want, rtol=1e-5, atol=1e-6)
    d.kernel.assign(np.zeros((3, 4)))
    np.testing.assert_array_equal(f(X).numpy(), np.zeros((6, 4)))
    assert g.traces == 1
    d.activation = maas.activations.sigmoid
    np.testing.assert_array_equal(f(X).numpy(), np.full((6, 4), 0.5))
    assert g.traces == 2
    d.trainable = False
    f(X)
    assert g.traces == 3


def test_a_branch_on_a_traced_value_names_cond_and_the_function():
    def choose(x):
        return x if ops.sum(x) > 0 else -x

    with pytest.raises(TypeError, match="choose: .*ops.cond"):
        maas.jit(choose)(X)


def test_errors_name_the_function_once():
    @maas.jit
    def outer(x):
        return inner(x)

    @maas.jit
    def inner(x):
        return ops.matmul(x, x)

    with pytest.raises(ValueError, match=r"^outer: matmul"):
        outer(X)


def test_nested_jit_models_and_plan():
    m = maas.Sequential([maas.Input((3,)), maas.layers.Dense(2)])
    inner = maas.jit(lambda x: m(x) * 2)
    outer = maas.jit(lambda x: inner(x) + 1)
    np.testing.assert_allclose(outer(X).numpy(), m(X).numpy() * 2 + 1, rtol=1e-5)
    np.testing.assert_array_equal(maas.jit(m)(X).numpy(), m(X).numpy())
    assert "gemm" in outer.plan(X)


def test_cache_is_bounded_and_says_when_it_fills():
    f = maas.jit(lambda x, n: x * n)
    with pytest.warns(UserWarning, match="compiled for 17 signatures"):
        for n in range(80):
            f(X, n)
    assert "64 programs" in repr(f)


def test_decorator_method_and_keras_tensor():
    class Scaled:
        _version = 0

        @maas.jit
        def __call__(self, x):
            return x * 3

    np.testing.assert_array_equal(Scaled().__call__(X).numpy(), X * 3)
    assert maas.jit(lambda x: ops.relu(x))(maas.Input((3,))).shape == (None, 3)
