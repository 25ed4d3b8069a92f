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
