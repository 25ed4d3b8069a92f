"""remat: less memory, equal values and gradients."""

import numpy as np
import pytest

import maas
from maas import _core, ops

X = np.random.default_rng(0).normal(size=(256, 64)).astype("float32")


def step(blocks, wrap):
    """(program outputs, memory report) of loss and gradients of a stack of blocks."""
    variables = [v for b in blocks for v in b.trainable_variables]
    with _core.Trace() as trace:
        x = trace.input(X.shape, name="x")
        h = x
        for b in blocks:
            h = wrap(b)(h)
        loss = ops.mean(h * h)
        program = trace.compile([loss, *_core.gradients(loss, [*variables, x])])
    return [y.numpy() for y in program(X)], program.memory([X])


def mlp(depth=8):
    blocks = [
        maas.Sequential(
            [maas.Input((64,)), maas.layers.Dense(256, activation="gelu"), maas.layers.Dense(256, activation="tanh"),
             maas.layers.Dense(64)]
        )
        for _ in range(depth)
    ]  # fmt: skip
    return blocks


def test_peak_memory_falls_and_nothing_else_changes():
    blocks = mlp()
    plain, before = step(blocks, lambda b: b)
    less, after = step(blocks, maas.remat)
    assert after["peak"] < 0.6 * before["peak"], (before["text"], after["text"])
    for a, b in zip(plain, less):
        np.testing.assert_array_equal(a, b)


def test_transformer_blocks_with_dropout_draw_the_same_numbers():
    def block(x):
        h = x + attention(norm1(x), norm1(x))
        return h + dropout(down(up(norm2(h))), training=True)

    norm1, norm2 = maas.layers.LayerNormalization(), maas.layers.LayerNormalization()
    attention = maas.layers.MultiHeadAttention(2, 8)
    up, down = maas.layers.Dense(64, activation="gelu"), maas.layers.Dense(16)
    x = np.random.default_rng(0).normal(size=(4, 10, 16)).astype("float32")

    def run(wrap):
        nonlocal dropout
        dropout = maas.layers.Dropout(0.5, seed=3)

        def loss(x):
            return ops.sum(wrap(block)(x) ** 2)

        value, dx = maas.jit(maas.value_and_grad(loss))(x)
        return float(value), dx.numpy()

    dropout = None
    (a, da), (b, db) = run(lambda f: f), run(maas.remat)
    assert a == b
    np.testing.assert_allclose(db, da, rtol=1e-5, atol=1e-5)


def test_remat_scope_marks_the_layers_made_inside():
    with maas.RematScope(mode="full"):
        inside = mlp(4)
    outside = mlp(4)
    for a, b in zip(inside, outside):
        b.set_weights(a.get_weights())
    less, after = step(inside, lambda b: b)
    plain, before = step(outside, lambda b: b)
    for a, b in zip(plain, less):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)
    assert after["peak"] < before["peak"]
    with pytest.raises(ValueError, match="mode must be one of"):
        maas.RematScope(mode="half")


def test_several_outputs_and_outside_a_trace():
    f = maas.remat(lambda x: (ops.sin(x), {"n": 3, "c": ops.cos(x) * x}))

    def loss(x):
        s, rest = f(x)
        return ops.sum(s * rest["c"])

    x = np.linspace(-1, 1, 7)
    want = np.cos(x) ** 2 * x - np.sin(x) ** 2 * x + np.sin(x) * np.cos(x)
    np.testing.assert_allclose(maas.jit(maas.grad(loss))(x).numpy(), want, rtol=1e-12)
    np.testing.assert_allclose(maas.grad(loss)(x).numpy(), want, rtol=1e-12)
    assert f(x)[1]["n"] == 3
