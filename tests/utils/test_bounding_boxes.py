"""`maas.utils.bounding_boxes` against real Keras."""

import keras
import numpy as np
import pytest

import maas
from maas.utils import bounding_boxes

CLAIMS = {f"utils.bounding_boxes.{name}" for name in bounding_boxes.__all__}
RNG = np.random.default_rng(0)
CORNERS = RNG.uniform(0, 20, (3, 5, 2)).astype("float32")
BOXES = np.concatenate([CORNERS, CORNERS + RNG.uniform(1, 20, CORNERS.shape)], -1).astype("float32")
SIZE = {"height": 40, "width": 60}


def same(name, *args, eps=64, **kwargs):
    ours, theirs = (getattr(lib.utils.bounding_boxes, name)(*args, **kwargs) for lib in (maas, keras))
    for a, b in zip(maas.tree.flatten(ours), keras.tree.flatten(theirs)):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=eps * np.finfo("float32").eps * max(1, np.abs(b).max()))
    return ours


@pytest.mark.parametrize("source", bounding_boxes.FORMATS)
def test_formats(source):
    given = np.asarray(bounding_boxes.convert_format(BOXES, "xyxy", source, **SIZE))
    for target in bounding_boxes.FORMATS:
        same("convert_format", given, source=source, target=target, **SIZE)
    np.testing.assert_allclose(bounding_boxes.convert_format(given, source, "xyxy", **SIZE), BOXES, atol=1e-4)
    found = bounding_boxes.convert_format({"boxes": BOXES, "labels": [1]}, "xyxy", "xywh", dtype="float64")
    assert found["labels"] == [1] and found["boxes"].dtype == "float64"


def test_parts_of_images():
    moved = BOXES - 10
    for form, boxes in (("xyxy", moved), ("rel_xyxy", moved / 20)):
        labels = np.arange(15).reshape(3, 5)
        given = {"boxes": boxes.astype("float32"), "labels": labels}
        tensors = {k: keras.ops.convert_to_tensor(v) for k, v in given.items()}
        expected = keras.utils.bounding_boxes.clip_to_image_size(tensors, 15, 12, form)
        found = bounding_boxes.clip_to_image_size(given, 15, 12, form)
        np.testing.assert_array_equal(found["boxes"], expected["boxes"])
        np.testing.assert_array_equal(found["labels"], expected["labels"])
        assert (np.asarray(found["labels"]) == -1).any()
    tensor = keras.ops.convert_to_tensor(BOXES)
    for lib, x in ((maas, BOXES), (keras, tensor)):
        cut = lib.utils.bounding_boxes.crop(x, 3, 5, 12, 14)
        padded = lib.utils.bounding_boxes.pad(x, 3, 5)
        if lib is maas:
            ours = cut, padded
    for a, b in zip(ours, (cut, padded)):
        np.testing.assert_array_equal(a, b)


def test_affine_transform():
    values = [RNG.uniform(low, high, 3).astype("float32") for low, high in
              ((-90, 90), (-0.2, 0.2), (-0.2, 0.2), (0.5, 2), (-20, 20), (-20, 20))]  # fmt: skip
    for centre in ({}, {"center_x": 0.2, "center_y": 0.7}):
        ours = bounding_boxes.affine_transform(BOXES, *values, **SIZE, **centre)
        tensors = [keras.ops.convert_to_tensor(v) for v in (BOXES, *values)]
        theirs = np.asarray(keras.utils.bounding_boxes.affine_transform(*tensors, **SIZE, **centre))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=256 * np.finfo("float32").eps * np.abs(theirs).max())


def test_overlap():
    for form, shape in (("xyxy", None), ("center_yxhw", None), ("rel_xywh", (40, 60, 3))):
        one = np.asarray(bounding_boxes.convert_format(BOXES, "xyxy", form, **SIZE))
        two = one[:, ::-1] * 1.1
        same("compute_iou", one, two, form, image_shape=shape)
        same("compute_iou", one[0], two[0], form, image_shape=shape)
    other = BOXES[:, ::-1] * 1.1
    other[0, 0] = -1
    same("compute_iou", BOXES, other, "xyxy", use_masking=True, mask_val=-5)
    same("compute_ciou", BOXES, BOXES[:, ::-1] * 1.1, "xyxy", eps=256)
    same("compute_ciou", BOXES[0], BOXES[1], "xywh", eps=256)
    # Keras refuses relative formats here even with the shape of the image.
    relative = bounding_boxes.convert_format(BOXES, "xyxy", "rel_xyxy", **SIZE)
    found = bounding_boxes.compute_ciou(relative, relative[:, ::-1], "rel_xyxy", (40, 60, 3))
    np.testing.assert_allclose(found, bounding_boxes.compute_ciou(BOXES, BOXES[:, ::-1], "xyxy"), atol=1e-4)


@pytest.mark.parametrize("encoding", ["center_xywh", "center_yxhw"])
def test_distances_to_anchors(encoding):
    anchors = BOXES[:, ::-1]
    for variance in (None, [0.1, 0.1, 0.2, 0.2]):
        for form, shape in (("xyxy", None), ("rel_xyxy", (40, 60, 3))):
            a, b = (np.asarray(bounding_boxes.convert_format(v, "xyxy", form, **SIZE)) for v in (anchors, BOXES))
            deltas = same("encode_box_to_deltas", a, b, form, form, encoding, variance, shape, eps=512)
            deltas = np.asarray(deltas)
            again = same("decode_deltas_to_boxes", a, deltas, form, form, encoding, variance, shape, eps=512)
            np.testing.assert_allclose(again, b, rtol=1e-4, atol=1e-4)
    levels = bounding_boxes.decode_deltas_to_boxes({"p3": anchors}, {"p3": deltas}, "xyxy", "xyxy")
    assert list(levels) == ["p3"] and levels["p3"].shape == BOXES.shape


@pytest.mark.parametrize("call, error, text", [
    (lambda b: b.convert_format(BOXES, "xyx", "xyxy"), ValueError, "source must be one of .* received 'xyx'"),
    (lambda b: b.convert_format(BOXES[..., :3], "xywh", "xyxy"), ValueError, "last axis of boxes must be 4"),
    (lambda b: b.convert_format(BOXES, "rel_xyxy", "xyxy"), ValueError, "needs `height` and `width` of the image"),
    (lambda b: b.clip_to_image_size({"boxes": BOXES}), ValueError, "needs both sizes, received height=None"),
    (lambda b: b.clip_to_image_size({"boxes": BOXES}, 1, 1, "xywh"), NotImplementedError, "received 'xywh'"),
    (lambda b: b.crop(BOXES, 0, 0, 1, 1, "xywh"), NotImplementedError, "must be 'xyxy', received 'xywh'"),
    (lambda b: b.compute_iou(BOXES[0, 0], BOXES, "xyxy"), ValueError, "must have 2 or 3 axes, received 1 and 3"),
    (lambda b: b.compute_iou(BOXES, BOXES, "rel_xyxy"), ValueError, "needs `image_shape`"),
    (lambda b: b.encode_box_to_deltas(BOXES, BOXES, "xyxy", "xyxy", "xyxy"), ValueError, "the encoding must be"),
    (lambda b: b.encode_box_to_deltas(BOXES, BOXES, "xyxy", "xyxy", variance=[1]), ValueError, "must be four numbers"),
])  # fmt: skip
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call(bounding_boxes)


def test_overlap_of_boxes_in_lists():
    found = bounding_boxes.compute_iou([[0, 0, 2, 2]], [[0, 0, 2, 2], [1, 0, 3, 2]], "xyxy")
    np.testing.assert_allclose(found, [[1, 1 / 3]], rtol=1e-6)
