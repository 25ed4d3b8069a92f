import hashlib

import numpy as np
import pytest
from sklearn.datasets import load_digits

from maas.datasets import digits

# x_train, y_train, x_test, y_test
CHECKSUMS = ["db0b3db5938631e0", "b5ae8b55a8e5c8ab", "a6dac55798f2a29b", "87dcbd3ba20f0dfc"]


def checksum(array):
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()[:16]


def rows(x, y):
    return sorted(map(bytes, np.column_stack([x.reshape(len(x), -1), y]).astype(np.uint8)))


def test_shapes_and_dtypes():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert x_train.shape == (1437, 8, 8) and x_test.shape == (360, 8, 8)
    assert y_train.shape == (1437,) and y_test.shape == (360,)
    assert x_train.dtype == x_test.dtype == np.uint8 and y_train.dtype == y_test.dtype == np.int64
    assert x_train.min() == 0 and x_train.max() == 16


def test_train_and_test_together_are_scikit_learns_digits():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    theirs = load_digits()
    assert rows(np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])) == rows(
        theirs.data, theirs.target
    )


def test_every_digit_has_its_share_of_both_parts():
    (_, y_train), (_, y_test) = digits.load_data()
    counts = np.bincount(y_train) + np.bincount(y_test)
    assert np.all(np.abs(np.bincount(y_test) - counts * 360 / 1797) < 1)


def test_the_split_never_changes():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert [checksum(a) for a in (x_train, y_train, x_test, y_test)] == CHECKSUMS


@pytest.mark.parametrize("size", [9, 16, 28])
def test_enlarged_images_are_bilinear(size):
    (small, _), _ = digits.load_data()
    (large, y), _ = digits.load_data(size=size)
    assert large.shape == (1437, size, size) and large.dtype == np.uint8
    assert np.array_equal(y, digits.load_data()[0][1])
    position = ((np.arange(size) + 0.5) * 8 / size - 0.5).clip(0, 7)
    weights = np.maximum(0, 1 - np.abs(position[:, None] - np.arange(8)))
    expected = weights @ small.astype(np.float64) @ weights.T * 255 / 16
    assert np.abs(large - expected).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("size", [7, 0, -28, 28.0, "28", True, None])
def test_bad_size_is_an_error_that_names_it(size):
    with pytest.raises(ValueError, match=r"at least 8, received size="):
        digits.load_data(size=size)


def test_loading_twice_gives_separate_arrays():
    (first, _), _ = digits.load_data()
    first[:] = 0
    assert digits.load_data()[0][0].max() == 16
