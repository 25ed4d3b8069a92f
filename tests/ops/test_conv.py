"""Convolution and pooling: every kernel against float64, equal bits where they are promised, typed errors."""

import numpy as np
import pytest

from maas import _core, ops
from tests.ops import conv_cases, pool_cases

LEVELS = ["ref", "avx2", "avx512"]


@pytest.fixture(params=LEVELS)
def level(request):
    yield from _with_level(request.param)


def _with_level(name):
    before, threads = _core.isa(), _core.get_num_threads()
    try:
        _core.set_isa(name)
    except ValueError:
        pytest.skip(f"missing ISA {name}")
    try:
        yield name
    finally:
        _core.set_isa("avx512" if "avx512" in before else "avx2" if "avx2" in before else "ref")
        _core.set_num_threads(threads)


def compiled(function, *shapes, dtype="float32"):
    """`function` of inputs of these shapes (sizes may be None or a name) as a Program."""
    with _core.Trace() as trace:
        results = function(*[trace.input(list(shape), dtype) for shape in shapes])
        return trace.compile(list(results))


def conv_program(case, dtype="float32"):
    """(x, kernel, dy) -> y, dx, dkernel."""

    def function(x, kernel, dy):
        y = _core.conv(x, kernel, **case.options)
        return [y, *_core.gradients(_core.sum(y * dy), [x, kernel])]

    y = conv_cases.output_shape(case.x, case.kernel, case.strides, case.padding, case.dilation)
    return compiled(function, ("batch", *case.x[1:]), case.kernel, ("batch", *y[1:]), dtype=dtype)


def conv_data(case, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    y = conv_cases.output_shape(case.x, case.kernel, case.strides, case.padding, case.dilation)
    return [rng.standard_normal(s).astype(dtype) for s in (case.x, case.kernel, y)]


def close(got, want, scale, terms, dtype):
    """Errors of a sum of `terms` products, whose absolute values sum to `scale`, in epsilons of the dtype."""
    bound = np.finfo(dtype).eps * (2 + terms**0.5) * scale + 1e-30
    error = np.abs(got.astype(np.float64) - want)
    assert got.shape == want.shape and got.dtype == dtype
    assert np.all(error <= bound), f"largest error {(error / bound).max() if error.size else 0} of the bound"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", conv_cases.CASES, ids=str)
def test_conv_and_gradients(case, level, dtype):
    x, k, dy = conv_data(case, dtype)
    y, dx, dk = conv_program(case, dtype).numpy(x, k, dy)
    o = case.options
    ax, ak, ady = np.abs(x), np.abs(k), np.abs(dy)
    taps = k.shape[0] * k.shape[1]
    close(y, conv_cases.reference(x, k, **o), conv_cases.reference(ax, ak, **o), taps * k.shape[2], dtype)
    want, scale = conv_cases.reference_gradients(x, k, dy, **o), conv_cases.reference_gradients(ax, ak, ady, **o)
    close(dx, want[0], scale[0], taps * k.shape[3], dtype)
    close(dk, want[1], scale[1], max(dy[..., 0].size, 1), dtype)


@pytest.mark.parametrize("case", conv_cases.CASES, ids=str)
def test_conv_bits(case):
    """The same bits on AVX2 and AVX-512, for every cut, on one and two threads, and for an image alone."""
    data = conv_data(case)
    results = []
    for name in ("avx2", "avx512"):
        for _ in _with_level(name):
            program = conv_program(case)
            for threads in (1, 2):
                _core.set_num_threads(threads)
                results.append(program.numpy(*data))
            results += [program.run_cut(data, seed) for seed in (1, 2)]
            x, k, dy = data
            for i in range(len(x)):
                alone = program.numpy(x[i : i + 1], k, dy[i : i + 1])
                for got, whole in zip(alone[:2], results[-1][:2]):
                    np.testing.assert_array_equal(got[0], whole[i])
    for other in results[1:]:
        for got, first in zip(other, results[0]):
            np.testing.assert_array_equal(got.view(np.uint32), first.view(np.uint32))


@pytest.mark.parametrize("kind", ["bias", "bias_relu", "relu", "tanh_residual"])
@pytest.mark.parametrize("case", [c for c in conv_cases.CASES if c.x[0]], ids=str)
def test_conv_epilogue(case, level, kind):
    x, k, residual = conv_data(case)
    b = np.random.default_rng(1).standard_normal(k.shape[3]).astype("float32")

    def function(x, k, b, residual):
        y = _core.conv(x, k, **case.options)
        if kind == "tanh_residual":
            return [_core.tanh(y * b) + residual]
        y = y + b if "bias" in kind else y
        return [_core.relu(y) if "relu" in kind else y]

    program = compiled(function, ("batch", *x.shape[1:]), k.shape, b.shape, ("batch", *residual.shape[1:]))
    assert " chain " not in program.plan, "the epilogue is not fused"
    got = program.numpy(x, k, b, residual)[0]
    want = conv_cases.reference(x, k, **case.options)
    scale = conv_cases.reference(np.abs(x), np.abs(k), **case.options)
    if kind == "tanh_residual":
        want, scale = np.tanh(want * b) + residual, scale * np.abs(b) + 4 + np.abs(residual)
    else:
        want = want + b if "bias" in kind else want
        want, scale = np.maximum(want, 0) if "relu" in kind else want, scale + np.abs(b)
    close(got, want, scale, k[..., 0].size, "float32")


def test_conv_gradients_are_linear_ops():
    """Gradients of the gradients, against differences: both are linear in each operand."""
    case = conv_cases.Case((2, 9, 8, 3), (3, 2, 3, 4), (2, 1), "same")
    x, k, dy = conv_data(case, "float64")
    o = case.options

    def function(x, k, dy, u, v):
        dx = _core.conv_input_gradient(dy, k, size=case.x[1:3], **o)
        dk = _core.conv_kernel_gradient(x, dy, kernel_size=case.kernel[:2], **o)
        return [*_core.gradients(_core.sum(dx * u), [dy, k]), *_core.gradients(_core.sum(dk * v), [x, dy])]

    rng = np.random.default_rng(3)
    u, v = rng.standard_normal(x.shape), rng.standard_normal(k.shape)
    a, b, c, d = compiled(function, x.shape, k.shape, dy.shape, u.shape, v.shape, dtype="float64").numpy(x, k, dy, u, v)
    np.testing.assert_allclose(a, conv_cases.reference(u, k, **o), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(b, conv_cases.reference_gradients(u, k, dy, **o)[1], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(c, conv_cases.reference_gradients(x, v, dy, **o)[0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(d, conv_cases.reference(x, v, **o), rtol=1e-12, atol=1e-12)


def test_conv_nan_stays_in_its_image(level):
    case = conv_cases.Case((3, 9, 9, 4), (3, 3, 4, 20), padding="same")
    x, k, dy = conv_data(case)
    x[1] = np.nan
    y = conv_program(case).numpy(x, k, dy)[0]
    assert np.isnan(y[1]).all() and np.isfinite(y[[0, 2]]).all()


# ---- pooling


def pool_program(kind, case, dtype="float32"):
    def function(x, dy):
        y = getattr(_core, f"{kind}_pool")(x, **case.options)
        return [y, *_core.gradients(_core.sum(y * dy), [x])]

    y = pool_cases.output_shape(case.x, *case.options.values())
    return compiled(function, ("batch", *case.x[1:]), ("batch", *y[1:]), dtype=dtype)


def pool_data(case, dtype="float32"):
    rng = np.random.default_rng(0)
    x = rng.integers(-4, 5, case.x).astype(dtype)  # many equals
    x += 1e-3 * rng.standard_normal(case.x).astype(dtype) * (rng.random(case.x) < 0.5)
    return x, rng.standard_normal(pool_cases.output_shape(case.x, *case.options.values())).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("case", pool_cases.CASES, ids=str)
def test_pool_and_gradient(case, kind, level, dtype):
    x, dy = pool_data(case, dtype)
    y, dx = pool_program(kind, case, dtype).numpy(x, dy)
    eps = np.finfo(dtype).eps
    windows = case.pool_size[0] * case.pool_size[1]
    want = pool_cases.reference(kind, x, **case.options)
    np.testing.assert_allclose(y, want, rtol=0, atol=0 if kind == "max" else windows * 6 * eps)
    assert y.dtype == dx.dtype == dtype
    want = pool_cases.reference_gradient(kind, x, dy, **case.options)
    np.testing.assert_allclose(dx, want, rtol=0, atol=windows * 6 * eps)


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("case", pool_cases.CASES, ids=str)
def test_pool_bits(case, kind):
    data = pool_data(case)
    results = []
    for name in ("avx2", "avx512"):
        for _ in _with_level(name):
            program = pool_program(kind, case)
            results += [program.numpy(*data), program.run_cut(data, 1), program.run_cut(data, 2)]
            _core.set_num_threads(2)
            results.append(program.numpy(*data))
            for i in range(len(data[0])):
                for got, whole in zip(program.numpy(data[0][i : i + 1], data[1][i : i + 1]), results[0]):
                    np.testing.assert_array_equal(got[0], whole[i])
    for other in results[1:]:
        for got, first in zip(other, results[0]):
            np.testing.assert_array_equal(got.view(np.uint32), first.view(np.uint32))


def test_max_pool_of_nan_and_infinity(level):
    x = np.array([[1, np.nan, -np.inf, -np.inf], [2, 3, -np.inf, -np.inf]], "float32").reshape(1, 2, 4, 1)
    x = np.repeat(x, 19, axis=3)
    case = pool_cases.Case(x.shape)
    y, dx = pool_program("max", case).numpy(x, np.ones((1, 1, 2, 19), "float32"))
    assert np.isnan(y[0, 0, 0]).all() and (y[0, 0, 1] == -np.inf).all()
    np.testing.assert_array_equal(dx[0, :, :, 0], [[0, 1, 1, 0], [0, 0, 0, 0]])


# ---- maas.ops


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("spatial", [1, 2])
def test_public_functions_match_keras(keras, spatial, data_format):
    # Keras on JAX refuses its own default strides, so they are given here.
    rng = np.random.default_rng(0)
    shape = (2, *(11, 9)[:spatial], 6)
    x = rng.standard_normal(shape).astype("float32")
    if data_format == "channels_first":
        x = np.moveaxis(x, -1, 1).copy()
    k = rng.standard_normal((*(3, 2)[:spatial], 6, 5)).astype("float32")
    grouped = rng.standard_normal((*(3, 2)[:spatial], 3, 8)).astype("float32")
    calls = [
        ("conv", (k,), {}),
        ("conv", (k,), {"strides": 2, "padding": "same"}),
        ("conv", (k,), {"dilation_rate": 2, "padding": "same"}),
        ("conv", (grouped,), {"padding": "same"}),
        ("max_pool", (2,), {"strides": 2}),
        ("max_pool", (3,), {"strides": 2, "padding": "same"}),
        ("average_pool", (2,), {"strides": 2}),
        ("average_pool", (3,), {"strides": 2, "padding": "same"}),
    ]
    for name, args, options in calls:
        got = getattr(ops, name)(x, *args, data_format=data_format, **options)
        want = np.asarray(getattr(keras.ops, name)(x, *args, data_format=data_format, **options))
        assert got.shape == want.shape
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-5, atol=1e-5, err_msg=f"{name} {options}")
    default = ops.max_pool(x, 2, data_format=data_format).numpy()
    np.testing.assert_array_equal(default, ops.max_pool(x, 2, strides=2, data_format=data_format).numpy())


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

    y, dx, dk = compiled(function, (None, None, None, 5), k.shape).numpy(x, k)
    o = {"strides": (1, 1), "padding": "valid", "dilation": (1, 1), "groups": 1}
    want = conv_cases.reference(padded, k, **o)
    np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-5)
    wx, wk = conv_cases.reference_gradients(padded, k, 2 * want, **o)
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
        want = conv_cases.reference(x, k, (1, 1), "valid", (1, 1), 1) + (b.numpy() if with_bias else 0)
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
