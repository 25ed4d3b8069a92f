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


WARPS = np.array([[0.9, 0.2, 1.3, -0.1, 1.1, -0.7, 0, 0], [1, 0, -2.2, 0.3, 0.8, 1.5, 0, 0]], "float32")
PLACES = np.random.default_rng(1).uniform(-3, 11, (2, 5, 6)).astype("float32")
CORNERS = np.array([[[0, 0], [0, 6], [8, 0], [8, 6]]] * 2, "float32")
MOVED = (CORNERS + np.random.default_rng(2).normal(size=CORNERS.shape)).astype("float32")
UNIT = np.random.default_rng(3).random((2, 7, 9, 3)).astype("float32")
FIRST = UNIT.transpose(0, 3, 1, 2)
VOLUMES = np.random.default_rng(4).random((2, 6, 5, 7, 2)).astype("float32")
MODES = ("constant", "nearest", "wrap", "mirror", "reflect")
CALLS = [
    *(("affine_transform", (IMAGES, WARPS), {"interpolation": i, "fill_mode": m, "fill_value": 0.5})
      for m in MODES for i in ("nearest", "bilinear")),
    ("affine_transform", (FIRST[0], WARPS[0]), {"data_format": "channels_first"}),
    *(("map_coordinates", (IMAGES[0, :, :, 0], PLACES, order), {"fill_mode": m, "fill_value": 2.0})
      for m in MODES for order in (0, 1)),
    ("perspective_transform", (IMAGES, CORNERS, MOVED), {}),
    ("perspective_transform", (FIRST[0], CORNERS[0], MOVED[0]),
     {"interpolation": "nearest", "data_format": "channels_first"}),
    *(("extract_patches", (a, size), {"padding": p, **more}) for p in ("valid", "same") for a, size, more in (
        (UNIT, (3, 2), {}), (UNIT[0], 3, {"strides": 1, "dilation_rate": 2}),
        (FIRST, 2, {"data_format": "channels_first"}),
        (VOLUMES, (2, 3, 2), {}))),
    ("extract_patches_3d", (VOLUMES, 2), {}),
    ("extract_patches_3d", (VOLUMES[0], 2), {"strides": 1, "padding": "same"}),
    *((name, (a,), {"data_format": f}) for name in ("rgb_to_hsv", "hsv_to_rgb", "sobel_edges")
      for a, f in ((UNIT, "channels_last"), (FIRST, "channels_first"))),
    ("gaussian_blur", (UNIT, (5, 3), (1.0, 0.5)), {}),
    ("gaussian_blur", (FIRST[0], (4, 3)), {"data_format": "channels_first"}),
    ("ssim", (UNIT, UNIT[::-1]), {"filter_size": 5}), ("ssim", (FIRST[0], FIRST[1]), {"filter_size": 7, "max_val": 2.0,
                                                                                  "data_format": "channels_first"}),
]  # fmt: skip
CLAIMS = {f"ops.image.{c[0]}" for c in CALLS} | {
    f"ops.image.{n}" for n in ("resize", "rgb_to_grayscale", "pad_images", "crop_images")
}


@pytest.mark.parametrize("name, args, options", CALLS, ids=[f"{i}-{c[0]}" for i, c in enumerate(CALLS)])
def test_more_functions_as_keras(keras, name, args, options):
    options = options if name == "map_coordinates" else {"data_format": "channels_last", **options}
    compare(keras, lambda o: getattr(o.image, name)(*args, **options))
    import maas

    made = getattr(ops.image, name)(maas.KerasTensor(args[0].shape), *args[1:], **options)
    assert made.shape == np.asarray(getattr(ops.image, name)(*args, **options)).shape


@pytest.mark.parametrize(
    "name, args, options", [c for c in CALLS if "patches" not in c[0]][::3], ids=lambda v: str(v)[:20]
)
def test_slopes(name, args, options):
    rest = [a.astype("float64") if isinstance(a, np.ndarray) else a for a in args[1:]]
    options = options if name == "map_coordinates" else {"data_format": "channels_last", **options}
    support.check_gradients(lambda a: getattr(ops.image, name)(a, *rest, **options), [args[0].astype("float64")])


def test_whole_numbers_are_rounded():
    pixels = np.random.default_rng(0).integers(0, 256, (1, 8, 6, 3)).astype("uint8")
    same = np.array([1, 0, 0, 0, 1, 0, 0, 0], "float32")
    np.testing.assert_array_equal(ops.image.affine_transform(pixels, same), pixels)
    half = np.asarray(ops.image.affine_transform(pixels, np.array([1, 0, 0.5, 0, 1, 0, 0, 0], "float32")))
    wide = pixels.astype("float64")
    assert np.abs(half[:, :, :-1] - (wide[:, :, 1:] + wide[:, :, :-1]) / 2).max() <= 0.5


@pytest.mark.parametrize(
    "call, words",
    [
        (
            lambda: ops.image.affine_transform(UNIT, WARPS[:, :6]),
            r"transform must be \(8,\) or \(batch, 8\), received shape",
        ),
        (
            lambda: ops.image.affine_transform(UNIT, WARPS, "cubic"),
            "interpolation must be one of .* received interpolation='cubic'",
        ),
        (lambda: ops.image.map_coordinates(UNIT, PLACES, 1), r"coordinates must be \(4, ...\)"),
        (lambda: ops.image.map_coordinates(UNIT[0, 0], PLACES, 3), "order must be 0 or 1, received order=3"),
        (lambda: ops.image.map_coordinates(UNIT[0, 0], PLACES, 1, "edge"), "fill_mode='edge'"),
        (lambda: ops.image.perspective_transform(UNIT, CORNERS, MOVED[0]), "both sets of points"),
        (lambda: ops.image.extract_patches(UNIT, 30), "the window .* does not fit"),
        (lambda: ops.image.extract_patches(UNIT, 3, padding="full"), "padding='full'"),
        (lambda: ops.image.rgb_to_hsv(UNIT[..., :2]), "with 3 channels are needed, received images of shape"),
        *(
            (lambda call=call: call(UNIT, data_format="bogus"), "data_format must be .* received .*'bogus'")
            for call in (
                ops.image.rgb_to_hsv,
                ops.image.hsv_to_rgb,
                lambda x, **o: ops.image.extract_patches(x, 2, **o),
            )
        ),
        (lambda: ops.image.gaussian_blur(UNIT, (3, 3), (0, 1)), "must be positive"),
        (lambda: ops.image.ssim(UNIT, UNIT), "no smaller than the window of 11"),
    ],
)
def test_mistakes(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_nan_pixel_stays_where_it_is():
    x = np.random.default_rng(3).standard_normal((2, 6, 5, 1)).astype("float32")
    moved = np.array([1, 0, 1, 0, 1, 2, 0, 0], "float32")
    corners = np.array([[0, 0], [4, 0], [0, 5], [4, 5]], "float32")
    x[0, 0, 0] = np.nan
    for interpolation in ("nearest", "bilinear"):
        y = np.asarray(ops.image.affine_transform(x, moved, interpolation))
        assert not np.isnan(y).any() and np.array_equal(y[:, :4, :4], x[:, 2:, 1:])
    y = np.asarray(ops.image.perspective_transform(x, corners, corners, "nearest"))
    np.testing.assert_allclose(y, x, atol=1e-5)
