"""Images as arrays and files, and padded sequences, against real Keras."""

import io
import zlib

import keras
import numpy as np
import pytest

from maas import preprocessing, utils

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (9, 7, 3)).astype("uint8")


def test_old_names_are_the_same_objects():
    image = preprocessing.image
    for name in ("array_to_img", "img_to_array", "load_img", "save_img"):
        assert getattr(image, name) is getattr(utils, name)
    assert preprocessing.sequence.pad_sequences is utils.pad_sequences


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("kwargs", [{}, {"scale": False}, {"dtype": "float64"}])
def test_array_to_img_and_back(channels, kwargs):
    x = RNG.uniform(0, 255, (5, 4, channels))
    for data_format in ("channels_last", "channels_first"):
        given = x if data_format == "channels_last" else x.transpose(2, 0, 1)
        ours = utils.array_to_img(given, data_format, **kwargs)
        theirs = keras.utils.array_to_img(given, data_format, **kwargs)
        assert ours.mode == theirs.mode and np.array_equal(np.asarray(ours), np.asarray(theirs))
        back, expected = (lib.img_to_array(ours, data_format) for lib in (utils, keras.utils))
        assert back.dtype == expected.dtype and np.array_equal(back, expected)
    assert utils.array_to_img(np.full((2, 2, 1), 300.0), scale=False).mode == "I"


@pytest.mark.parametrize("kwargs", [
    {}, {"color_mode": "grayscale"}, {"color_mode": "rgba", "target_size": (4, 5)},
    {"target_size": (12, 3), "interpolation": "lanczos", "keep_aspect_ratio": True},
])  # fmt: skip
def test_save_and_load(kwargs, tmp_path):
    path = tmp_path / "a.png"
    utils.save_img(path, IMAGE)
    keras.utils.save_img(tmp_path / "b.png", IMAGE)
    assert path.read_bytes() == (tmp_path / "b.png").read_bytes()
    for source in (path, str(path), io.BytesIO(path.read_bytes())):
        ours = utils.load_img(source, **kwargs)
        assert np.array_equal(np.asarray(ours), np.asarray(keras.utils.load_img(path, **kwargs)))


def test_a_picture_that_says_it_is_huge(tmp_path):
    utils.save_img(tmp_path / "a.png", IMAGE)
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(ValueError, match="load_img: the picture has too many pixels for Pillow, received .*3600000000"):
        utils.load_img(io.BytesIO(data))


def test_jpeg_of_an_image_with_transparency(tmp_path):
    with pytest.warns(UserWarning, match="saved as RGB"):
        utils.save_img(tmp_path / "a.jpg", RNG.uniform(0, 255, (4, 4, 4)))
    assert utils.load_img(tmp_path / "a.jpg").mode == "RGB"


@pytest.mark.parametrize("size", [(4, 5), (20, 3), (9, 7)])
def test_smart_resize(size):
    x = IMAGE.astype("float32")
    for data_format, given in (("channels_last", x), ("channels_first", x.transpose(2, 0, 1))):
        ours = preprocessing.image.smart_resize(given, size, data_format=data_format)
        theirs = keras.preprocessing.image.smart_resize(given, size, data_format=data_format)
        assert isinstance(ours, np.ndarray)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-4)


@pytest.mark.parametrize("kwargs", [
    {}, {"maxlen": 2}, {"maxlen": 5, "padding": "post", "value": 9}, {"maxlen": 2, "truncating": "post"},
    {"dtype": "float64", "value": -1.5}, {"dtype": object, "value": "x"}, {"maxlen": 0},
])  # fmt: skip
def test_pad_sequences(kwargs):
    sequences = [[1, 2, 3], [], [4], (5, 6, 7, 8)]
    ours = utils.pad_sequences(sequences, **kwargs)
    if kwargs != {"maxlen": 0}:  # Keras fails
        theirs = keras.utils.pad_sequences(sequences, **kwargs)
        assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
    assert ours.shape == (4, kwargs.get("maxlen", 4))
    vectors = [RNG.normal(size=(n, 2)) for n in (2, 3)]
    assert np.array_equal(utils.pad_sequences(vectors), keras.utils.pad_sequences(vectors))


@pytest.mark.parametrize("call, error, text", [
    (lambda: utils.array_to_img(np.zeros((2, 2))), ValueError, r"3 axes .* received shape \(2, 2\)"),
    (lambda: utils.array_to_img(np.zeros((2, 2, 5))), ValueError, "1, 3 or 4 channels"),
    (lambda: utils.array_to_img(np.zeros((0, 2, 3))), ValueError, r"received shape \(0, 2, 3\)"),
    (lambda: utils.img_to_array(np.zeros(3)), ValueError, r"received shape \(3,\)"),
    (lambda: utils.load_img(5), TypeError, "received int"),
    (lambda: utils.load_img("x.png", color_mode="cmyk"), ValueError, "color_mode must be one of"),
    (lambda: utils.load_img("x.png", interpolation="best"), ValueError, "interpolation must be one of"),
    (lambda: utils.load_img("none.png"), FileNotFoundError, "none.png"),
    (lambda: preprocessing.image.smart_resize(np.zeros((2, 2)), (2, 2)), ValueError, "3 or 4 axes"),
    (lambda: preprocessing.image.smart_resize(IMAGE, (2, 2), y=1), TypeError, "unknown arguments"),
    (lambda: utils.pad_sequences(5), ValueError, "received int"),
    (lambda: utils.pad_sequences([[1], 2]), ValueError, "received 2 at position 1"),
    (lambda: utils.pad_sequences([[1]], padding="left"), ValueError, "received padding='left'"),
    (lambda: utils.pad_sequences([["a"]], value="x"), ValueError, "needs dtype=object"),
    (lambda: utils.pad_sequences([[[1, 2]], [[1]]]), ValueError, r"received \(1,\) at position 1"),
])  # fmt: skip
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()
