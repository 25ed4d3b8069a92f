"""Image layers against real Keras with the same drawn transformation, and what they do in models and files."""

import functools

import keras
import numpy as np
import pytest

import maas
from maas import layers
from tests.layers import pair

IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 9, 7, 3)).astype("float32")
RANDOM = [
    ("RandomFlip", (), {}),
    ("RandomFlip", ("horizontal",), {}),
    ("RandomFlip", ("vertical",), {}),
    ("RandomRotation", (0.2,), {}),
    ("RandomRotation", ((-0.5, 0.1),), {"fill_mode": "constant", "fill_value": 3.0, "interpolation": "nearest"}),
    ("RandomTranslation", (0.4, 0.3), {}),
    ("RandomTranslation", (0.4, (0.1, 0.3)), {"fill_mode": "wrap"}),
    ("RandomZoom", (0.4,), {}),
    ("RandomZoom", (0.4, 0.5), {"fill_mode": "nearest"}),
    ("RandomContrast", (0.5,), {}),
    ("RandomBrightness", (0.5,), {"value_range": (0, 200)}),
    ("RandomCrop", (4, 5), {}),
    ("RandomCrop", (12, 5), {}),
]
COLOUR = [
    ("RandomGrayscale", (0.5,), {}),
    ("RandomHue", (0.4,), {}),
    ("RandomSaturation", ((0.2, 0.8),), {}),
    ("RandomInvert", (0.9,), {}),
    ("RandomPosterization", ((1, 7),), {}),
    ("RandomPosterization", ((3, 3),), {}),
    ("RandomColorDegeneration", (0.8,), {}),
    ("RandomSharpness", ((0.1, 0.9),), {}),
]
PLAIN = [
    ("Resizing", (5, 6), {}),
    ("Resizing", (5, 6), {"interpolation": "nearest", "crop_to_aspect_ratio": True}),
    ("Resizing", (12, 6), {"interpolation": "bicubic", "pad_to_aspect_ratio": True, "fill_value": 2.0}),
    ("CenterCrop", (4, 5), {}),
    ("CenterCrop", (10, 5), {}),
]


def words(case):
    return f"{case[0]}-{'-'.join(map(str, case[2])) or 'plain'}"


def same_pair(name, args, kwargs):
    ours = getattr(layers, name)(*args, name="layer", **kwargs)
    theirs = getattr(keras.layers, name)(*args, name="layer", **kwargs)
    config = pair.config_of(theirs, keras)
    assert pair.config_of(ours, maas) == config
    assert pair.config_of(layers.deserialize(config), maas) == config
    return ours, theirs


def as_numpy(drawn):
    if isinstance(drawn, dict):
        return {k: np.asarray(v) if hasattr(v, "dtype") else v for k, v in drawn.items()}
    return tuple(int(v) for v in drawn) if isinstance(drawn, tuple) else np.asarray(drawn)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("case", RANDOM + COLOUR + PLAIN, ids=words)
def test_same_transformation_same_pixels(case, data_format):
    name, args, kwargs = case
    seed = {"seed": 5} if name.startswith("Random") else {}
    ours, theirs = same_pair(name, args, {**kwargs, **seed, "data_format": data_format})
    images = IMAGES if data_format == "channels_last" else IMAGES.transpose(0, 3, 1, 2)
    drawn = theirs.get_random_transformation(images, training=True)
    expected = theirs.transform_images(keras.ops.convert_to_tensor(images), drawn)
    found = ours.transform_images(maas.ops.convert_to_tensor(images), as_numpy(drawn))
    pair.assert_outputs_close(found, expected, 64)
    assert ours(images).shape == expected.shape == ours.compute_output_shape(images.shape)
    one = ours(images[0])
    assert one.shape == expected.shape[1:]
    still = ours(images, training=False)
    assert still.shape == expected.shape
    if name == "RandomCrop":  # Keras says it cuts the middle and gives the whole images
        theirs = functools.partial(keras.preprocessing.image.smart_resize, size=args, data_format=data_format)
        pair.assert_outputs_close(still, theirs(images), 16)
    else:
        pair.assert_outputs_close(still, theirs(images, training=False), 16)


@pytest.mark.parametrize("fill_mode", ["constant", "nearest", "wrap", "mirror", "reflect"])
def test_pixels_far_outside(fill_mode):
    rng = np.random.default_rng(1)
    matrix = np.pad(rng.normal(size=(3, 6)).astype("float32") * 20, ((0, 0), (0, 2)))
    ours, theirs = (
        lib.ops.image.affine_transform(IMAGES, matrix, "nearest", fill_mode, fill_value=7.0) for lib in (maas, keras)
    )
    # Coordinates beside a half may round to the other side.
    assert np.mean(np.asarray(ours) != np.asarray(theirs)) < 0.01


def test_draws_lie_in_their_ranges():
    x = np.zeros((400, 4, 4, 1), "float32")
    flips = layers.RandomFlip(seed=1).get_random_transformation(x)["flips"].numpy()
    assert flips.shape == (400, 1, 1, 1) and 0.4 < flips.mean() < 0.6
    angle = layers.RandomRotation((-0.25, 0.5), seed=1).get_random_transformation(x)["angle"].numpy()
    assert -90 <= angle.min() < -75 and 165 < angle.max() <= 180
    moved = layers.RandomTranslation(0.5, (0.0, 0.25), seed=1).get_random_transformation(x)["translations"].numpy()
    assert moved[:, 1].min() < -1.8 and moved[:, 1].max() > 1.8 and moved[:, 0].min() >= 0 and moved[:, 0].max() <= 1
    zoom = layers.RandomZoom((-0.5, -0.2), seed=1).get_random_transformation(x)
    assert 0.5 <= zoom["height_zoom"].numpy().min() and zoom["height_zoom"].numpy().max() <= 0.8
    assert zoom["width_zoom"] is zoom["height_zoom"]
    drawn = layers.RandomContrast((0.2, 0.9), seed=1).get_random_transformation(x)["contrast_factor"].numpy()
    assert 0.8 <= drawn.min() < 0.85 and 1.8 < drawn.max() <= 1.9
    tops = {int(layers.RandomCrop(2, 2, seed=s).get_random_transformation(x)[0]) for s in range(40)}
    assert tops == {0, 1, 2}


def test_same_seed_same_images_and_the_next_call_others():
    a, b = (layers.RandomRotation(0.3, seed=7) for _ in range(2))
    first = a(IMAGES).numpy()
    assert np.array_equal(first, b(IMAGES).numpy()) and not np.array_equal(first, a(IMAGES).numpy())


def test_images_labels_and_masks_change_together():
    data = {
        "images": IMAGES,
        "labels": np.arange(3),
        "segmentation_masks": (IMAGES[..., :1] > 128).astype("int32"),
    }
    for layer in (layers.RandomFlip(seed=1), layers.RandomRotation(0.1, interpolation="nearest", seed=1)):
        out = layer(data)
        assert set(out) == set(data) and np.array_equal(out["labels"], data["labels"])
        assert np.array_equal(out["segmentation_masks"].numpy()[..., 0], out["images"].numpy()[..., 0] > 128)
    small = layers.Resizing(4, 4)(data)
    assert small["images"].shape == (3, 4, 4, 3) and small["segmentation_masks"].shape == (3, 4, 4, 1)
    assert set(np.unique(small["segmentation_masks"].numpy())) <= {0, 1}


def test_layers_of_colour_leave_boxes_where_they_are():
    boxes = {"boxes": np.array([[[1.0, 2.0, 3.0, 4.0]]] * 3, "float32"), "labels": np.array([[1]] * 3)}
    for make in (layers.RandomContrast, layers.RandomBrightness, layers.RandomGrayscale, layers.RandomHue):
        layer = make(0.5, seed=1, bounding_box_format="xyxy")
        out = layer({"images": IMAGES, "bounding_boxes": boxes})["bounding_boxes"]
        for key in boxes:
            np.testing.assert_array_equal(out[key], boxes[key])
        assert make.from_config(layer.get_config()).bounding_box_format == "xyxy"


def test_integer_images():
    x = IMAGES.astype("uint8")
    assert layers.Resizing(4, 4)(x).dtype == "uint8"
    pair.assert_outputs_close(layers.Resizing(4, 4)(x), keras.layers.Resizing(4, 4)(x))
    assert layers.RandomFlip(seed=1)(x).dtype == "float32"


def test_in_a_model_that_trains_and_is_saved(tmp_path):
    x, y = IMAGES.repeat(4, 0), np.arange(12) % 2
    model = maas.Sequential(
        [
            layers.Input((9, 7, 3)),
            layers.RandomFlip(seed=1),
            layers.RandomRotation(0.1, seed=2),
            layers.RandomTranslation(0.1, 0.1, seed=3),
            layers.RandomZoom(0.1, seed=4),
            layers.RandomContrast(0.2, seed=5),
            layers.RandomBrightness(0.2, seed=6),
            layers.RandomCrop(8, 6, seed=7),
            layers.Resizing(6, 6),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    model.compile("sgd", maas.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = model.get_weights()[-1]
    model.fit(x, y, batch_size=5, epochs=2, verbose=0)
    assert not np.array_equal(model.get_weights()[-1], before)
    expected = model.predict(x, verbose=0)
    assert np.array_equal(expected, model.predict(x, verbose=0))  # nothing random outside of training
    for path in (tmp_path / "m.keras", tmp_path / "m.maas"):
        model.save(path)
        again = maas.models.load_model(path)
        np.testing.assert_array_equal(again.predict(x, verbose=0), expected)


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: layers.RandomFlip("sideways"), ValueError, "`mode` must be one of"),
        (lambda: layers.RandomRotation(1.5), ValueError, r"in \[-1, 1\], received factor=1.5"),
        (lambda: layers.RandomRotation(0.1, fill_mode="x"), NotImplementedError, "`fill_mode` must be one of"),
        (lambda: layers.RandomRotation(0.1, interpolation="x"), NotImplementedError, "`interpolation` must be one of"),
        (lambda: layers.RandomTranslation(2, 0.1), ValueError, "`height_factor` must be .* received height_factor=2"),
        (lambda: layers.RandomZoom(-1.0), ValueError, r"in \(-1, 1\], received height_factor=-1.0"),
        (lambda: layers.RandomContrast(-0.1), ValueError, r"in \[0, 1\]"),
        (lambda: layers.RandomBrightness(0.1, value_range=5), ValueError, "`value_range` must be two numbers"),
        (lambda: layers.Resizing(0, 5), ValueError, "`height` must be a positive int"),
        (lambda: layers.CenterCrop(2, 2.5), ValueError, "`width` must be a positive int"),
        (lambda: layers.RandomFlip()(np.zeros((2, 2))), ValueError, r"3 or 4 axes .* received shape \(2, 2\)"),
        (lambda: layers.RandomFlip()({"labels": np.zeros(2)}), ValueError, "must have the key 'images'"),
        (
            lambda: layers.RandomFlip()({"images": IMAGES, "bounding_boxes": {}}),
            ValueError,
            "need the argument `bounding_box_format`.* received None$",
        ),
        (
            lambda: layers.RandomElasticTransform(bounding_box_format="xyxy"),
            ValueError,
            "does not move bounding boxes, received bounding_box_format='xyxy'$",
        ),
        (lambda: layers.RandomFlip(factor=0.5), ValueError, "unrecognized keyword arguments, received .*factor"),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize("fill_mode", ["constant", "nearest", "wrap", "mirror", "reflect"])
def test_maps_of_images_whose_size_is_open(fill_mode):
    class Moved(layers.Layer):
        def call(self, x):
            return maas.ops.image.affine_transform(x, MAP, fill_mode=fill_mode)

        def compute_output_shape(self, input_shape):
            return input_shape

    MAP = np.array([[0.9, 0.2, -3.0, -0.1, 1.1, 2.0, 0, 0]], "float32")
    model = maas.Sequential([layers.Input((None, None, 3)), Moved()])
    for image in (IMAGES, IMAGES[:, :5, :6], IMAGES[:, :1, :1]):
        expected = maas.ops.image.affine_transform(image, MAP, fill_mode=fill_mode)
        np.testing.assert_allclose(model.predict(image, verbose=0), expected, rtol=1e-5, atol=1e-3)
        theirs = keras.ops.image.affine_transform(image, np.repeat(MAP, 3, 0), fill_mode=fill_mode)
        np.testing.assert_allclose(expected, theirs, rtol=1e-4, atol=1e-2)
