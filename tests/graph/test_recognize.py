"""What models spell out gets the op, forward and before gradients are taken, in every usual spelling."""

import numpy as np
import pytest

import maas
from maas import _core
from maas import ops as k
from tests.graph.test_simplify import both
from tests.graph.text import ops

SHAPE = ("batch", 5, 16)


def randn(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype("float32")


def mean(x):
    return k.mean(x, -1, keepdims=True)


def mean_of_sum(x):
    return k.sum(x, -1, keepdims=True) / 16.0


def centered(x, average=mean):
    return x - average(x)


GAMMA, BETA = randn(16), randn(16)

LAYER_NORMS = {
    "sqrt and divide": lambda x: centered(x) / k.sqrt(mean(k.square(centered(x))) + 1e-5),
    "rsqrt": lambda x: centered(x) * k.rsqrt(mean(k.square(centered(x))) + 1e-5),
    "torch's export": lambda x: centered(x) / k.sqrt(mean(k.power(centered(x), 2.0)) + 1e-5) * GAMMA + BETA,
    "reciprocal": lambda x: centered(x) * (1.0 / k.sqrt(mean(centered(x) * centered(x)) + 1e-5)),
    "powers": lambda x: centered(x) * k.power(mean(k.power(centered(x), 2.0)) + 1e-5, -0.5),
    "gamma inside": lambda x: centered(x) * (k.rsqrt(mean(k.square(centered(x))) + 1e-5) * GAMMA) + BETA,
    "gamma first": lambda x: (GAMMA * centered(x)) / k.sqrt(mean(k.square(centered(x))) + 1e-5) + BETA,
    "sums": lambda x: centered(x, mean_of_sum) / k.sqrt(mean_of_sum(k.square(centered(x, mean_of_sum))) + 1e-5),
    "ops.var": lambda x: (x - mean(x)) / k.sqrt(k.var(x, -1, keepdims=True) + 1e-5),
    "ops.moments": lambda x: (
        (x - k.moments(x, -1, keepdims=True)[0]) * k.rsqrt(k.moments(x, -1, keepdims=True)[1] + 1e-5) * GAMMA
    ),
}
RMS_NORMS = {
    "rsqrt": lambda x: x * k.rsqrt(mean(k.square(x)) + 1e-6) * GAMMA,
    "divide": lambda x: x / k.sqrt(mean(k.power(x, 2.0)) + 1e-6),
    "gamma first": lambda x: GAMMA * (x * k.rsqrt(mean(x * x) + 1e-6)),
}
GELU = float(np.sqrt(2 / np.pi))
ACTIVATIONS = {
    "gelu_erf": {
        "torch's export": lambda x: x * (k.erf(x / 1.4142135) + 1.0) * 0.5,
        "half first": lambda x: 0.5 * x * (1.0 + k.erf(x * 0.70710678)),
        "half inside": lambda x: x * (0.5 * (1.0 + k.erf(x / 1.41421356))),
    },
    "gelu_tanh": {
        "power": lambda x: 0.5 * x * (1.0 + k.tanh(GELU * (x + 0.044715 * k.power(x, 3.0)))),
        "products": lambda x: 0.5 * x * (1.0 + k.tanh((x + 0.044715 * x * x * x) * GELU)),
        "factored": lambda x: x * 0.5 * (1.0 + k.tanh(x * GELU * (1.0 + 0.044715 * x * x))),
    },
    "silu": {"x sigmoid(x)": lambda x: x * k.sigmoid(x), "sigmoid(x) x": lambda x: k.sigmoid(x) * x},
    "hard_sigmoid": {"hard swish": lambda x: x * k.relu6(x + 3.0) / 6.0},
}
SOFTMAXES = {
    "with its maximum": lambda x: (
        k.exp(x - k.max(x, -1, keepdims=True)) / k.sum(k.exp(x - k.max(x, -1, keepdims=True)), -1, keepdims=True)
    ),
    "without": lambda x: k.exp(x) / k.sum(k.exp(x), 1, keepdims=True),
}


def heads(x):  # (batch, time, 16) -> (batch, 4, time, 4)
    return k.transpose(k.reshape(x, [-1, x.shape[1], 4, 4]), [0, 2, 1, 3])


def joined(y):
    return k.reshape(k.transpose(y, [0, 2, 1, 3]), [-1, y.shape[2], 16])


MASK = np.tril(np.ones((5, 5), bool))[None, None]


def attention(scores):
    def function(x):
        q, key, v = heads(x * 0.5), heads(k.tanh(x)), heads(k.sin(x))
        return joined(k.matmul(k.softmax(scores(q, key), -1), v))

    return function


ATTENTIONS = {
    "scale after": attention(lambda q, x: k.matmul(q, k.transpose(x, [0, 1, 3, 2])) * 0.5),
    "scale of q": attention(lambda q, x: k.matmul(q * 0.5, k.transpose(x, [0, 1, 3, 2]))),
    "scale of both": attention(lambda q, x: k.matmul(q * 0.7071, k.transpose(x, [0, 1, 3, 2]) * 0.7071)),
    "an added mask": attention(
        lambda q, x: k.matmul(q, k.transpose(x, [0, 1, 3, 2])) / 2.0 + np.where(MASK, 0, -1e9).astype("float32")
    ),
    "a mask of truth": attention(
        lambda q, x: k.where(MASK, k.matmul(q, k.transpose(x, [0, 1, 3, 2])) / 2.0, np.float32(-1e9))
    ),
    "a mask of infinity": attention(
        lambda q, x: k.where(MASK, k.matmul(q, k.transpose(x, [0, 1, 3, 2])) / 2.0, np.float32(-np.inf))
    ),
}

SPELLED = [
    *((name, f, "layer_norm") for name, f in LAYER_NORMS.items()),
    *((name, f, "layer_norm") for name, f in RMS_NORMS.items()),
    *((name, f, op) for op, forms in ACTIVATIONS.items() for name, f in forms.items()),
    *((name, f, "softmax") for name, f in SOFTMAXES.items()),
    *((name, f, "attention") for name, f in ATTENTIONS.items()),
]
PARTS = {"sqrt", "rsqrt", "mean", "var", "erf", "tanh", "sigmoid", "relu6", "exp", "max", "power", "square"}
MADE_BY_CASES = {"attention": {"tanh"}}


@pytest.mark.parametrize("name, function, op", SPELLED, ids=[f"{op}-{name}" for name, _, op in SPELLED])
def test_what_is_spelled_out_is_recognized(name, function, op):
    found = ops(function, SHAPE, passes="recognize")
    assert op in found, found
    assert not (PARTS - MADE_BY_CASES.get(op, set())) & set(found), found
    x = 2 * randn(3, 5, 16) + 1
    got, want = both(function, x)
    assert np.abs(got - want).max() <= 64 * np.finfo("float32").eps * max(1, np.abs(want).max())


def gradients(function, x, w, optimised):
    """(names of steps, outputs) of a program that gives the result and the gradient of its sum with weights w."""
    _core.set_passes(optimised)
    try:
        with _core.Trace() as trace:
            dtype = str(x.dtype)
            a, b = trace.input(["batch", *x.shape[1:]], dtype, "x"), trace.input(["batch", *w.shape[1:]], dtype, "w")
            y = function(a)
            (dx,) = _core.gradients(_core.sum(y * b), [a])
            program = trace.compile([y, dx])
    finally:
        _core.set_passes(True)
    return [op for op, _ in program.kernels], program.numpy(x, w)


GRADIENTS = {"layer_norm": "layer_norm_grad", "softmax": "softmax_gradient", "attention": "attention_grad"}


@pytest.mark.parametrize("name, function, op", SPELLED, ids=[f"{op}-{name}" for name, _, op in SPELLED])
def test_the_gradient_is_that_of_the_op(name, function, op):
    x, w = randn(3, 5, 16), randn(2, 5, 17)[:1].repeat(3, 0)[..., :16]
    steps, (y, dx) = gradients(function, x, w, True)
    if op in GRADIENTS:
        assert steps.count(op) == 1 and steps.count(GRADIENTS[op]) == 1, steps
    _, (plain, want) = gradients(function, x, w, False)
    assert np.abs(y - plain).max() <= 64 * 2.0**-23 * max(1, np.abs(plain).max())
    assert np.abs(dx - want).max() <= 512 * 2.0**-23 * max(1, np.abs(want).max())


@pytest.mark.parametrize("name, function, op", SPELLED, ids=[f"{op}-{name}" for name, _, op in SPELLED])
def test_the_gradient_is_the_slope(name, function, op):
    def wide(x):
        return function(x)

    rng = np.random.default_rng(1)
    x, w, d = (rng.standard_normal((2, 5, 16)) for _ in range(3))
    _, (_, dx) = gradients(wide, x, w, True)
    loss = [(gradients(wide, x + s * 1e-6 * d, w, False)[1][0].astype("float64") * w).sum() for s in (1, -1)]
    slope = (loss[0] - loss[1]) / 2e-6
    assert abs((dx * d).sum() - slope) <= 2e-5 * (1 + abs(slope))


def test_what_a_loss_reads_and_what_is_returned_is_computed_once():
    """Predictions, metrics and the loss share the recognized op."""

    def step(x):
        y = LAYER_NORMS["torch's export"](x)
        z = RMS_NORMS["rsqrt"](k.tanh(y))
        (dx,) = _core.gradients(_core.sum(k.square(z)), [x])
        return [y, z, dx, k.mean(y)]

    with _core.Trace() as trace:
        program = trace.compile(step(trace.input(["batch", 5, 16], "float32", "x")))
    steps = [op for op, _ in program.kernels]
    assert steps.count("layer_norm") == 2 and steps.count("layer_norm_grad") == 2


def test_a_target_inside_a_pattern_keeps_its_gradient():
    with _core.Trace() as trace:
        x = trace.input(["batch", 16], "float64", "x")
        average = mean(x)
        d = x - average
        y = _core.sum(k.tanh(d / k.sqrt(mean(k.square(d)) + 1e-5)))
        program = trace.compile(list(_core.gradients(y, [average, d, x])))
    a = np.random.default_rng(0).standard_normal((3, 16))
    found = program.numpy(a)
    assert [g.shape for g in found] == [(3, 1), (3, 16), (3, 16)]
    np.testing.assert_allclose(found[0], -found[1].sum(-1, keepdims=True), rtol=1e-9)
    np.testing.assert_allclose(found[2], found[1] + found[0] / 16, rtol=1e-9, atol=1e-12)


def test_a_second_gradient_goes_through_the_op():
    x = np.random.default_rng(0).standard_normal((2, 5, 16))

    def twice(on):
        _core.set_passes(on)
        try:
            with _core.Trace() as trace:
                a = trace.input(["batch", 5, 16], "float64", "x")
                (first,) = _core.gradients(_core.sum(k.tanh(LAYER_NORMS["rsqrt"](a))), [a])
                return trace.compile(_core.gradients(_core.sum(k.square(first)), [a])).numpy(x)[0]
        finally:
            _core.set_passes(True)

    np.testing.assert_allclose(twice(True), twice(False), rtol=1e-7, atol=1e-10)


class Spelled(maas.layers.Layer):
    """A transformer block that spells out everything."""

    def __init__(self):
        super().__init__()
        self.first, self.last = maas.layers.Dense(16), maas.layers.Dense(16)

    def call(self, x):
        x = x + ATTENTIONS["scale after"](LAYER_NORMS["torch's export"](x))
        return x + self.last(ACTIVATIONS["gelu_erf"]["torch's export"](self.first(RMS_NORMS["rsqrt"](x))))


def test_training_of_a_model_that_spells_it_out():
    def history():
        maas.utils.set_random_seed(0)
        model = maas.Sequential([maas.Input((5, 16)), Spelled(), maas.layers.Flatten(), maas.layers.Dense(3)])
        model.compile(maas.optimizers.SGD(0.05), "mse", metrics=["mae"])
        x, y = randn(16, 5, 16), randn(16, 3)
        result = model.fit(x, y, batch_size=8, epochs=3, verbose=0, shuffle=False).history
        return result["loss"] + result["mae"]

    fast = history()
    _core.set_passes(False)
    try:
        plain = history()
    finally:
        _core.set_passes(True)
    np.testing.assert_allclose(fast, plain, rtol=1e-4)
    assert fast[2] < fast[0]


def test_in_float64_a_number_has_its_digits():
    """In float64 a cut constant is another function; in float32 it is the nearest there is."""
    spelled = ACTIVATIONS["gelu_erf"]["torch's export"]
    assert "gelu_erf" in ops(spelled, SHAPE, passes="recognize")
    assert "gelu_erf" not in ops(spelled, SHAPE, passes="recognize", dtype="float64")
    exact = ops(lambda x: 0.5 * x * (1.0 + k.erf(x / 2.0**0.5)), SHAPE, passes="recognize", dtype="float64")
    assert "gelu_erf" in exact


@pytest.mark.parametrize(
    "function",
    [
        lambda x: k.softmax(x, -1) * 2.0 / k.sum(x, -1, keepdims=True),
        lambda x: k.exp(x) / k.sum(k.exp(x), [1, 2], keepdims=True),  # over two axes
        lambda x: k.exp(x) / k.sum(x, -1, keepdims=True),
        lambda x: 0.5 * x * (1.0 + k.erf(x * 0.5)),
        lambda x: 0.4 * x * (1.0 + k.tanh(GELU * (x + 0.044715 * k.power(x, 3.0)))),
        lambda x: 0.5 * x * (1.0 + k.tanh(GELU * (x + 0.05 * k.power(x, 3.0)))),
        lambda x: x * k.sigmoid(1.702 * x),
        lambda x: x * k.rsqrt(k.mean(k.square(x), 1, keepdims=True) + 1e-6),
        lambda x: centered(x) * k.rsqrt(mean(k.square(x)) + 1e-6),
        lambda x: x * k.rsqrt(mean(k.square(centered(x))) + 1e-6),
        lambda x: centered(x) / (k.sqrt(mean(k.square(centered(x)))) + 1e-6),
    ],
)
def test_what_only_looks_like_it_stays_itself(function):
    found = ops(function, SHAPE, passes="recognize")
    assert not {"layer_norm", "gelu_erf", "gelu_tanh", "silu"} & set(found)
    assert found.count("softmax") <= 1
    got, want = both(function, randn(3, 5, 16))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
