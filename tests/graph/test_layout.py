"""Transposes move through what does not care and cancel, so that channels-first models run channels last."""

import numpy as np
import pytest

import maas
from maas import _core
from maas import ops as k
from tests.graph.test_simplify import both
from tests.graph.text import nodes, ops

BACK = [0, 3, 1, 2]  # channels last as channels first sees them
SHAPE = ("batch", 8, 6, 5)


def randn(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype("float32")


def around(function):
    """`function` on a value that is channels first, between ops that want channels last."""

    def whole(x):
        y = function(k.transpose(k.max_pool(x, 2, 1, "same"), BACK))
        return k.max_pool(k.transpose(y, [0, 2, 3, 1]), 2, 1, "same")

    return whole


THROUGH = {
    "elementwise": lambda x: k.relu(x) * 2.0 + 1.0,
    "an operand per channel": lambda x: x * randn(1, 5, 1, 1) + randn(5, 1, 1),
    "a product with its mean": lambda x: x * k.sigmoid(k.mean(x, [2, 3], keepdims=True)),
    "pad": lambda x: k.pad(x, [[0, 0], [1, 2], [0, 1], [3, 0]]),
    "concatenate": lambda x: k.concatenate([x, k.tanh(x)], 1),
    "slice": lambda x: x[:, 1:4, ::2],
    "flip": lambda x: k.flip(x, 2),
    "softmax": lambda x: k.softmax(x, 1),
    "cumsum": lambda x: k.cumsum(x, 3),
    "take": lambda x: k.take(x, np.array([2, 0], "int32"), axis=1),
    "sum": lambda x: x - k.sum(x, 1, keepdims=True),
    "where": lambda x: k.where(k.greater(x, 0.0), x, k.exp(x)),
    "cast": lambda x: k.cast(k.cast(x, "bfloat16"), "float32"),
    "batch normalization": lambda x: k.batch_normalization(x, randn(5), np.abs(randn(5)), 1, randn(5), randn(5)),
    "two paths": lambda x: k.tanh(x) + k.relu(x),
}


@pytest.mark.parametrize("name", THROUGH)
def test_transposes_cancel(name):
    function = around(THROUGH[name])
    assert "transpose" not in ops(function, SHAPE, passes="layout")
    got, want = both(function, randn(3, *SHAPE[1:]))
    if name in ("a product with its mean", "sum"):  # sums of many terms in another order
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    else:
        np.testing.assert_array_equal(got, want)


def test_a_reduction_that_keeps_no_order_ends_it():
    found = ops(lambda x: k.mean(k.relu(k.transpose(x, BACK)), [2, 3]), SHAPE, passes="layout")
    assert found == ["relu", "mean"]


STAYS = {
    "nothing cancels": lambda x: k.relu(k.transpose(x, BACK)),
    "random numbers are told by their place": lambda x: k.transpose(
        maas.random.dropout(k.transpose(x, BACK), 0.5, seed=maas.random.SeedGenerator(1)), [0, 2, 3, 1]
    ),
    "a reshape that joins axes": lambda x: k.transpose(k.reshape(k.transpose(x, BACK), [-1, 5, 48, 1]), [0, 2, 3, 1]),
}


@pytest.mark.parametrize("name", STAYS)
def test_what_would_not_gain_or_not_be_the_same_stays(name):
    assert "transpose" in ops(STAYS[name], SHAPE, passes="layout")


def test_a_value_that_is_read_in_both_orders_is_made_once():
    def function(x):
        y = k.relu(k.transpose(k.max_pool(x, 2, 1, "same"), BACK))
        return [k.max_pool(k.transpose(y, [0, 2, 3, 1]), 2, 1, "same"), y]

    found = ops(function, SHAPE, passes="layout")
    assert found.count("relu") == 1 and found.count("transpose") == 1


def channels_first(layers, shape=(3, 16, 16)):
    first = {"data_format": "channels_first"}
    return maas.Sequential(
        [
            maas.Input(shape),
            layers.Conv2D(8, 3, padding="same", use_bias=True, activation="relu", **first),
            layers.BatchNormalization(axis=1),
            layers.MaxPooling2D(2, **first),
            layers.DepthwiseConv2D(3, padding="same", **first),
            layers.LayerNormalization(axis=1),
            layers.ZeroPadding2D(1, **first),
            layers.Conv2D(4, 3, strides=2, **first),
            layers.Activation("gelu"),
            layers.AveragePooling2D(2, **first),
            layers.UpSampling2D(2, **first),
            layers.Flatten(**first),
            layers.Dense(5),
        ]
    )


def test_a_channels_first_model_has_one_transpose():
    model = channels_first(maas.layers)
    x = randn(4, 3, 16, 16)
    found = ops(lambda x: model(x), ("batch", 3, 16, 16), passes="layout")
    assert found.count("transpose") == 1, found
    got, want = both(lambda x: model(x), x)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_a_channels_first_model_trains_as_the_plain_one():
    def history():
        maas.utils.set_random_seed(0)
        model = channels_first(maas.layers)
        model.compile(maas.optimizers.SGD(0.05), "mse")
        x, y = randn(16, 3, 16, 16), randn(16, 5)
        return model.fit(x, y, batch_size=8, epochs=2, verbose=0, shuffle=False).history["loss"]

    fast = history()
    _core.set_passes(False)
    try:
        plain = history()
    finally:
        _core.set_passes(True)
    np.testing.assert_allclose(fast, plain, rtol=1e-4)


def test_onnx_style_nodes_channels_first():
    """Conv, BatchNormalization and Add of an exported ResNet block: kernels come as they are, images channels first."""
    kernels = [randn(3, 3, 8, 8) / 9 for _ in range(2)]

    def conv(x, w):
        return k.transpose(k.conv(k.transpose(x, [0, 2, 3, 1]), w, 1, "same"), BACK)

    def norm(x):
        shape = [1, 8, 1, 1]
        return (x - k.reshape(randn(8), shape)) / k.sqrt(k.reshape(np.abs(randn(8)), shape) + 1e-5)

    def block(x):
        y = k.relu(norm(conv(x, kernels[0])))
        return k.relu(norm(conv(y, kernels[1])) + x)

    def network(x):
        for _ in range(3):
            x = block(x)
        return k.mean(x, [2, 3])

    found = ops(network, ("batch", 8, 10, 10), passes="layout")
    assert found.count("transpose") == 1 and nodes(network, ("batch", 8, 10, 10))
    got, want = both(network, randn(2, 8, 10, 10))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
