"""`ops.image` against Keras, and its gradient."""

import numpy as np
import pytest

from maas import ops
from tests.ops import support

IMAGES = np.random.default_rng(0).standard_normal((2, 7, 9, 3)).astype("float32")
KINDS = ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"]


def compare(keras, function):
    want, got = np.asarray(function(keras.ops)), np.asarray(function(ops))
    assert got.shape == want.shape and got.dtype == want.dtype
    np.testing.assert_allclose(got.astype("float64"), want.astype("float64"), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("size", [(14, 18), (3, 4), (7, 20), (5, 9)])
@pytest.mark.parametrize("kind", KINDS)
def test_resize_as_keras(keras, kind, size, antialias):
    compare(keras, lambda o: o.image.resize(IMAGES, size, kind, antialias, data_format="channels_last"))


@pytest.mark.parametrize("given", [
    {"data_format": "channels_first"}, {"crop_to_aspect_ratio": True, "data_format": "channels_last"},
    {"pad_to_aspect_ratio": True, "fill_value": 2.0, "data_format": "channels_last"},
])  # fmt: skip
def test_resize_options(keras, given):
    compare(keras, lambda o: o.image.resize(IMAGES, (6, 4), **given))
    compare(keras, lambda o: o.image.resize(IMAGES[0], (4, 8), **given))


def test_whole_numbers(keras):
    pixels = np.random.default_rng(0).integers(0, 256, (1, 8, 6, 3)).astype("uint8")
    compare(keras, lambda o: o.image.resize(pixels, (16, 5), "nearest", data_format="channels_last"))
    got = np.asarray(ops.image.resize(pixels, (16, 5), "bicubic", data_format="channels_last"))
    want = np.asarray(keras.ops.image.resize(pixels, (16, 5), "bicubic", data_format="channels_last"))
    assert got.dtype == want.dtype and np.abs(got.astype(int) - want.astype(int)).max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_gradient(kind):
    x = IMAGES.astype("float64")
    support.check_gradients(lambda a: ops.image.resize(a, (5, 12), kind, data_format="channels_last"), [x])


def test_others_as_keras(keras):
    compare(keras, lambda o: o.image.rgb_to_grayscale(IMAGES, data_format="channels_last"))
    compare(keras, lambda o: o.image.pad_images(IMAGES, 1, 2, 3, None, None, 15, data_format="channels_last"))
    compare(keras, lambda o: o.image.crop_images(IMAGES, 1, 2, None, 3, 4, None, data_format="channels_last"))
    with pytest.raises(ValueError, match="interpolation must be one of"):
        ops.image.resize(IMAGES, (3, 3), "area")
