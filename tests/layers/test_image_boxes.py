"""Boxes that move with their images: against real Keras, and against where the pixels themselves go."""

import keras
import numpy as np
import pytest

import maas
from maas import layers
from tests.layers import pair
from tests.layers.test_image_layers import as_numpy

SIZE = (40, 30)
IMAGES = np.random.default_rng(0).uniform(0, 255, (3, *SIZE, 3)).astype("float32")
BOXES = {
    "boxes": np.array([[[8, 10, 20, 22], [0, 0, 5, 5]]] * 3, "float32"),
    "labels": np.array([[1, 2], [3, 4], [5, 6]], "int32"),
}


def inside(boxes, form="xyxy"):
    return maas.utils.bounding_boxes.convert_format(boxes, "xyxy", form, *SIZE)


FORMATS = ("xyxy", "rel_yxyx", "center_xywh")
MOVES = [
    *[("RandomFlip", (), f) for f in FORMATS], ("RandomFlip", ("vertical",), "xyxy"),
    *[("RandomTranslation", (0.3, 0.2), f) for f in FORMATS], *[("RandomZoom", (0.3,), f) for f in FORMATS],
    *[("Resizing", (20, 45), f) for f in ("xyxy", "center_xywh")],
    # Keras takes every format for xyxy, or gives xyxy back.
    ("RandomRotation", (0.1,), "xyxy"), ("RandomPerspective", (1.0, 0.3), "xyxy"),
]  # fmt: skip


@pytest.mark.parametrize("name, args, form", MOVES)
def test_boxes_of_keras(name, args, form):
    seed = {"seed": 3} if name.startswith("Random") else {}
    ours, theirs = (getattr(lib, name)(*args, bounding_box_format=form, **seed) for lib in (layers, keras.layers))
    given = inside(BOXES, form)
    drawn = theirs.get_random_transformation(keras.ops.convert_to_tensor(IMAGES), training=True)
    boxes = {k: keras.ops.convert_to_tensor(np.asarray(v)) for k, v in given.items()}
    expected = theirs.transform_bounding_boxes(boxes, drawn)
    transformation = as_numpy(drawn)
    if name == "RandomRotation":
        transformation["size"] = SIZE
    found = ours.transform_bounding_boxes(given, transformation)
    assert np.abs(np.asarray(found["boxes"]) - given["boxes"]).max() > 1e-3
    pair.assert_outputs_close(found["boxes"], expected["boxes"], 256)
    np.testing.assert_array_equal(found["labels"], expected["labels"])


CASES = [
    ("RandomFlip", (), {}), ("RandomRotation", ((0.04, 0.05),), {}), ("RandomTranslation", (0.2, 0.2), {}),
    ("RandomZoom", (0.2, 0.3), {}), ("RandomShear", (0.3, 0.2), {}), ("RandomPerspective", ((1.0, 1.0), 0.3), {}),
    ("Resizing", (30, 35), {}), ("Resizing", (30, 50), {"pad_to_aspect_ratio": True}),
    ("Resizing", (50, 30), {"crop_to_aspect_ratio": True}), ("CenterCrop", (30, 26), {}), ("CenterCrop", (50, 30), {}),
    ("RandomCrop", (32, 26), {}), ("RandomCrop", (50, 60), {}), ("RandAugment", (), {"factor": 0.2}),
]  # fmt: skip


@pytest.mark.parametrize("name, args, kwargs", CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_boxes_go_where_their_pixels_go(name, args, kwargs, data_format):
    """A bright rectangle in a black image: the box around what is bright after the layer is the moved box."""
    layer = getattr(layers, name)(*args, **kwargs, bounding_box_format="xyxy", data_format=data_format,
                                  **({"seed": 4} if name.startswith("Ran") else {}))  # fmt: skip
    for key in ("fill_mode", "fill_value"):
        if name.startswith("Random") and hasattr(layer, key):
            setattr(layer, key, {"fill_mode": "constant", "fill_value": 0.0}[key])
    images = np.zeros((2, *SIZE, 1), "float32")
    box = np.array([[[12, 14, 20, 26]]] * 2, "float32")
    images[:, 14:26, 12:20] = 100.0
    if data_format == "channels_first":
        images = images.transpose(0, 3, 1, 2)
    out = layer({"images": images, "bounding_boxes": {"boxes": box, "labels": np.ones((2, 1), "int32")}})
    y = np.asarray(out["images"]).reshape(2, *[n for n in out["images"].shape[1:] if n != 1])
    for image, moved in zip(y, np.asarray(out["bounding_boxes"]["boxes"])[:, 0]):
        if name == "RandAugment":
            assert 0 <= moved.min() and moved.max() <= 40
            continue
        rows, columns = (np.flatnonzero(image.max(axis) > 50) for axis in (1, 0))
        seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        # Pixels are whole; the bright part of a turned or sheared rectangle is a little smaller than its box.
        np.testing.assert_allclose(moved, seen, atol=2.5)


@pytest.mark.parametrize("size, rows", [((4, 9), (2, 6)), ((4, 5), (0, 8)), ((4, 8), (2, 6))], ids=str)
def test_boxes_in_padded_images_of_odd_sizes(size, rows):
    """Both sides are padded alike, so that of an odd number of missing rows one is not made."""
    layer = layers.Resizing(8, 8, pad_to_aspect_ratio=True, interpolation="nearest", bounding_box_format="xyxy")
    box = np.array([[[0, 0, size[1], size[0]]]], "float32")
    out = layer({"images": np.ones((1, *size, 1), "float32"), "bounding_boxes": {"boxes": box}})
    seen = np.flatnonzero(np.asarray(out["images"])[0, :, :, 0].max(1))
    assert (seen[0], seen[-1] + 1) == rows
    np.testing.assert_allclose(out["bounding_boxes"]["boxes"][0, 0], [0, rows[0], 8, rows[1]])


def test_boxes_outside_lose_their_labels():
    layer = layers.CenterCrop(10, 10, bounding_box_format="xyxy")
    out = layer({"images": IMAGES, "bounding_boxes": BOXES})["bounding_boxes"]
    np.testing.assert_array_equal(out["labels"], [[1, -1], [3, -1], [5, -1]])
    np.testing.assert_array_equal(out["boxes"][0], [[0, 0, 10, 7], [0, 0, 0, 0]])


def test_one_image_and_training_off():
    one = {k: v[0] for k, v in BOXES.items()}
    layer = layers.RandomFlip("horizontal", seed=1, bounding_box_format="xyxy")
    out = layer({"images": IMAGES[0], "bounding_boxes": one})["bounding_boxes"]
    assert out["boxes"].shape == (2, 4) and out["labels"].shape == (2,)
    still = layer({"images": IMAGES, "bounding_boxes": BOXES}, training=False)["bounding_boxes"]
    np.testing.assert_array_equal(still["boxes"], BOXES["boxes"])


def test_in_a_traced_program():
    layer = layers.RandAugment(seed=1, bounding_box_format="xywh")
    run = maas.jit(lambda x, b: layer({"images": x, "bounding_boxes": b})["bounding_boxes"]["boxes"])
    assert run(IMAGES, BOXES).shape == (3, 2, 4)
