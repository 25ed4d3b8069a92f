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


def compiled(function, *arrays):
    """`function` compiled for a batch of any size, as a callable on NumPy arrays; `kernel` operands keep all sizes."""
    with _core.Trace() as trace:
        symbols = [trace.input(["batch", *a.shape[1:]] if i else list(a.shape), str(a.dtype)) for i, a in arrays]
        results = function(*symbols)
    return trace.compile(list(results))


def conv_program(case, dtype="float32"):
    """(x, kernel, dy) -> y, dx, dkernel."""

    def function(x, kernel, dy):
        y = _core.conv(x, kernel, **case.options)
        return [y, *_core.gradients(_core.sum(y * dy), [x, kernel])]

    y = conv_cases.output_shape(case.x, case.kernel, case.strides, case.padding, case.dilation)
    with _core.Trace() as trace:
        x = trace.input(["batch", *case.x[1:]], dtype)
        kernel = trace.input(list(case.kernel), dtype)
        dy = trace.input(["batch", *y[1:]], dtype)
        program = trace.compile(function(x, kernel, dy))
    return program


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
            return _core.tanh(y * b) + residual
        y = y + b if "bias" in kind else y
        return _core.relu(y) if "relu" in kind else y

    with _core.Trace() as trace:
        inputs = [trace.input([None, *x.shape[1:]]), trace.input(list(k.shape)), trace.input(list(b.shape))]
        inputs.append(trace.input([None, *residual.shape[1:]]) if kind != "tanh_residual" else trace.input(list(residual.shape)))
        if kind == "tanh_residual":
            inputs[0] = trace.input(list(x.shape))
            program = trace.compile([function(*inputs)])
            order = [k, b, residual, x]
        else:
            program = trace.compile([function(*inputs)])
    if kind == "tanh_residual":
        with _core.Trace() as trace:
            program = trace.compile([function(*[trace.input(list(a.shape)) for a in (x, k, b, residual)])])
        del order
    assert program.plan.count("\n") and "chain" not in [line.split("(")[0].strip() for line in program.plan.splitlines()]
    got = program.numpy(x, k, b, residual)[0]
    y, scale = conv_cases.reference(x, k, **case.options), conv_cases.reference(np.abs(x), np.abs(k), **case.options)
    if kind == "tanh_residual":
        want, scale = np.tanh(y * b) + residual, scale * np.abs(b) + 4
    else:
        want = y + b if "bias" in kind else y
        want, scale = np.maximum(want, 0) if "relu" in kind else want, scale + np.abs(b)
    close(got, want, scale, k[..., 0].size, "float32")
