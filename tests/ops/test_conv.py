"""Convolution and pooling: epilogues, equals, unknown sizes, folding, real Keras, typed errors.

Cases are in conv_cases.py and pool_cases.py.
"""

import numpy as np
import pytest

from maas import _core, ops
from tests.ops import conv_cases, pool_cases, support
from tests.ops.support import compiled


@pytest.fixture(params=support.LEVELS)
def level(request):
    with support.isa(request.param):
        yield request.param


def close(got, want, scale, terms, dtype):
    """Errors of a sum of `terms` products, whose absolute values sum to `scale`, in epsilons of the dtype."""
    bound = np.finfo(dtype).eps * (2 + terms**0.5) * scale + 1e-30
    error = np.abs(got.astype(np.float64) - want)
    assert got.shape == want.shape and got.dtype == dtype
    assert np.all(error <= bound), f"largest error {(error / bound).max() if error.size else 0} of the bound"


@pytest.mark.parametrize("case", [c for c in conv_cases.CASES if c.shapes[0][0]], ids=str)
def test_conv_epilogue(case):
    x, k = case.operands()
    product = conv_cases.reference(x.astype("float64"), k.astype("float64"), **case.params)
    size = conv_cases.reference(np.abs(x), np.abs(k), **case.params)
    rng = np.random.default_rng(1)
    b, residual = (rng.standard_normal(s).astype("float32") for s in (k.shape[-1], product.shape))
    specs = [(("batch", *x.shape[1:]), "float32"), (k.shape, "float32"), (b.shape, "float32")]
    specs.append((("batch", *residual.shape[1:]), "float32"))
    kinds = {  # kind: function of y, b and residual; what it means; the size its errors count in
        "bias": (lambda y, b, r: y + b, product + b, size + np.abs(b)),
        "bias_relu": (lambda y, b, r: _core.relu(y + b), np.maximum(product + b, 0), size + np.abs(b)),
        "relu": (lambda y, b, r: _core.relu(y), np.maximum(product, 0), size + np.abs(b)),
        "bias_relu6": (lambda y, b, r: _core.relu6(y + b), np.clip(product + b, 0, 6), size + np.abs(b)),
        "bias_residual_relu": (
            lambda y, b, r: _core.relu(r + (y + b)),
            np.maximum(product + b + residual, 0),
            size + np.abs(b) + np.abs(residual),
        ),
        "tanh_residual": (
            lambda y, b, r: _core.tanh(y * b) + r,
            np.tanh(product * b) + residual,
            size * np.abs(b) + 4 + np.abs(residual),
        ),
    }
    for level in support.LEVELS:
        with support.isa(level):
            for tail, want, scale in kinds.values():
                program = compiled(lambda x, k, b, r: [tail(_core.conv(x, k, **case.params), b, r)], *specs)  # noqa: B023
                steps = [line for line in program.plan.splitlines() if line.startswith("step")]
                assert " chain " not in steps[-1], "the epilogue is not fused"
                close(program.numpy(x, k, b, residual)[0], want, scale, k[..., 0].size, "float32")


@pytest.mark.parametrize("shapes", [((3, 9, 9, 4), (3, 3, 4, 20)), ((3, 9, 30, 1), (3, 3, 1, 6))])
def test_conv_nan_stays_in_its_image(level, shapes):
    x, k = conv_cases.conv(*shapes, padding="same").operands()
    x[1] = np.nan
    y = np.asarray(_core.conv(x, k, padding="same"))
    assert np.isnan(y[1]).all() and np.isfinite(y[[0, 2]]).all()


# ---- a product and a depthwise convolution


def inverted(x, k, b, d, c, strides=(1, 1), activation=_core.relu6):
    """Both results, the wide one last."""
    wide = activation(_core.add(_core.conv(x, k), b))
    y = _core.add(_core.conv(wide, d, strides=strides, padding="same", groups=d.shape[3]), c)
    return [_core.relu6(y), wide]


def inverted_operands(h=20, w=30, channels=60):
    rng = np.random.default_rng(0)
    shapes = (3, h, w, 10), (1, 1, 10, channels), (channels,), (3, 3, 1, channels), (channels,)
    return [rng.standard_normal(s).astype("float32") for s in shapes]


def steps_of(program):
    return [op for op, _ in program.kernels]


@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_a_product_joins_its_depthwise_convolution(strides):
    operands, results = inverted_operands(), {}
    specs = [(("batch", *operands[0].shape[1:]), "float32"), *((x.shape, "float32") for x in operands[1:])]
    for name in support.LEVELS:
        with support.isa(name):
            program = compiled(lambda *xs: inverted(*xs, strides)[:1], *specs)
            assert "expand_depthwise" in steps_of(program) and "depthwise" not in steps_of(program)
            results[name] = program.numpy(*operands)[0]
            for rows in (slice(0, 1), slice(1, 3)):
                part = program.numpy(operands[0][rows], *operands[1:])[0]
                support.same_bits([part], [results[name][rows]])
            for seed in (1, 2):
                support.same_bits(program.run_cut(operands, seed), [results[name]])
            # Eager calls take the two steps one after the other.
            support.same_bits([np.asarray(inverted(*operands, strides)[0])], [results[name]])
    vector = [y for name, y in results.items() if name != "ref"]
    if len(vector) > 1:
        support.same_bits(vector[:1], vector[1:])


def test_where_a_product_and_a_depthwise_convolution_stay_apart():
    def joined(function, **sizes):
        specs = ((x.shape, "float32") for x in inverted_operands(**sizes))
        return "expand_depthwise" in steps_of(compiled(function, *specs))

    assert joined(lambda *xs: inverted(*xs)[:1])
    assert not joined(lambda *xs: inverted(*xs)[:1], h=6, w=6)
    assert not joined(lambda *xs: inverted(*xs)), "the wide image is a result"
    assert not joined(lambda *xs: inverted(*xs, activation=_core.tanh)[:1])
    assert not joined(lambda *xs: inverted(*xs, (4, 4))[:1]), "rows of the wide image that no window reads"


# ---- pooling


def max_pool_and_gradient(x, dy, **params):
    def function(x, dy):
        y = _core.max_pool(x, **params)
        return [y, *_core.gradients(_core.sum(y * dy), [x])]

    return compiled(function, (("batch", *x.shape[1:]), "float32"), (("batch", *dy.shape[1:]), "float32")).numpy(x, dy)


@pytest.mark.parametrize("case", pool_cases.TIES, ids=str)
def test_the_first_of_equals_gets_the_gradient(case, level):
    x = case.operands()[0]
    dy = np.random.default_rng(1).standard_normal(pool_cases.output_shape(x.shape, **case.params)).astype("float32")
    index = pool_cases.winners(x, **case.params)
    want = pool_cases.max_pool_gradient(dy, index, **case.params, size=x.shape[1:-1])
    dx = max_pool_and_gradient(x, dy, **case.params)[1]
    np.testing.assert_allclose(dx, want, rtol=0, atol=np.prod(case.params["pool_size"]) * 6 * 2.0**-23)


def test_max_pool_of_nan_and_infinity(level):
    x = np.array([[1, np.nan, -np.inf, -np.inf], [2, 3, -np.inf, -np.inf]], "float32").reshape(1, 2, 4, 1)
    x = np.repeat(x, 19, axis=3)
    y, dx = max_pool_and_gradient(x, np.ones((1, 1, 2, 19), "float32"), pool_size=[2, 2], strides=[2, 2])
    assert np.isnan(y[0, 0, 0]).all() and (y[0, 0, 1] == -np.inf).all()
    np.testing.assert_array_equal(dx[0, :, :, 0], [[0, 1, 1, 0], [0, 0, 0, 0]])


# ---- maas.ops


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda x, k: ops.conv(x, k, padding="full"), ValueError, "received 'full'"),
        (lambda x, k: ops.conv(x, k, strides=0), ValueError, "received 0"),
        (lambda x, k: ops.conv(x, k[:, :, :3]), ValueError, r"received shapes \(2, 5, 6, 4\) and \(3, 3, 3, 8\)"),
        (lambda x, k: ops.conv(x[:, :2], k), ValueError, r"does not fit on the height .* received \(2, 2, 6, 4\)"),
        (lambda x, k: ops.conv(x, k, data_format="NCHW"), ValueError, "received 'NCHW'"),
        (lambda x, k: ops.max_pool(x, (2, 2, 2)), ValueError, r"received \(2, 2, 2\)"),
        (lambda x, k: ops.max_pool(x, 7), ValueError, "does not fit"),
        (lambda x, k: ops.conv(x[:, 0], k[:, 0, :, :], strides=(1, 2)), ValueError, r"received \(1, 2\)"),
        (lambda x, k: ops.conv(x[:, :1, 0], k[:, 0]), ValueError, r"does not fit on the length .* \(2, 1, 4\)"),
        (lambda x, k: ops.conv(x, k[0]), ValueError, r"as many axes, received shapes \(2, 5, 6, 4\) and \(3, 4, 8\)"),
        (lambda x, k: ops.conv(x[0, 0], k[0, 0]), ValueError, r"1 to 3 of them spatial, received shape \(6, 4\)"),
        (lambda x, k: ops.depthwise_conv(x[..., :3], k), ValueError, r"\(2, 5, 6, 3\) and \(3, 3, 4, 8\)"),
        (lambda x, k: ops.conv_transpose(x, k), ValueError, r"4 channels .* \(2, 5, 6, 4\) and \(3, 3, 4, 8\)"),
        (lambda x, k: ops.conv_transpose(x, k[..., :4], output_padding=-1), ValueError, "received -1"),
        (lambda x, k: _core.conv(x, k, padding="explicit", pads=[0, 0, -1, 0]), ValueError, "received .0, 0, -1"),
        (lambda x, k: _core.conv(x, k, padding="explicit", pads=[0, 0]), ValueError, "4 numbers"),
        (lambda x, k: _core.conv_input_gradient(x, k[..., :4], size=[5, 6]), ValueError, "gives"),
        (lambda x, k: ops.average_pool(x[0, 0], 2), ValueError, r"received shape \(6, 4\)"),
        (lambda x, k: _core.max_pool(x.astype("int32"), pool_size=[2, 2]), TypeError, "received int32"),
        (lambda x, k: _core.conv(x, k.astype("float64")), TypeError, "received float32 and float64"),
        (lambda x, k: _core.conv(x, k, pads=[1, 1, 1, 1]), ValueError, "padding='valid'"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(np.zeros((2, 5, 6, 4), "float32"), np.zeros((3, 3, 4, 8), "float32"))


def test_explicit_padding_and_unknown_sizes():
    """Sizes of images unknown when compiled; explicit padding equals padding the image."""
    x = np.random.default_rng(0).standard_normal((2, 7, 9, 5)).astype("float32")
    k = np.random.default_rng(1).standard_normal((3, 3, 5, 6)).astype("float32")
    padded = np.pad(x, ((0, 0), (2, 1), (0, 3), (0, 0)))

    def function(x, k):
        y = _core.conv(x, k, padding="explicit", pads=[2, 1, 0, 3])
        return [y, *_core.gradients(_core.sum(y * y), [x, k])]

    y, dx, dk = compiled(function, ((None, None, None, 5), "float32"), (k.shape, "float32")).numpy(x, k)
    want = conv_cases.reference(padded, k)
    np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-5)
    wx = conv_cases.input_gradient(2 * want, k, padded.shape[1:3])
    wk = conv_cases.kernel_gradient(padded, 2 * want, k.shape[:2])
    np.testing.assert_allclose(dx, wx[:, 2:-1, :-3], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(dk, wk, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("with_bias", [False, True])
def test_batch_normalization_folds_into_the_kernel(with_bias):
    """With fixed statistics only convolution and its bias are left to run; parameters written later still count."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 8, 8, 5)).astype("float32")
    kernel = _core.Variable(rng.standard_normal((3, 3, 5, 20)).astype("float32"))
    b, gamma, beta, mean, variance = [_core.Variable(rng.random(20, dtype="float32") + 0.5) for _ in range(5)]
    with _core.Trace() as trace:
        y = ops.conv(trace.input([None, *x.shape[1:]]), kernel.value)
        y = y + b.value if with_bias else y
        y = ops.batch_normalization(y, mean.value, variance.value, -1, beta.value, gamma.value)
        program = trace.compile([_core.relu(y)])
    assert [line.split()[2] for line in program.plan.splitlines() if line.startswith("step")] == ["conv_packed"]
    for _ in range(2):
        k = kernel.numpy().astype(np.float64)
        want = conv_cases.reference(x, k) + (b.numpy() if with_bias else 0)
        want = (want - mean.numpy()) / np.sqrt(variance.numpy() + 1e-3) * gamma.numpy() + beta.numpy()
        np.testing.assert_allclose(program.numpy(x)[0], np.maximum(want, 0), rtol=1e-4, atol=1e-4)
        gamma.assign(rng.random(20, dtype="float32") - 0.5)


def test_a_scaled_convolution_that_is_also_read_stays():
    x = np.random.default_rng(0).standard_normal((1, 6, 6, 3)).astype("float32")
    kernel, s = _core.Variable(np.ones((3, 3, 3, 4), "float32")), _core.Variable(np.full(4, 2, "float32"))
    with _core.Trace() as trace:
        y = ops.conv(trace.input(list(x.shape)), kernel.value)
        program = trace.compile([y, y * s.value])
    plain, scaled = program.numpy(x)
    np.testing.assert_array_equal(plain * 2, scaled)
    assert program.plan.count("conv_packed") >= 1
