"""Rewrites of whole graphs, on small graphs: what they find, what they leave alone, and that answers stay."""

import re

import numpy as np
import pytest

from maas import _core

EPS = np.finfo("float32").eps


def run(function, *arrays, symbolic=True):
    """(steps that run, outputs) of `function` compiled for these arrays; the first axis is unknown."""
    with _core.Trace() as trace:
        shapes = [("batch", *a.shape[1:]) if symbolic and a.ndim > 1 else a.shape for a in arrays]
        inputs = [trace.input(list(s), str(a.dtype), f"x{i}") for i, (s, a) in enumerate(zip(shapes, arrays))]
        outputs = function(*inputs)
        program = trace.compile(list(outputs) if isinstance(outputs, (list, tuple)) else [outputs])
    return re.findall(r"^step \d+: (\S+)", program.plan, re.M), program.numpy(*arrays)


def eager(function, *arrays):
    """The same op by op, which no rewrite sees."""
    outputs = function(*(_core.Tensor(a) for a in arrays))
    return [np.asarray(y) for y in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]


def near(got, want, epsilons):
    for a, b in zip(got, want):
        assert np.abs(a - b).max() <= epsilons * EPS * max(1, np.abs(b).max())


def randn(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype("float32")


# ---- arithmetic


SPECIAL = np.array([[0.0, -0.0, np.inf, -np.inf, np.nan, 1.5, -2.0, 1.2e-38]], "float32")


@pytest.mark.parametrize(
    "function",
    [
        lambda x: _core.softmax(x * 1.0),
        lambda x: _core.softmax(_core.multiply(1.0, x)),
        lambda x: _core.softmax(x / 1.0),
        lambda x: _core.softmax(x - 0.0),
        lambda x: _core.softmax(_core.negative(_core.negative(x))),
        lambda x: _core.softmax(_core.power(x, 1.0)),
    ],
)
def test_arithmetic_that_does_nothing_is_gone(function):
    steps, _ = run(function, randn(3, 8))
    assert steps == ["softmax"]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * 1.0,
        lambda x: x / 1.0,
        lambda x: x - 0.0,
        lambda x: x + 0.0,
        lambda x: -(-x),  # noqa: B002
        lambda x: x - float("-0.0"),
    ],
)
def test_not_a_bit_changes(function):
    _, (got,) = run(function, SPECIAL)
    (want,) = eager(function, SPECIAL)
    np.testing.assert_array_equal(got.view("uint32")[~np.isnan(got)], want.view("uint32")[~np.isnan(want)])
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))


@pytest.mark.parametrize(
    "function",
    [lambda x: x + 0.0, lambda x: x * 2.0, lambda x: x - float("-0.0"), lambda x: x * np.ones((1, 8), "float32")],
)
def test_arithmetic_that_does_something_stays(function):
    steps, _ = run(lambda x: _core.softmax(function(x)), randn(3, 8))
    assert len(steps) == 2


def test_a_one_that_broadcasts_stays():
    """x * 1 is not x where 1 has more axes."""
    _, (y,) = run(lambda x: x * np.ones((1, 1, 1), "float32"), randn(3, 8))
    assert y.shape == (1, 3, 8)


ABOVE = np.full((2, 3), 1 + 1e-12)  # which float32 does not tell from 1


@pytest.mark.parametrize(
    "function",
    [
        lambda wide, narrow: _core.where(_core.greater(wide * wide, 1.0), narrow, -narrow),
        lambda wide, narrow: _core.logical_and(_core.equal(wide * wide, 1.0), _core.greater(narrow, 0.0)),
        lambda wide, narrow: _core.where(_core.greater(narrow * narrow, 0.0), wide * wide, wide) - 1.0,
    ],
)
def test_bools_bring_no_float64_into_a_chain_of_float32(function):
    arrays = ABOVE, np.ones((2, 3), "float32")
    _, (got,) = run(function, *arrays)
    np.testing.assert_array_equal(got, eager(function, *arrays)[0])


# ---- attention


def spelled(q, k, v, scale=None, divide=None, bias=None, transpose=True):
    s = _core.matmul(q, k, transpose_b=True) if transpose else _core.matmul(q, k)
    if scale is not None:
        s = s * scale
    if divide is not None:
        s = s / divide
    if bias is not None:
        s = s + bias
    return _core.matmul(_core.softmax(s, axis=-1), v)


CASES = {
    "plain": {},
    "scale": {"scale": 0.25},
    "divide": {"divide": 4.0},
    "bias": {"divide": 4.0, "bias": randn(1, 1, 5, 7)},
    "bias of few axes": {"scale": 0.5, "bias": randn(5, 7)},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("transpose", [True, False])
def test_attention_that_is_spelled_out_runs_fused(case, transpose):
    q, k, v = randn(2, 3, 5, 8), randn(2, 3, 7, 8), randn(2, 3, 7, 6)
    if not transpose:
        k = np.ascontiguousarray(k.swapaxes(2, 3))
    steps, got = run(lambda *x: spelled(*x, **CASES[case], transpose=transpose), q, k, v)
    assert "attention" in steps and "softmax" not in steps
    near(got, eager(lambda *x: spelled(*x, **CASES[case], transpose=transpose), q, k, v), 32)


def test_attention_of_three_axes():
    q, k, v = randn(2, 5, 8), randn(2, 7, 8), randn(2, 7, 8)
    steps, got = run(lambda *x: spelled(*x, scale=0.3), q, k, v)
    assert "attention" in steps
    near(got, eager(lambda *x: spelled(*x, scale=0.3), q, k, v), 32)


def test_a_stack_of_attentions():
    """What one rewrite made is an operand of the next."""
    x = randn(2, 4, 5, 8)

    def stack(x):
        for _ in range(3):
            x = spelled(x, x, x, scale=0.35)
        return x

    steps, got = run(stack, x)
    assert [s for s in steps if s != "copy"].count("attention") == 3 and "softmax" not in steps
    near(got, eager(stack, x), 64)


@pytest.mark.parametrize(
    "function",
    [
        lambda q, k, v: [spelled(q, k, v), _core.softmax(_core.matmul(q, k, transpose_b=True))],  # weights are read
        lambda q, k, v: _core.matmul(_core.softmax(_core.matmul(q, k, transpose_b=True), axis=2), v),  # another axis
        lambda q, k, v: spelled(q, k, v, scale=-1.0),
        lambda q, k, v: _core.matmul(_core.softmax((_core.matmul(q, k, transpose_b=True) + 1.0) * 0.5), v),
    ],
)
def test_what_only_looks_like_attention_stays(function):
    q, k, v = randn(2, 3, 7, 8), randn(2, 3, 7, 8), randn(2, 3, 7, 8)
    steps, got = run(function, q, k, v)
    assert "attention" not in steps
    near(got, eager(function, q, k, v), 64)


def test_gradients_of_spelled_attention_stay_right():
    q, k, v = (randn(2, 3, 5, 8).astype("float64") for _ in range(3))

    def gradients(q, k, v):
        return _core.gradients(_core.sum(_core.tanh(spelled(q, k, v, scale=0.4))), [q, k, v])

    _, got = run(gradients, q, k, v)
    rng = np.random.default_rng(0)
    for i in range(3):
        d = rng.standard_normal(q.shape)
        sides = []
        for sign in (1, -1):
            moved = [a + sign * 1e-6 * d if j == i else a for j, a in enumerate((q, k, v))]
            sides.append(np.tanh(eager(lambda *x: spelled(*x, scale=0.4), *moved)[0]).sum())
        want = (sides[0] - sides[1]) / 2e-6
        assert abs((got[i] * d).sum() - want) < 1e-6 * (1 + abs(want))


# ---- layer normalization


def norm(x, axes=(-1,), root="sqrt", square="square"):
    axes = list(axes)
    d = x - _core.mean(x, axis=axes, keepdims=True)
    squares = {"square": _core.square, "multiply": lambda d: d * d, "power": lambda d: _core.power(d, 2.0)}[square](d)
    variance = _core.mean(squares, axis=axes, keepdims=True) + 1e-5
    return d / _core.sqrt(variance) if root == "sqrt" else _core.rsqrt(variance) * d


@pytest.mark.parametrize("root", ["sqrt", "rsqrt"])
@pytest.mark.parametrize("square", ["square", "multiply", "power"])
@pytest.mark.parametrize("axes", [(-1,), (1, 2)])
def test_layer_norm_that_is_spelled_out_runs_fused(root, square, axes):
    x, gamma, beta = 3 * randn(4, 5, 16) + 2, randn(16), randn(16)

    def function(x, gamma, beta):
        return norm(x, axes, root, square) * gamma + beta

    steps, got = run(function, x, gamma, beta)
    assert "layer_norm" in steps and "mean" not in steps and len(steps) <= 2
    near(got, eager(function, x, gamma, beta), 32)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: norm(x, (0,)),
        lambda x: norm(x, (1,)),
        lambda x: (
            (x - _core.mean(x, axis=[-1], keepdims=True))
            / _core.sqrt(_core.mean(_core.square(x), axis=[-1], keepdims=True) + 1e-5)
        ),
    ],
)
def test_what_only_looks_like_layer_norm_stays(function):
    x = randn(4, 5, 16)
    steps, got = run(function, x)
    assert "layer_norm" not in steps
    near(got, eager(function, x), 64)
