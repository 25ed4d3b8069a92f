"""Sums over many 16-bit numbers are kept in float32 and rounded once: a sum kept in 16 bits would stop growing."""

import ml_dtypes
import numpy as np
import pytest

from maas import _core, ops
from tests.ops import support

HALF = {"bfloat16": np.dtype(ml_dtypes.bfloat16), "float16": np.dtype("float16")}
EPSILON = {"bfloat16": 2.0**-8, "float16": 2.0**-11}
N = 8192
TINY = 2.0**-7  # as a term of a sum of ones it vanishes in bfloat16, of many of its like in float16

every_half = pytest.mark.parametrize("dtype", HALF)


def full(shape, value, dtype):
    return np.full(shape, value, HALF[dtype])


SUMS = {
    "sum": lambda d: (ops.sum(full((3, N), TINY, d), axis=1), N * TINY),
    "sum_of_columns": lambda d: (ops.sum(full((N, 3), TINY, d), axis=0), N * TINY),
    "mean": lambda d: (ops.mean(full((3, N), TINY, d), axis=1), TINY),
    "variance": lambda d: (ops.var(np.tile([0, 1], (2, N // 2)).astype(HALF[d]), axis=1), 0.25),
    "cumsum": lambda d: (ops.cumsum(full((2, N), TINY, d), axis=1)[:, -1], N * TINY),
    "matmul": lambda d: (ops.matmul(full((3, N), TINY, d), full((N, 5), 1, d)), N * TINY),
    "matmul_batched": lambda d: (ops.matmul(full((2, 3, N), TINY, d), full((2, N, 5), 1, d)), N * TINY),
    "dot": lambda d: (ops.dot(full(N, TINY, d), full(N, 1, d)), N * TINY),
    "einsum": lambda d: (ops.einsum("abk,kc->abc", full((2, 2, N), TINY, d), full((N, 3), 1, d)), N * TINY),
    "conv": lambda d: (ops.conv(full((1, 3, 3, N // 8), TINY, d), full((3, 3, N // 8, 2), 1, d)), 9 * N / 8 * TINY),
    "average_pool": lambda d: (ops.average_pool(full((1, 64, 64, 2), 1 + TINY, d), 64), 1 + TINY),
    "softmax": lambda d: (ops.sum(ops.softmax(full((2, 4096), 1, d))), 2),
    "segment_sum": lambda d: (ops.segment_sum(full((N, 2), TINY, d), np.zeros(N, "int32"), num_segments=1), N * TINY),
    "norm": lambda d: (ops.sum(ops.square(full((2, N), 2.0**-3, d)), axis=1), N * 2.0**-6),
}


@every_half
@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("level", support.LEVELS)
def test_sums(name, dtype, level):
    with support.isa(level):
        got, want = SUMS[name](dtype)
    assert got.dtype == dtype
    np.testing.assert_allclose(np.asarray(got).astype("float64"), want, rtol=EPSILON[dtype])


@every_half
def test_gradients_sum_over_the_batch(dtype):
    with _core.Trace() as trace:
        x, w = trace.input([N, 1], dtype), trace.input([1, 2], dtype)
        y = _core.sum(_core.cast(_core.matmul(x, w), dtype="float32"))
        program = trace.compile(_core.gradients(y, [w]))
    (dw,) = program.numpy(full((N, 1), TINY, dtype), full((1, 2), 1, dtype))
    assert dw.dtype == HALF[dtype]
    np.testing.assert_array_equal(dw.astype("float64"), N * TINY)


@every_half
def test_rows_of_an_embedding_that_are_read_often(dtype):
    with _core.Trace() as trace:
        table, index = trace.input([3, 2], dtype), trace.input([N], "int32")
        y = _core.sum(_core.multiply(_core.cast(_core.take(table, index, axis=0), dtype="float32"), TINY))
        program = trace.compile(_core.gradients(y, [table]))
    (dt,) = program.numpy(full((3, 2), 1, dtype), np.ones(N, "int32"))
    np.testing.assert_array_equal(dt.astype("float64"), [[0, 0], [N * TINY] * 2, [0, 0]])


@every_half
def test_matmul_rounds_once(dtype):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((5, 777)).astype(HALF[dtype]), rng.standard_normal((777, 9)).astype(HALF[dtype])
    got = np.asarray(ops.matmul(a, b)).astype("float64")
    want = a.astype("float64") @ b.astype("float64")
    # Half a unit of the last place, and what float32 sums lose.
    np.testing.assert_allclose(got, want, rtol=EPSILON[dtype] * 1.001, atol=777 * 2.0**-22)
