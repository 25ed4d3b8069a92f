"""Convolution and pooling against Keras on JAX: values, shapes and gradients over a sweep of options."""

import functools
import itertools

import jax
import numpy as np
import pytest

from maas import _core, ops
from tests.ops import support

SIZES = {1: (11,), 2: (9, 8), 3: (6, 5, 7)}
KERNEL = (3, 2, 3)
FORMATS = ("channels_last", "channels_first")


@functools.cache
def arrays(spatial, data_format, *kernels):
    rng = np.random.default_rng(0)
    x = rng.integers(-8, 9, (2, *SIZES[spatial], 6)).astype("float32") / 4  # with equals, for max pooling
    if data_format == "channels_first":
        x = np.moveaxis(x, -1, 1).copy()
    return [x, *(rng.standard_normal((*KERNEL[:spatial], *k)).astype("float32") for k in kernels)]


def compare(keras, *cases):
    """Values and gradients of `maas.ops` and `keras.ops`, and the shape that a KerasTensor gets.

    A case is (name, operands, options). XLA takes far longer to compile than to run: all cases are one program.
    """
    ours = [functools.partial(getattr(ops, name), **options) for name, _, options in cases]
    theirs = [functools.partial(getattr(keras.ops, name), **options) for name, _, options in cases]
    operands = [arrays for _, arrays, _ in cases]
    weights = [support.cotangents(f, x) for f, x in zip(ours, operands)]

    @jax.jit
    def oracle(operands, weights):
        pulled = [jax.vjp(f, *x) for f, x in zip(theirs, operands)]
        return [(y, *back(w)) for (y, back), (w,) in zip(pulled, weights)]

    for (name, x, options), f, w, wants in zip(cases, ours, weights, oracle(operands, weights)):
        results = support.program(f, x, (0,)).numpy(*x, *w)
        assert results[0].shape == wants[0].shape
        assert tuple(f(ops_input(x[0]), *x[1:]).shape) == (None, *wants[0].shape[1:])
        assert len(results) == len(wants)
        for got, want in zip(results, wants):
            want = np.asarray(want)
            scale = max(1.0, np.abs(want).max())
            np.testing.assert_allclose(got, want, rtol=0, atol=3e-6 * scale, err_msg=f"{name} {options}")


def ops_input(x):
    from maas import layers

    return layers.Input(x.shape[1:])


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("spatial", [1, 2, 3])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_convolutions(keras, spatial, padding, data_format):
    cases = []
    for strides, dilation in [(1, 1), (2, 1), (3, 1), (1, 2), ((2, 1, 3)[:spatial], 1), (1, (1, 3, 2)[:spatial])]:
        options = {"strides": strides, "dilation_rate": dilation, "padding": padding, "data_format": data_format}
        cases.append(("conv", arrays(spatial, data_format, (6, 5)), options))
        cases.append(("conv", arrays(spatial, data_format, (3, 4)), options))
        if spatial < 3:  # Keras's XLA has no grouped gradients in 3-D that are quick enough for a test
            cases.append(("depthwise_conv", arrays(spatial, data_format, (6, 1)), options))
            cases.append(("depthwise_conv", arrays(spatial, data_format, (6, 3)), options))
    compare(keras, *cases)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("spatial", [1, 2])
def test_separable_convolutions(keras, spatial, data_format):
    rng = np.random.default_rng(1)
    pointwise = rng.standard_normal((*(1,) * spatial, 12, 7)).astype("float32")
    operands = [*arrays(spatial, data_format, (6, 2)), pointwise]
    cases = [
        ("separable_conv", operands, {"strides": strides, "padding": padding, "data_format": data_format})
        for strides, padding in itertools.product((1, 2), ("valid", "same"))
    ]
    compare(keras, *cases)


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("spatial", [1, 2, 3])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_transposed_convolutions(keras, spatial, padding, data_format):
    cases = [(1, None, 1), (2, None, 1), (3, None, 1), (4, None, 1), (2, 1, 1), (3, 0, 1), (3, 2, 1), (1, None, 2)]
    cases += [(1, 0, 3), ((2, 3, 1)[:spatial], (1, 2, 0)[:spatial], 1)]
    all_cases = []
    for filters in (5, 1):
        operands = arrays(spatial, data_format, (filters, 6))
        for strides, extra, dilation in cases if filters > 1 else cases[:3]:
            options = {"strides": strides, "dilation_rate": dilation, "output_padding": extra}
            options |= {"padding": padding, "data_format": data_format}
            all_cases.append(("conv_transpose", operands, options))
    compare(keras, *all_cases)


@pytest.mark.parametrize("name", ["max_pool", "average_pool"])
@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_pooling(keras, spatial, data_format, name):
    cases = [
        {"pool_size": size, "strides": strides, "padding": padding, "data_format": data_format}
        for size, strides, padding in itertools.product((2, 3), (1, 2, 3), ("valid", "same"))
    ]
    cases.append({"pool_size": (3, 1, 2)[:spatial], "strides": (1, 2, 2)[:spatial]})
    compare(keras, *((name, arrays(spatial, data_format), options) for options in cases))
    x = arrays(spatial, data_format)[0]
    default, given = (getattr(ops, name)(x, 2, s, data_format=data_format).numpy() for s in (None, 2))
    np.testing.assert_array_equal(default, given)


@pytest.mark.parametrize("strides, padding, extra", [(2, "same", None), (3, "valid", None), (2, "valid", 1)])
def test_transposed_convolution_of_unknown_sizes(strides, padding, extra):
    x, k = arrays(2, "channels_last", (5, 6))
    options = {"strides": strides, "padding": padding, "output_padding": extra}

    def function(x, k):
        y = ops.conv_transpose(x, k, **options)
        return [y, *_core.gradients(_core.sum(y * y), [x, k])]

    program = support.compiled(function, ((None, None, None, 6), "float32"), (k.shape, "float32"))
    known = support.compiled(function, (x.shape, "float32"), (k.shape, "float32"))
    support.same_bits(program.numpy(x, k), known.numpy(x, k))


def test_causal_padding_sees_no_later_step():
    from maas import layers

    layer = layers.Conv1D(4, 3, padding="causal", dilation_rate=2)
    x = arrays(1, "channels_last")[0]
    y = layer(x).numpy()
    late = x.copy()
    late[:, 6:] = 9
    np.testing.assert_array_equal(layer(late).numpy()[:, :6], y[:, :6])


def test_channels_first_layers_transpose_once():
    """Between layers of one format the transposes cancel: nothing but the ends is copied."""
    from maas import layers

    net = [
        layers.Conv2D(8, 3, padding="same", activation="relu", data_format="channels_first"),
        layers.MaxPooling2D(2, data_format="channels_first"),
        layers.DepthwiseConv2D(3, padding="same", data_format="channels_first"),
        layers.Conv2DTranspose(4, 2, strides=2, data_format="channels_first"),
    ]
    x = np.random.default_rng(0).standard_normal((2, 6, 8, 8)).astype("float32")

    def function(x):
        for layer in net:
            x = layer(x)
        return [x]

    function(x)  # builds
    plan = support.compiled(function, (x.shape, "float32")).plan
    steps = [line.split()[2] for line in plan.splitlines() if line.startswith("step")]
    assert steps == ["chain", "conv_packed", "max_pool", "depthwise", "conv_packed", "chain"], plan
