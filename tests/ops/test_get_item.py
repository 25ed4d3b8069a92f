"""Indexing by NumPy's rules: arrays with arrays, ints and slices between them; and letters twice in einsum."""

import numpy as np
import pytest

import maas
from maas import ops

X = np.random.default_rng(0).standard_normal((4, 5, 6, 3)).astype("float32")
ROW, GRID = np.array([0, -1, 2]), np.array([[1], [0]])

KEYS = [
    (ROW, ROW),
    (ROW, GRID),
    (slice(None), ROW, GRID),
    (ROW, slice(None), ROW),
    (slice(1, 3), ROW, slice(None, None, -1), ROW),
    (0, slice(None), ROW),
    (0, ROW),
    (ROW, 1),
    (slice(None), 1, slice(None), ROW),
    (ROW, Ellipsis, ROW),
    (None, ROW, ROW),
    (ROW, None, ROW),
    (ROW, np.array(1), ROW),
    (slice(None), ROW, ROW, ROW % 3),
    ([[0, 2], [1, 3]], [1, 3]),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_index_arrays(key):
    want = X[key]
    np.testing.assert_array_equal(ops.convert_to_tensor(X)[key], want)
    np.testing.assert_array_equal(maas.jit(lambda x: x[key])(X), want)


def test_gradient_of_index_arrays():
    x = maas.Variable(X[..., 0])
    with maas.GradientTape() as tape:
        y = ops.sum(x[ROW, :, [0, 0, 1]] * 2.0) + ops.sum(x[[1, 1], [2, 2]])
    want = np.zeros_like(X[..., 0])
    np.add.at(want, (ROW, slice(None), [0, 0, 1]), 2.0)
    np.add.at(want, ([1, 1], [2, 2]), 1.0)
    np.testing.assert_array_equal(tape.gradient(y, x), want)


def test_an_index_out_of_range_is_an_error_for_its_own_axis():
    with pytest.raises(IndexError):
        ops.convert_to_tensor(X)[[0, 0], [4, 5]]


@pytest.mark.parametrize(
    "subscripts", ["ii", "ii->i", "iij->j", "iji->ij", "ii,i->i", "ij,jj->i", "iii", "i,i->i", "ij,ij->ij"]
)
def test_letters_twice(subscripts):
    terms = subscripts.split("->")[0].split(",")
    operands = [np.random.default_rng(1).standard_normal((4,) * len(t)).astype("float32") for t in terms]
    np.testing.assert_allclose(
        ops.einsum(subscripts, *operands), np.einsum(subscripts, *operands), rtol=1e-5, atol=1e-6
    )


def test_letters_twice_need_one_size():
    with pytest.raises(ValueError, match="'i' is two sizes"):
        ops.einsum("ii->i", np.ones((2, 3), "float32"))


DOWN = [(3, -10, -1), (None, -10, -1), (-3, -10, -2), (-10, None, -1), (None, None, -2), (9, 1, -3), (None, None, -1)]
UP = [(2, 1), (3, -3), (-1, 0, 2), (0, 3, -1), (-2, None), (1, None, 3), (5, 1, -1)]
SLICES = [slice(*s) for s in DOWN + UP]


@pytest.mark.parametrize("size", [0, 1, 2, 5])
@pytest.mark.parametrize("key", SLICES, ids=str)
def test_slices(key, size):
    """Of known sizes, and of one that a run tells."""
    x = np.arange(2.0 * size, dtype="float32").reshape(2, size)
    np.testing.assert_array_equal(ops.convert_to_tensor(x)[:, key], x[:, key])
    inputs = maas.Input((None,))
    np.testing.assert_array_equal(maas.Model(inputs, inputs[:, key])(x), x[:, key])


OUTSIDE = {
    "1": lambda t: t[:, 1],
    "10^9": lambda t: t[:, 10**9],
    "-3": lambda t: t[:, -3],
    "a row": lambda t: t[5],
    "4, 1": lambda t: t[:, 4, 1],
    "slice": lambda t: ops.slice(t, (0, 2, 0), (2, 3, 3)),
    "split": lambda t: ops.split(t, [4], axis=1)[0],
}


@pytest.mark.parametrize("take", OUTSIDE.values(), ids=OUTSIDE)
def test_nothing_outside_an_axis_of_unknown_size_is_read(take):
    inputs = maas.Input((None, 3))
    model = maas.Model(inputs, take(inputs))
    with pytest.raises(ValueError, match="slice"):
        model.predict(np.ones((2, 1, 3), "float32"), verbose=0)


def test_several_masks():
    rows, columns = np.array([True, False, True, False]), np.array([False, True, True, False, False])
    np.testing.assert_array_equal(ops.convert_to_tensor(X)[rows, columns], X[rows, columns])
    with pytest.raises(IndexError):
        ops.convert_to_tensor(X)[rows, np.array([True, False])]
    np.testing.assert_array_equal(ops.convert_to_tensor(X)[True], X[True])
    np.testing.assert_array_equal(ops.convert_to_tensor(X)[[]], X[[]])


@pytest.mark.parametrize("subscripts, shapes", [
    ("...i,...i", [(4, 3), (4, 3)]), ("...ij,...jk->...ik", [(1, 2, 3), (4, 3, 5)]),
    ("bij,bjk->bik", [(1, 2, 3), (4, 3, 5)]), ("...,...->...", [(3, 1), (1, 4)]), ("i...,i...", [(3, 2), (3, 2)]),
])  # fmt: skip
def test_einsum_broadcasts(subscripts, shapes):
    operands = [np.random.default_rng(i).standard_normal(s).astype("float32") for i, s in enumerate(shapes)]
    want = np.einsum(subscripts, *operands)
    np.testing.assert_allclose(ops.einsum(subscripts, *operands), want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("subscripts", ["i->ii", "i1->i", "...i->i", "i->j"])
def test_wrong_subscripts(subscripts):
    with pytest.raises(ValueError, match="einsum"):
        ops.einsum(subscripts, np.ones((2, 3) if subscripts[0] != "i" or "1" in subscripts else 2, "float32"))
