"""Joining, padding, repeating and making tensors, against NumPy and real Keras."""

import numpy as np
import pytest

from maas import _core, ops
from tests.ops.shape_cases import DTYPES
from tests.ops.support import compiled

SHAPES = [(3, 4, 5), (1, 4, 1), (2, 0, 3)]
SAME_AS_NUMPY = [
    ("tile", ((2, 1, 3),), {}),
    ("tile", ((2, 1, 1, 3),), {}),
    ("repeat", (3,), {"axis": 1}),
    ("repeat", (2,), {}),
    ("roll", (2,), {"axis": 1}),
    ("roll", (-7,), {}),
    ("roll", ([1, -2],), {"axis": [0, 2]}),
    ("flip", (), {}),
    ("flip", (1,), {}),
    ("flip", ((0, 2),), {}),
    ("pad", (((1, 2), (3, 0), (0, 2)),), {"constant_values": 3}),
    ("pad", (1,), {}),
    ("tril", (-1,), {}),
    ("triu", (1,), {}),
]
MIRRORED = [(((1, 2), (3, 0), (0, 2)), mode) for mode in ("reflect", "symmetric", "edge")]


def values(shape, dtype="float32", seed=0):
    return (np.random.default_rng(seed).standard_normal(shape) * 5).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name,args,kwargs", SAME_AS_NUMPY)
def test_as_numpy(name, args, kwargs, shape, dtype):
    x = values(shape, dtype)
    got, want = getattr(ops, name)(x, *args, **kwargs).numpy(), getattr(np, name)(x, *args, **kwargs)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("widths,mode", MIRRORED)
def test_mirrored_borders(widths, mode):
    x = values((3, 4, 5))
    np.testing.assert_array_equal(ops.pad(x, widths, mode=mode).numpy(), np.pad(x, widths, mode=mode))


@pytest.mark.parametrize("dtype", DTYPES)
def test_concatenate_and_stack(dtype):
    a, b, c = values((2, 3, 4), dtype), values((2, 1, 4), dtype, 1), values((2, 0, 4), dtype)
    np.testing.assert_array_equal(ops.concatenate([a, c, b], 1).numpy(), np.concatenate([a, c, b], 1))
    np.testing.assert_array_equal(ops.concatenate([a, b], None).numpy(), np.concatenate([a, b], None))
    np.testing.assert_array_equal(ops.stack([a, a + a], -1).numpy(), np.stack([a, a + a], -1))
    many = [a[:, :1]] * 130  # more than one kernel call takes
    np.testing.assert_array_equal(ops.concatenate(many, 1).numpy(), np.concatenate(many, 1))
    np.testing.assert_array_equal(ops.hstack([a, b]).numpy(), np.hstack([a, b]))
    np.testing.assert_array_equal(ops.vstack([a, a]).numpy(), np.vstack([a, a]))


def test_parts_that_do_not_lie_densely():
    program = compiled(
        lambda x: [
            _core.concatenate(_core.transpose(x, axes=[0, 2, 1]), x[:, :, 1:4:2], _core.flip(x, axis=[1]), axis=2)
        ],
        (("batch", 4, 4), "float32"),
    )
    for n in (1, 3):
        x = values((n, 4, 4))
        want = np.concatenate([x.transpose(0, 2, 1), x[:, :, 1:4:2], x[:, ::-1]], 2)
        np.testing.assert_array_equal(program.numpy(x)[0], want)


def test_unknown_sizes():
    def function(a):
        n = a.dims[0]
        return [
            ops.tile(a, (2, 3)),
            ops.repeat(a, 2, 0),
            ops.pad(a, ((1, 1), (0, 2))),
            ops.arange(n),
            ops.pad(a, [(n, 0), (0, 1)]),
            ops.concatenate([a, ops.zeros((n, 2))], 1),
            ops.tril(ops.matmul(a, ops.transpose(a))),
            *_core.gradients(ops.sum(ops.square(a[n - 1 :])), [a]),
        ]

    program = compiled(function, (("batch", 4), "float32"))
    for n in (1, 3, 6):
        x = values((n, 4))
        last = np.zeros_like(x)
        last[-1] = 2 * x[-1]
        want = [
            np.tile(x, (2, 3)),
            np.repeat(x, 2, 0),
            np.pad(x, ((1, 1), (0, 2))),
            np.arange(n),
            np.pad(x, [(n, 0), (0, 1)]),
            np.concatenate([x, np.zeros((n, 2))], 1),
            np.tril(x @ x.T),
            last,
        ]
        for a, b in zip(program.numpy(x), want):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_made_tensors(keras):
    k = keras.ops
    for ours, theirs in (
        (ops.arange(5), k.arange(5)),
        (ops.arange(1, 7, 2.5), k.arange(1, 7, 2.5)),
        (ops.arange(5, 0, -2), k.arange(5, 0, -2)),
        (ops.eye(3, 4, 1), k.eye(3, 4, 1)),
        (ops.tri(3, 4, 1), k.tri(3, 4, 1)),
        (ops.linspace(0, 1, 5), k.linspace(0, 1, 5)),
        (ops.one_hot(np.array([0, 5, -1, 2]), 3), k.one_hot(np.array([0, 5, -1, 2]), 3)),
        (ops.one_hot(np.array([[0, 2]]), 3, axis=1), k.one_hot(np.array([[0, 2]]), 3, axis=1)),
        (ops.diag(np.arange(3.0), 1), k.diag(np.arange(3.0), 1)),
        (ops.diag(np.arange(12.0).reshape(3, 4), -1), k.diag(np.arange(12.0).reshape(3, 4), -1)),
    ):
        want = k.convert_to_numpy(theirs)
        np.testing.assert_allclose(ours.numpy(), want, rtol=1e-6)


def test_errors():
    x = np.ones((2, 3), "float32")
    with pytest.raises(ValueError, match=r"concatenate: inputs must agree .* received \(2, 3\) and \(3, 3\)"):
        ops.concatenate([x, np.ones((3, 3), "float32")], 1)
    with pytest.raises(ValueError, match="at least one tensor"):
        ops.concatenate([])
    with pytest.raises(ValueError, match="pad: widths must be at least 0"):
        ops.pad(x, ((-1, 0), (0, 0)))
    with pytest.raises(ValueError, match="one pair per axis"):
        ops.pad(x, ((1, 0), (0, 0), (1, 1)))
    with pytest.raises(TypeError, match="one_hot: indices must be integers, received float32"):
        ops.one_hot(x, 3)
