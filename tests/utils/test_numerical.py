"""Small helpers against real Keras."""

import keras
import numpy as np
import pytest

from maas import utils


@pytest.mark.parametrize("x", [[0, 2, 1], [[0], [1]], [[0, 1], [2, 2]], np.array([3.0, 1.0])], ids=str)
@pytest.mark.parametrize("classes", [None, 5])
def test_to_categorical(x, classes):
    found, expected = utils.to_categorical(x, classes), keras.utils.to_categorical(x, classes)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("x, classes", [([0, 5], 3), ([-1, 0], 3), ([], None)])
def test_to_categorical_out_of_range(x, classes):
    with pytest.raises(ValueError, match="received"):
        utils.to_categorical(x, classes)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("axis", [-1, 1])
def test_normalize(axis, order):
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    x[1] = 0
    np.testing.assert_allclose(utils.normalize(x, axis, order), keras.utils.normalize(x, axis, order), rtol=1e-6)


def test_packing():
    for parts in ((1,), (1, 2), (1, 2, 3), ([1, 2],)):
        packed = utils.pack_x_y_sample_weight(*parts)
        assert packed == keras.utils.pack_x_y_sample_weight(*parts)
        assert utils.unpack_x_y_sample_weight(packed) == (*parts, None, None)[:3]
    with pytest.raises(ValueError, match="received 4 items"):
        utils.unpack_x_y_sample_weight((1, 2, 3, 4))


@pytest.mark.parametrize("seed", ["a", -1, 2**32, True, None])
def test_wrong_seed(seed):
    with pytest.raises(ValueError, match="received seed="):
        utils.set_random_seed(seed)
