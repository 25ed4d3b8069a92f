"""Bounding boxes: formats, clipping, maps, overlap, and their distances to anchors.

Boxes are tensors (..., 4), or dicts with "boxes" and perhaps "labels" where a function says so. The formats are corners
("xyxy", "yxyx"), corner and size ("xywh"), middle and size ("center_xywh", "center_yxhw"), and those with "rel_" before
them as shares of the width and height of the image ("rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh").
"""

import math

from maas import missing_names

__all__ = [
    "affine_transform", "clip_to_image_size", "compute_ciou", "compute_iou", "convert_format", "crop",
    "decode_deltas_to_boxes", "encode_box_to_deltas", "pad",
]  # fmt: skip

FORMATS = (
    "xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh",
)  # fmt: skip

_ROWS_FIRST = ("yxyx", "center_yxhw")


def _four(boxes):
    return tuple(boxes[..., i : i + 1] for i in range(4))


def _joined(*parts):
    from maas import ops

    return ops.concatenate(parts, axis=-1)


def _known(name, value):
    lower = value.lower() if isinstance(value, str) else value
    if lower not in FORMATS:
        raise ValueError(f"{name} must be one of {FORMATS}, received {value!r}")
    return lower


def _to_xyxy(boxes, form):
    a, b, c, d = _four(boxes)
    if form in _ROWS_FIRST:
        a, b, c, d = b, a, d, c
    if form.startswith("center"):
        return _joined(a - c / 2.0, b - d / 2.0, a + c / 2.0, b + d / 2.0)
    return _joined(a, b, a + c, b + d) if form == "xywh" else _joined(a, b, c, d)


def _from_xyxy(boxes, form):
    a, b, c, d = _four(boxes)
    if form.startswith("center"):
        a, b, c, d = a + (c - a) / 2.0, b + (d - b) / 2.0, c - a, d - b
    elif form == "xywh":
        c, d = c - a, d - b
    return _joined(b, a, d, c) if form in _ROWS_FIRST else _joined(a, b, c, d)


def convert_format(boxes, source, target, height=None, width=None, dtype="float32"):
    """Boxes in another format.

    Args:
        boxes: Tensor (..., 4), or dict with the key "boxes".
        source, target: str, formats.
        height, width: sizes of the image in pixels, needed from or to a relative format.
        dtype: str, of the result.

    Returns:
        Tensor (..., 4), or a new dict.

    Raises:
        ValueError: for an unknown format, a last axis that is not 4, or a missing size.
    """
    from maas import ops

    if isinstance(boxes, dict):
        return {**boxes, "boxes": convert_format(boxes["boxes"], source, target, height, width, dtype)}
    boxes = ops.cast(ops.convert_to_tensor(boxes), dtype)
    source, target = _known("convert_format: source", source), _known("convert_format: target", target)
    if boxes.shape[-1] != 4:
        raise ValueError(f"convert_format: the last axis of boxes must be 4, received shape {tuple(boxes.shape)}")
    relative = source.startswith("rel_"), target.startswith("rel_")
    if any(relative) and (height is None or width is None):
        raise ValueError(
            f"convert_format: from {source!r} to {target!r} needs `height` and `width` of the image, received "
            f"height={height} and width={width}"
        )
    if source == target:
        return boxes
    boxes = _to_xyxy(boxes, source.removeprefix("rel_"))
    if relative[0] != relative[1]:
        wide, tall = ops.cast(width, dtype), ops.cast(height, dtype)
        scale = (lambda x, n: x * n) if relative[0] else (lambda x, n: x / n)
        a, b, c, d = _four(boxes)
        boxes = _joined(scale(a, wide), scale(b, tall), scale(c, wide), scale(d, tall))
    return _from_xyxy(boxes, target.removeprefix("rel_"))


def clip_to_image_size(bounding_boxes, height=None, width=None, bounding_box_format="xyxy"):
    """The part of boxes that lies in the image; labels of boxes of which nothing is left become -1.

    Args:
        bounding_boxes: dict with "boxes" (..., 4) and perhaps "labels" (...).
        height, width: sizes of the image, needed for "xyxy".
        bounding_box_format: "xyxy" or "rel_xyxy".

    Returns:
        A new dict.

    Raises:
        NotImplementedError: for another format.
        ValueError: if a size is missing.
    """
    from maas import ops

    if bounding_box_format not in ("xyxy", "rel_xyxy"):
        raise NotImplementedError(
            f"clip_to_image_size: the format must be 'xyxy' or 'rel_xyxy', received {bounding_box_format!r}"
        )
    boxes = ops.convert_to_tensor(bounding_boxes["boxes"])
    if bounding_box_format == "rel_xyxy":
        height = width = 1.0
    elif height is None or width is None:
        raise ValueError(f"clip_to_image_size: 'xyxy' needs both sizes, received height={height} and width={width}")
    boxes = _clipped(boxes, height, width)
    result = {**bounding_boxes, "boxes": boxes}
    if bounding_boxes.get("labels") is not None:
        a, b, c, d = (boxes[..., i] for i in range(4))
        labels = ops.convert_to_tensor(bounding_boxes["labels"])
        result["labels"] = ops.where((c - a) * (d - b) > 0, labels, ops.cast(-1, labels.dtype))
    return result


def _clipped(boxes, height, width):
    from maas import ops

    wide, tall = ops.cast(width, boxes.dtype), ops.cast(height, boxes.dtype)
    a, b, c, d = _four(boxes)

    def within(x, n):
        return ops.minimum(ops.maximum(x, 0), n)

    return _joined(within(a, wide), within(b, tall), within(c, wide), within(d, tall))


def _only_corners(name, form):
    if form != "xyxy":
        raise NotImplementedError(f"{name}: bounding_box_format must be 'xyxy', received {form!r}")


def hull(boxes, move):
    """The smallest upright boxes around the corners of "xyxy" boxes, moved by `move(x, y) -> (x, y)`."""
    from maas import ops

    a, b, c, d = _four(boxes)
    corners = [move(x, y) for x, y in ((a, b), (c, b), (c, d), (a, d))]
    xs, ys = (ops.concatenate(v, axis=-1) for v in zip(*corners))
    low, high = ([f(v, axis=-1, keepdims=True) for v in (xs, ys)] for f in (ops.min, ops.max))
    return _joined(*low, *high)


def affine_transform(
    boxes, angle, translate_x, translate_y, scale, shear_x, shear_y, height, width, center_x=None, center_y=None,
    bounding_box_format="xyxy",
):  # fmt: skip
    """Boxes around the corners of boxes that were turned, sheared, scaled and shifted with their images.

    Args:
        boxes: Tensor (batch, n, 4).
        angle, shear_x, shear_y: Tensors (batch,), degrees.
        translate_x, translate_y: Tensors (batch,), shares of the width and height of the image.
        scale: Tensor (batch,).
        height, width: sizes of the image in pixels.
        center_x, center_y: numbers, shares of the image; the middle if None.
        bounding_box_format: "xyxy".

    Returns:
        Tensor (batch, n, 4).

    Raises:
        NotImplementedError: for another format.
    """
    from maas import ops

    _only_corners("affine_transform", bounding_box_format)
    angle = ops.convert_to_tensor(angle)
    angle = angle if "float" in str(angle.dtype) else ops.cast(angle, "float32")

    def per_image(x):
        return ops.cast(ops.convert_to_tensor(x), angle.dtype)

    radian = math.pi / 180.0
    turn, sx, sy = (-per_image(v) * radian for v in (angle, shear_x, shear_y))
    wide, tall = per_image(width) - 1.0, per_image(height) - 1.0
    cx, cy = wide * (0.5 if center_x is None else center_x), tall * (0.5 if center_y is None else center_y)
    left, top = cx - per_image(translate_x) * wide, cy - per_image(translate_y) * tall
    # Rotation times shears; its inverse, times the scale, moves the corners.
    a, c = ops.cos(turn - sy) / ops.cos(sy), -ops.sin(turn - sy) / ops.cos(sy)
    b, d = a * ops.tan(sx) + ops.sin(turn), ops.cos(turn) - c * ops.tan(sx)
    scale = per_image(scale)
    a0, a1, b0, b1 = (ops.reshape(v * scale, (-1, 1, 1)) for v in (d, -b, -c, a))
    cx, cy, left, top = (ops.reshape(ops.broadcast_to(v, ops.shape(angle)), (-1, 1, 1)) for v in (cx, cy, left, top))
    boxes = ops.cast(ops.convert_to_tensor(boxes), angle.dtype)
    return hull(boxes, lambda x, y: (cx + a0 * (x - left) + a1 * (y - top), cy + b0 * (x - left) + b1 * (y - top)))


def crop(boxes, top, left, height, width, bounding_box_format="xyxy"):
    """Boxes (..., 4) in the part of the image that begins at (top, left), clipped to its height and width."""
    from maas import ops

    _only_corners("crop", bounding_box_format)
    return _clipped(pad(ops.convert_to_tensor(boxes), -top, -left), height, width)


def pad(boxes, top, left, height=None, width=None, bounding_box_format="xyxy"):
    """Boxes (..., 4) in an image that got `top` rows and `left` columns before its own; the sizes are not read."""
    from maas import ops

    _only_corners("pad", bounding_box_format)
    a, b, c, d = _four(ops.convert_to_tensor(boxes))
    return _joined(a + left, b + top, c + left, d + top)


def _sizes(image_shape):
    return (None, None) if image_shape is None else tuple(image_shape)[:2]


def compute_iou(boxes1, boxes2, bounding_box_format, use_masking=False, mask_val=-1, image_shape=None):
    """Area that two boxes share over the area that they cover, for every pair.

    Args:
        boxes1: Tensor (n, 4) or (batch, n, 4).
        boxes2: Tensor (m, 4) or (batch, m, 4).
        bounding_box_format: str.
        use_masking: bool, give `mask_val` where a box has only negative numbers.
        mask_val: number.
        image_shape: (height, width, channels), for relative formats.

    Returns:
        Tensor (n, m) or (batch, n, m) in [0, 1].

    Raises:
        ValueError: for other ranks, or a relative format without `image_shape`.
    """
    from maas import ops
    from maas.backend.config import epsilon

    one, two = _in_pixels("compute_iou", boxes1, boxes2, bounding_box_format, image_shape)
    if not {one.ndim, two.ndim} <= {2, 3}:
        raise ValueError(f"compute_iou: boxes must have 2 or 3 axes, received {one.ndim} and {two.ndim}")
    a, b, c, d = _four(one)
    e, f, g, h = (ops.swapaxes(v, -1, -2) for v in _four(two))
    shared = _shared((a, b, c, d), (e, f, g, h))
    iou = shared / ((c - a) * (d - b) + (g - e) * (h - f) - shared + epsilon())
    if not use_masking:
        return iou
    no_one, no_two = (ops.max(v, axis=-1, keepdims=True) < 0 for v in (one, two))
    return ops.where(ops.logical_or(no_one, ops.swapaxes(no_two, -1, -2)), ops.cast(mask_val, iou.dtype), iou)


def _in_pixels(name, boxes1, boxes2, form, image_shape):
    """Both as "xyxy" in pixels."""
    if _known(f"{name}: bounding_box_format", form).startswith("rel_") and image_shape is None:
        raise ValueError(f"{name}: the format {form!r} needs `image_shape`, received image_shape=None")
    return (convert_format(b, form, "xyxy", *_sizes(image_shape)) for b in (boxes1, boxes2))


def _shared(one, two):
    """The area that boxes share; both as four tensors, left, top, right and bottom."""
    from maas import ops

    (a, b, c, d), (e, f, g, h) = one, two
    wide, tall = ops.minimum(c, g) - ops.maximum(a, e), ops.minimum(d, h) - ops.maximum(b, f)
    return ops.maximum(wide, 0) * ops.maximum(tall, 0)


def compute_ciou(boxes1, boxes2, bounding_box_format, image_shape=None):
    """Complete overlap of boxes, pair by pair: `iou - distance^2 / diagonal^2 - v a`, with `v` the difference of the
    proportions and `a = v / (1 - iou + v)`.

    Args:
        boxes1, boxes2: Tensors (..., 4) of one shape.
        bounding_box_format: str.
        image_shape: (height, width, channels), for relative formats.

    Returns:
        Tensor (...).
    Reference: Zheng et al., 2019, "Distance-IoU loss: faster and better learning for bounding box regression",
        arXiv:1911.08287.
    """
    from maas import ops
    from maas.backend.config import epsilon

    one, two = _in_pixels("compute_ciou", boxes1, boxes2, bounding_box_format, image_shape)
    a, b, c, d = (one[..., i] for i in range(4))
    e, f, g, h = (two[..., i] for i in range(4))
    tiny = epsilon()
    w1, h1, w2, h2 = c - a, d - b + tiny, g - e, h - f + tiny
    shared = _shared((a, b, c, d), (e, f, g, h))
    iou = shared / (w1 * h1 + w2 * h2 - shared + 2 * tiny)
    wide, tall = ops.maximum(c, g) - ops.minimum(a, e), ops.maximum(d, h) - ops.minimum(b, f)
    apart = ops.square((a + c) / 2 - (e + g) / 2) + ops.square((b + d) / 2 - (f + h) / 2)
    v = 4 / math.pi**2 * ops.square(ops.arctan(w2 / h2) - ops.arctan(w1 / h1))
    return iou - (apart / (wide * wide + tall * tall + tiny) + v * (v / (v - iou + (1 + tiny))))


def _coding(name, form, variance, image_shape):
    from maas import ops

    if form not in ("center_xywh", "center_yxhw"):
        raise ValueError(f"{name}: the encoding must be 'center_xywh' or 'center_yxhw', received {form!r}")
    if variance is not None:
        variance = ops.convert_to_tensor(variance, "float32")
        if tuple(variance.shape[-1:]) != (4,):
            raise ValueError(f"{name}: `variance` must be four numbers, received shape {tuple(variance.shape)}")
    return variance, *_sizes(image_shape)


def encode_box_to_deltas(
    anchors, boxes, anchor_format, box_format, encoding_format="center_yxhw", variance=None, image_shape=None
):
    """Boxes as distances to anchors: `(middle - anchor's middle) / anchor's size` and `log(size / anchor's size)`.

    Args:
        anchors, boxes: Tensors (..., 4).
        anchor_format, box_format: str.
        encoding_format: "center_xywh" or "center_yxhw", the order of the result.
        variance: four numbers that the result is divided by, or None.
        image_shape: (height, width, channels), for relative formats.

    Returns:
        Tensor (..., 4).

    Raises:
        ValueError: for another encoding or a variance that is not four numbers.
    """
    from maas import ops
    from maas.backend.config import epsilon

    variance, height, width = _coding("encode_box_to_deltas", encoding_format, variance, image_shape)
    anchors = convert_format(anchors, anchor_format, encoding_format, height, width)
    boxes = convert_format(boxes, box_format, encoding_format, height, width)
    size, own = (ops.maximum(b[..., 2:], epsilon()) for b in (anchors, boxes))
    deltas = _joined((boxes[..., :2] - anchors[..., :2]) / size, ops.log(own / size))
    return deltas if variance is None else deltas / variance


def decode_deltas_to_boxes(
    anchors, boxes_delta, anchor_format, box_format, encoded_format="center_yxhw", variance=None, image_shape=None
):
    """The inverse of `encode_box_to_deltas`; dicts of anchors and distances, by level, give a dict."""
    from maas import ops

    variance, height, width = _coding("decode_deltas_to_boxes", encoded_format, variance, image_shape)
    if isinstance(anchors, dict) and isinstance(boxes_delta, dict):
        formats = anchor_format, box_format, encoded_format, variance, image_shape
        return {level: decode_deltas_to_boxes(a, boxes_delta[level], *formats) for level, a in anchors.items()}
    anchors = convert_format(anchors, anchor_format, encoded_format, height, width)
    deltas = ops.convert_to_tensor(boxes_delta)
    deltas = deltas if variance is None else deltas * variance
    size = anchors[..., 2:]
    boxes = _joined(deltas[..., :2] * size + anchors[..., :2], ops.exp(deltas[..., 2:]) * size)
    return convert_format(boxes, encoded_format, box_format, height, width)


__getattr__ = missing_names.getattr_of(__name__)
