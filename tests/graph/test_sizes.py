"""Sizes that are known only when a program runs: their algebra, what follows from them, and what is checked."""

import numpy as np
import pytest

from maas import _core, ops


def compiled(f, *shapes, dtypes=None):
    with _core.Trace() as trace:
        inputs = [trace.input(s, (dtypes or {}).get(i, "float32"), f"x{i}") for i, s in enumerate(shapes)]
        outputs = f(*inputs)
        outputs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
        return trace.compile([ops.convert_to_tensor(y) for y in outputs])


def a(*shape):
    return np.random.default_rng(sum(shape) + 1).normal(size=shape).astype("float32")


def test_algebra():
    with _core.Trace() as trace:
        n, m = trace.input((None, None)).dims
    assert n + m == m + n and 2 * (n + 1) == n + n + 2 and n * m - m * n == 0
    assert (4 * n + 3) // 4 == n and (4 * n + 7) // 4 == n + 1 and (n * m) // m == n
    assert (n + 7) // 4 == (n + 3) // 4 + 1
    assert n.max(0) == n and n.min(n + 3) == n and (n + 5).max(n) == n + 5 and n.max(m) == m.max(n)
    assert (6 * n) % 3 == 0 and (6 * n + 7) % 3 == 1 and -n + n == 0
    assert n != m and n != 3


@pytest.mark.parametrize(
    "f, x, y, wrong",
    [
        (lambda x, y: x + y, (4, 3), (4, 3), (5, 3)),
        (lambda x, y: ops.matmul(x, ops.transpose(y)), (4, 3), (6, 3), (6, 4)),
        (lambda x, y: ops.concatenate([x, y], axis=0), (4, 3), (2, 3), (2, 5)),
        (lambda x, y: ops.reshape(x, ops.shape(y)), (4, 3), (6, 2), (5, 2)),
        (lambda x, y: ops.broadcast_to(ops.reshape(x, (1, *ops.shape(x))), (2, *ops.shape(y))), (4, 3), (4, 3), (4, 2)),
        (lambda x, y: ops.where(x > 0, x, y), (4, 3), (4, 3), (4, 1)),
    ],
    ids=["add", "matmul", "concatenate", "reshape", "broadcast_to", "where"],
)
def test_equalities_that_a_run_must_show(f, x, y, wrong):
    program = compiled(f, (None, None), (None, None))
    expected = np.asarray(f(ops.convert_to_tensor(a(*x)), ops.convert_to_tensor(a(*y))))
    np.testing.assert_allclose(program.numpy(a(*x), a(*y))[0], expected, rtol=1e-5)
    with pytest.raises(ValueError, match=r"(must|inner sizes|sizes).*received \d+ and \d+"):
        program.numpy(a(*x), a(*wrong))
    np.testing.assert_allclose(program.numpy(a(*x), a(*y))[0], expected, rtol=1e-5)


def test_sizes_that_always_differ_are_an_error_at_once():
    with _core.Trace() as trace:
        x, y = trace.input(("n", 3)), trace.input(("n", 4))
        with pytest.raises(ValueError, match="add"):
            x + y
        with pytest.raises(ValueError, match="concatenate"):
            ops.concatenate([x, y], axis=0)
        longer = ops.concatenate([x, ops.ones((1, 3))], axis=0)
        with pytest.raises(ValueError, match="add"):
            longer + x


def test_guards_are_in_the_graph():
    with _core.Trace() as trace:
        x, y = trace.input((None,), name="x"), trace.input((None,), name="y")
        text = trace.graph([x + y])
    assert "guard x.0#" in text and "(add: sizes that meet must be equal)" in text


def test_a_slice_of_one_broadcasts():
    def f(x, y):
        z = x[:1] * y + ops.broadcast_to(x[:, :1], ops.shape(x))
        return z, *_core.gradients(ops.sum(ops.tanh(z)), [x, y])

    program = compiled(f, (None, None), ("x0.0x", "x0.1x"))
    known = compiled(f, (4, 3), (4, 3))
    for p, q in zip(program.numpy(a(4, 3), a(4, 3) + 1), known.numpy(a(4, 3), a(4, 3) + 1)):
        np.testing.assert_allclose(p, q, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="must not be empty, received 0 and 1"):
        program.numpy(a(0, 3), a(4, 3))


def test_gradients_through_guarded_sizes():
    def f(x, y):
        z = ops.sum(ops.tanh(x * y) * ops.sum(ops.matmul(x, ops.transpose(y))))
        return _core.gradients(z, [x, y])

    x, y = a(4, 3).astype("float64"), a(5, 4, 3)[0].astype("float64")
    open_sizes = compiled(f, (None, None), (None, None), dtypes={0: "float64", 1: "float64"})
    known = compiled(f, x.shape, y.shape, dtypes={0: "float64", 1: "float64"})
    for p, q in zip(open_sizes.numpy(x, y), known.numpy(x, y)):
        np.testing.assert_allclose(p, q, rtol=1e-12)


def test_tensors_of_sizes():
    """Shape -> slice, take, concatenate, arithmetic -> reshape, broadcast_to, arange, pad, full, slice."""

    def f(x):
        sizes = ops.convert_to_tensor(ops.shape(x))  # (b, t, 6) as a tensor
        b, t = sizes[0], sizes[1]
        merged = ops.reshape(x, ops.concatenate([[b * t], sizes[2:]], axis=0))
        heads = ops.reshape(x, ops.concatenate([sizes[:2], [2, 3]], axis=0))
        wide = ops.broadcast_to(x[:1], sizes)
        steps = ops.arange(t)
        back = ops.arange(t - 1, -1, -1)
        every = ops.arange(1, t, 2)
        padded = ops.pad(x, [(0, 0), (0, t), (1, b)])
        picked = ops.take(sizes, [2, 0], axis=0)
        filled = ops.full(picked, 7.0)
        first = ops.slice(x, (0, 0, 0), (b, t // 2, 2))
        ones = ops.ones((ops.shape(x)[1] + 1,)) * ops.shape(x)[0]
        tiled = ops.tile(x, (1, b, 1))
        last = x[:, ops.shape(x)[1] - 1]
        mean = ops.sum(x, axis=1) / ops.shape(x)[1]
        return merged, heads, wide, steps, back, every, padded, filled, first, ones, tiled, last, mean, sizes * 2

    program = compiled(f, (None, None, 6))
    for b, t in [(1, 1), (2, 5), (3, 4), (7, 2)]:
        x = a(b, t, 6)
        results = program.numpy(x)
        merged, heads, wide, steps, back, every, padded, filled, first, ones, tiled, last, mean, sizes = results
        np.testing.assert_array_equal(merged, x.reshape(b * t, 6))
        np.testing.assert_array_equal(heads, x.reshape(b, t, 2, 3))
        np.testing.assert_array_equal(wide, np.broadcast_to(x[:1], x.shape))
        np.testing.assert_array_equal(steps, np.arange(t))
        np.testing.assert_array_equal(back, np.arange(t - 1, -1, -1))
        np.testing.assert_array_equal(every, np.arange(1, t, 2))
        np.testing.assert_array_equal(padded, np.pad(x, [(0, 0), (0, t), (1, b)]))
        np.testing.assert_array_equal(filled, np.full((6, b), 7.0))
        np.testing.assert_array_equal(first, x[:, : t // 2, :2])
        np.testing.assert_array_equal(ones, np.full(t + 1, b))
        np.testing.assert_array_equal(tiled, np.tile(x, (1, b, 1)))
        np.testing.assert_array_equal(last, x[:, -1])
        np.testing.assert_allclose(mean, x.sum(1) / t, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(sizes, [2 * b, 2 * t, 12])


def test_a_size_that_depends_on_values_is_refused():
    with _core.Trace() as trace:
        x, n = trace.input((None,)), trace.input((), "int32")
        with pytest.raises(TypeError, match="reshape: sizes must be known or follow from shapes"):
            ops.reshape(x, (n, -1))


def test_indices_known_only_when_the_program_runs():
    program = compiled(
        lambda x, i: (x[i], x[:, i], x[i, i], ops.slice(x, (i, 0), (2, 3))), (5, 6), (), dtypes={1: "int32"}
    )
    x = a(5, 6)
    for i in (0, 2, 4):
        row, column, one, block = program.numpy(x, np.asarray(i, "int32"))
        start = min(i, 3)
        np.testing.assert_array_equal(row, x[i])
        np.testing.assert_array_equal(column, x[:, i])
        np.testing.assert_array_equal(one, x[i, i])
        np.testing.assert_array_equal(block, x[start : start + 2, :3])
