"""Matrix products beyond float32: integers are exact and wrap, 16-bit floats round once, views are read in place."""

import jax.numpy as jnp
import numpy as np
import pytest

from maas import _core, ops
from tests.ops import support

INTEGERS = ["int8", "uint8", "int16", "int32", "uint32", "int64"]
SHAPES = [
    ((7, 50), (50, 33)),
    ((3, 4, 20), (3, 20, 17)),
    ((2, 1, 170, 9), (3, 9, 64)),
    ((5, 600), (600, 1)),
    ((4, 0), (0, 3)),
]


def _step(x):
    return _core.reshape(_core.slice(x, begin=[0, 3, 0], end=[12, 4, 20], step=[1, 1, 1]), shape=[12, 20])


def _whole_range(shape, dtype, seed):
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(low, high, shape, dtype, endpoint=True)


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("transpose", [False, True])
def test_integers_wrap(shapes, dtype, transpose, level):
    a, b = (_whole_range(s, dtype, i) for i, s in enumerate(shapes))
    want = a @ b
    if transpose:
        a, b = (np.ascontiguousarray(x.swapaxes(-1, -2)) for x in (a, b))
    with support.isa(level):
        y = np.asarray(_core.matmul(a, b, transpose_a=transpose, transpose_b=transpose))
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("level", support.LEVELS)
def test_any_cut_of_an_integer_product(level):
    a, b = _whole_range((3, 340, 30), "int32", 0), _whole_range((3, 30, 70), "int32", 1)
    with support.isa(level), _core.Trace() as trace:
        program = trace.compile(
            [_core.matmul(trace.input(list(a.shape), "int32"), trace.input(list(b.shape), "int32"))]
        )
        for seed in (1, 2):
            np.testing.assert_array_equal(program.run_cut([a, b], seed)[0], a @ b)


def test_large_int64_keeps_every_digit():
    a = np.array([[2**53 + 1, -3], [2**62, 5]])
    np.testing.assert_array_equal(np.asarray(ops.matmul(a, a)), a @ a)


def test_truth_values_meet_as_logic():
    a, b = np.random.default_rng(0).integers(0, 2, (2, 6, 6)).astype(bool)
    y = ops.matmul(a, b)
    assert y.dtype == "bool"
    np.testing.assert_array_equal(np.asarray(y), a @ b)


def test_int8_gives_int32():
    a, b = _whole_range((3, 40), "int8", 0), _whole_range((40, 5), "int8", 1)
    want = a.astype("int32") @ b.astype("int32")
    for y in (ops.matmul(a, b), ops.einsum("ij,jk->ik", a, b)):
        assert y.dtype == "int32"
        np.testing.assert_array_equal(np.asarray(y), want)
    assert ops.matmul(a, b.astype("uint8")).dtype == "int16"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_half_floats_are_rounded_once(shapes, dtype):
    rng = np.random.default_rng(0)
    a, b = (np.asarray(jnp.asarray(rng.standard_normal(s), dtype).astype("float32")) for s in shapes)
    y = ops.matmul(ops.cast(a, dtype), ops.cast(b, dtype))
    assert y.dtype == dtype
    want = jnp.asarray(np.asarray(ops.matmul(a, b))).astype(dtype).astype("float32")
    np.testing.assert_array_equal(np.asarray(ops.cast(y, "float32")), np.asarray(want))


@pytest.mark.parametrize("m", [1, 5, 168, 169, 400])
@pytest.mark.parametrize("n", [16, 64, 65, 128])
@pytest.mark.parametrize("k", [3, 513])
def test_batched_blocks_keep_the_bits_of_a_single_product(m, n, k):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, m, k)).astype("float32"), rng.standard_normal((2, k, n)).astype("float32")
    y = support.check_bits(_core.matmul, [a, b])[0]
    support.same_bits([y[1]], [np.asarray(_core.matmul(a[1], b[1]))])


VIEWS = {
    "transposed": (lambda x: _core.transpose(x, axes=[1, 0]), (20, 12)),
    "time_step": (_step, (12, 5, 20)),
    "every_second": (lambda x: _core.slice(x, begin=[0, 0], end=[24, 40], step=[2, 2]), (24, 40)),
    "flipped": (lambda x: _core.flip(x, axis=[0, 1]), (12, 20)),
    "broadcast": (lambda x: _core.broadcast_to(x, shape=[12, 20]), (1, 20)),
}  # fmt: skip


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("name", VIEWS)
def test_views_are_read_where_they_lie(name, level):
    view, shape = VIEWS[name]
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(shape).astype("float32"), rng.standard_normal((20, 17)).astype("float32")
    with support.isa(level):
        with _core.Trace() as trace:
            tx, tw = trace.input(list(shape)), trace.input([20, 17])
            program = trace.compile([_core.matmul(view(tx), tw)])
        assert "chain" not in program.plan, program.plan
        y = program.numpy(x, w)[0]
        apart = np.asarray(_core.matmul(np.asarray(view(x)), w))
    support.same_bits([y], [apart])


def test_many_leading_axes():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 1, 2, 1, 2, 3, 4, 5)), rng.standard_normal((2, 1, 3, 1, 3, 5, 2))
    np.testing.assert_allclose(np.asarray(ops.matmul(a, b)), a @ b, rtol=1e-12)
