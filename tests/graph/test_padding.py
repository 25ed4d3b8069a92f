"""Zeros around an image that only a convolution reads become the convolution's own padding."""

import numpy as np
import pytest

import maas
from maas import layers
from maas import ops as k
from tests.graph.test_simplify import both
from tests.graph.text import ops

SHAPE = ("batch", 9, 8, 3)
X = np.random.default_rng(0).standard_normal((2, 9, 8, 3)).astype("float32")
W = np.random.default_rng(1).standard_normal((3, 3, 3, 5)).astype("float32")
DEPTHWISE = np.random.default_rng(2).standard_normal((3, 3, 3, 1)).astype("float32")


def padded(x, *widths, **options):
    return k.pad(x, ((0, 0), *widths, (0, 0)), **options)


FOLDED = {
    "both sides": lambda x: k.conv(padded(x, (1, 1), (1, 1)), W),
    "one side, strides": lambda x: k.conv(padded(x, (0, 1), (0, 1)), W, strides=2),
    "wide, dilated": lambda x: k.conv(padded(x, (3, 2), (0, 4)), W, dilation_rate=2),
    "depthwise": lambda x: k.depthwise_conv(padded(x, (1, 0), (2, 1)), DEPTHWISE),
}
KEPT = {
    "ones": lambda x: k.conv(padded(x, (1, 1), (1, 1), constant_values=1.0), W),
    "reflected": lambda x: k.conv(padded(x, (1, 1), (1, 1), mode="reflect"), W),
    "same on top": lambda x: k.conv(padded(x, (1, 1), (1, 1)), W, padding="same"),
    "batch": lambda x: k.conv(k.pad(x, ((1, 0), (1, 1), (1, 1), (0, 0))), W),
}


@pytest.mark.parametrize("name", FOLDED)
def test_zeros_are_the_convolutions_own(name):
    assert "pad" not in ops(FOLDED[name], SHAPE, passes="recognize")
    got, plain = both(FOLDED[name], X)
    np.testing.assert_allclose(got, plain, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", KEPT)
def test_other_padding_stays(name):
    found = ops(KEPT[name], SHAPE, passes="recognize")
    assert "conv" in found and len(found) > 1
    got, plain = both(KEPT[name], X)
    np.testing.assert_allclose(got, plain, rtol=0, atol=1e-5)


def pooled(x, widths=(1, 1)):
    return k.max_pool(padded(x, widths, widths), 3, strides=2, padding="valid")


@pytest.mark.parametrize("activation", [k.relu, k.relu6])
def test_zeros_around_a_relu_are_the_max_pools_own(activation):
    assert "pad" not in ops(lambda x: pooled(activation(x)), SHAPE)
    x = X.copy()
    x[1, 0, 0] = np.nan
    got, plain = both(lambda x: pooled(activation(x)), x)
    np.testing.assert_array_equal(got, plain)


@pytest.mark.parametrize("function", [pooled, lambda x: pooled(k.relu(x), (3, 3))], ids=["negative", "wide"])
def test_other_zeros_count_for_a_max_pool(function):
    assert "pad" in ops(function, SHAPE)
    got, plain = both(function, X - 3)
    np.testing.assert_array_equal(got, plain)
    assert (got == 0).any()


def test_zeros_that_others_read_stay():
    def function(x):
        y = padded(x, (1, 1), (1, 1))
        return k.conv(y, W) + k.sum(y)

    assert "pad" in ops(function, SHAPE, passes="recognize")
    got, plain = both(function, X)
    np.testing.assert_allclose(got, plain, rtol=0, atol=1e-4)


def test_training_through_zero_padding():
    """The gradients are those of the padded image."""

    def make(own):
        maas.utils.set_random_seed(0)
        first = [layers.Conv2D(5, 3, strides=2, padding="same")] if own else []
        if not own:
            first = [layers.ZeroPadding2D(((1, 1), (1, 1))), layers.Conv2D(5, 3, strides=2)]
        model = maas.Sequential([layers.Input((9, 9, 3)), *first, layers.Flatten(), layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    x, y = np.random.default_rng(3).standard_normal((8, 9, 9, 3)).astype("float32"), np.ones((8, 1), "float32")
    own, folded = make(True), make(False)
    folded.set_weights(own.get_weights())
    for model in (own, folded):
        model.fit(x, y, epochs=3, batch_size=4, shuffle=False, verbose=0)
    for a, b in zip(own.get_weights(), folded.get_weights()):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
