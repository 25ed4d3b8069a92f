"""Layers that move the pixels of images: RandomFlip, RandomRotation, RandomTranslation, RandomZoom."""

import math

from maas.layers.preprocessing.image_layer import ImageLayer

_FLIPS = ("horizontal", "vertical", "horizontal_and_vertical")
_INTERPOLATIONS = ("nearest", "bilinear")


class RandomFlip(ImageLayer):
    """Mirrors half of the images, while training.

    Args:
        mode: "horizontal" (left and right), "vertical" or "horizontal_and_vertical" (both at once).
        seed: int or None.
        data_format: "channels_last" or "channels_first".

    Raises:
        ValueError: for another mode.
    """

    _ARGS = ("seed", "mode")

    def __init__(self, mode="horizontal_and_vertical", seed=None, data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        if mode not in _FLIPS:
            raise ValueError(f"{self._label()}: `mode` must be one of {_FLIPS}, received mode={mode!r}")
        self._seeded(seed)
        self.mode = mode

    def get_random_transformation(self, data, training=True, seed=None):
        if not training:
            return None
        flips = self._draw(data, seed=seed, ones=3) <= 0.5
        return {"flips": flips, "size": self._size(data)}

    def transform_images(self, images, transformation, training=True):
        from maas import ops

        images = ops.cast(images, self.compute_dtype)
        if not training or transformation is None:
            return images
        first = -3 if self.data_format == "channels_last" else -2
        for word, axis in (("horizontal", first + 1), ("vertical", first)):
            if word in self.mode:
                images = ops.where(transformation["flips"], ops.flip(images, axis=axis), images)
        return images

    def transform_segmentation_masks(self, segmentation_masks, transformation, training=True):
        return self.transform_images(segmentation_masks, transformation, training=training)

    def transform_bounding_boxes(self, bounding_boxes, transformation, training=True):
        from maas import ops

        if not training or transformation is None:
            return bounding_boxes
        height, width = size = self._size_in(transformation)
        flips = ops.reshape(ops.convert_to_tensor(transformation["flips"]), (-1, 1, 1))

        def move(boxes):
            wide, tall = (ops.cast(n, boxes.dtype) for n in (width, height))
            x1, y1, x2, y2 = ops.split(boxes, 4, axis=-1)
            if "horizontal" in self.mode:
                x1, x2 = wide - x2, wide - x1
            if "vertical" in self.mode:
                y1, y2 = tall - y2, tall - y1
            return ops.where(flips, ops.concatenate([x1, y1, x2, y2], axis=-1), boxes)

        return self._moved_boxes(bounding_boxes, size, size, move)


class _Warp(ImageLayer):
    """Base of layers with one affine map per image."""

    _ARGS = ("fill_mode", "fill_value", "interpolation", "seed")
    _FILL_MODES = ("reflect", "wrap", "constant", "nearest")

    def _options(self, fill_mode, interpolation, fill_value):
        if fill_mode not in self._FILL_MODES:
            raise NotImplementedError(
                f"{self._label()}: `fill_mode` must be one of {self._FILL_MODES}, received fill_mode={fill_mode!r}"
            )
        if interpolation not in _INTERPOLATIONS:
            raise NotImplementedError(
                f"{self._label()}: `interpolation` must be one of {_INTERPOLATIONS}, received "
                f"interpolation={interpolation!r}"
            )
        self.fill_mode, self.interpolation, self.fill_value = fill_mode, interpolation, fill_value

    def _two_factors(self, factor, name, open_below=False):
        """(lower, upper) of a number or a pair in [-1, 1] or (-1, 1]."""
        pair = isinstance(factor, (tuple, list))
        values = list(factor) if pair else [factor]
        numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
        if (
            not numbers
            or len(values) != (2 if pair else 1)
            or not all((v > -1 if open_below else v >= -1) and v <= 1 for v in values)
        ):
            raise ValueError(
                f"{self._label()}: `{name}` must be a number or two numbers in {'(' if open_below else '['}-1, 1], "
                f"received {name}={factor!r}"
            )
        return tuple(sorted(values)) if pair else (-abs(factor), abs(factor))

    def _matrix(self, transformation, size):
        """Tensor (batch, 8) of the drawn transformation of images of (height, width), for
        `ops.image.affine_transform`.
        """
        raise NotImplementedError

    def _transform(self, images, transformation, interpolation):
        if transformation is None:
            return images
        from maas import ops

        matrix = self._matrix(transformation, self._size(images))
        return ops.image.affine_transform(
            images, matrix, interpolation, self.fill_mode, self.fill_value, self.data_format
        )

    def transform_images(self, images, transformation, training=True):
        from maas import ops

        images = ops.cast(images, self.compute_dtype)
        return self._transform(images, transformation, self.interpolation) if training else images

    def transform_segmentation_masks(self, segmentation_masks, transformation, training=True):
        from maas import ops

        if not training:
            return segmentation_masks
        dtype = str(segmentation_masks.dtype)
        masks = self._transform(ops.cast(segmentation_masks, self.compute_dtype), transformation, "nearest")
        return ops.cast(masks, dtype)

    def transform_bounding_boxes(self, bounding_boxes, transformation, training=True):
        if not training or transformation is None:
            return bounding_boxes
        from maas.utils.bounding_boxes import hull

        size = self._size_in(transformation)
        a, b, c, d, e, f = (self._matrix(transformation, size)[:, i, None, None] for i in range(6))
        # The matrix says where a pixel comes from; a corner goes the other way.
        over = 1.0 / (a * e - b * d)

        def move(x, y):
            x, y = x - c, y - f
            return (e * x - b * y) * over, (a * y - d * x) * over

        return self._moved_boxes(bounding_boxes, size, size, lambda boxes: hull(boxes, move))


def _map(a0, a1, a2, b0, b1, b2):
    """Tensor (batch, 8) for `ops.image.affine_transform`."""
    from maas import ops

    zero = ops.zeros_like(a0)
    return ops.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1)


def _rotation_matrix(angle, height, width):
    """The map that turns images of a size around their middle.

    Args:
        angle: Tensor (batch,), degrees.
        height, width: sizes of the images in pixels.

    Returns:
        Tensor (batch, 8) for `ops.image.affine_transform`.
    """
    from maas import ops

    radian = math.pi / 180.0
    angle = ops.convert_to_tensor(angle, "float32") * radian
    cx, cy = 0.5 * (ops.cast(width, "float32") - 1.0), 0.5 * (ops.cast(height, "float32") - 1.0)
    cos, sin = ops.cos(angle), ops.sin(angle)
    return _map(cos, -sin, cx - cx * cos + cy * sin, sin, cos, cy - cx * sin - cy * cos)


class RandomRotation(_Warp):
    """Turns each image by an angle drawn from `[lower, upper] * 360` degrees, while training; a positive one turns
    against the clock.

    Args:
        factor: number (from -factor to factor) or (lower, upper), fractions of a full turn.
        fill_mode: what comes in from outside: "reflect", "wrap", "constant" or "nearest".
        interpolation: "nearest" or "bilinear".
        seed: int or None.
        fill_value: number, for "constant".
        data_format: "channels_last" or "channels_first".

    Raises:
        ValueError: if a factor is out of [-1, 1].
        NotImplementedError: for another mode or interpolation.
    """

    _ARGS = (*_Warp._ARGS, "factor")

    def __init__(
        self, factor, fill_mode="reflect", interpolation="bilinear", seed=None, fill_value=0.0, data_format=None,
        **kwargs,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self._seeded(seed)
        self._options(fill_mode, interpolation, fill_value)

    def get_random_transformation(self, data, training=True, seed=None):
        if not training:
            return None
        angle = self._draw(data, self.factor[0] * 360.0, self.factor[1] * 360.0, seed)
        height, width = self._size(data)
        matrix = _rotation_matrix(angle, height, width)
        return {"angle": angle, "rotation_matrix": matrix, "size": (height, width)}

    def _matrix(self, transformation, size):
        from maas import ops

        return ops.convert_to_tensor(transformation["rotation_matrix"])


class RandomTranslation(_Warp):
    """Shifts each image by a drawn part of its height and width, while training.

    Args:
        height_factor, width_factor: number (from -factor to factor) or (lower, upper) in [-1, 1]; positive is down and
            right.
        fill_mode, interpolation, seed, fill_value, data_format: see `RandomRotation`.

    Raises:
        ValueError: if a factor is out of range.
        NotImplementedError: for another mode or interpolation.
    """

    _ARGS = (*_Warp._ARGS, "height_factor", "width_factor")

    def __init__(
        self, height_factor, width_factor, fill_mode="reflect", interpolation="bilinear", seed=None, fill_value=0.0,
        data_format=None, **kwargs,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self.height_lower, self.height_upper = self._two_factors(height_factor, "height_factor")
        self.width_lower, self.width_upper = self._two_factors(width_factor, "width_factor")
        self._options(fill_mode, interpolation, fill_value)
        self._seeded(seed)

    def get_random_transformation(self, data, training=True, seed=None):
        from maas import ops

        if not training:
            return None
        height, width = (ops.cast(n, "float32") for n in self._size(data))
        down = self._draw(data, self.height_lower, self.height_upper, seed, ones=1) * height
        right = self._draw(data, self.width_lower, self.width_upper, seed, ones=1) * width
        return {"translations": ops.concatenate([right, down], axis=1), "size": self._size(data)}

    def _matrix(self, transformation, size):
        from maas import ops

        moves = ops.convert_to_tensor(transformation["translations"])
        x, y = -moves[:, 0], -moves[:, 1]
        one, zero = ops.ones_like(x), ops.zeros_like(x)
        return _map(one, zero, x, zero, one, y)


class RandomZoom(_Warp):
    """Zooms each image out (positive) or in (negative) around its middle by a drawn factor, while training.

    Args:
        height_factor: number (from -factor to factor) or (lower, upper) in (-1, 1].
        width_factor: the same; None keeps the proportions.
        fill_mode, interpolation, seed, fill_value, data_format: see `RandomRotation`.

    Raises:
        ValueError: if a factor is out of range.
        NotImplementedError: for another mode or interpolation.
    """

    _ARGS = (*_Warp._ARGS, "height_factor", "width_factor")

    def __init__(
        self, height_factor, width_factor=None, fill_mode="reflect", interpolation="bilinear", seed=None,
        fill_value=0.0, data_format=None, **kwargs,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self.height_lower, self.height_upper = self._two_factors(height_factor, "height_factor", True)
        if width_factor is not None:
            self.width_lower, self.width_upper = self._two_factors(width_factor, "width_factor", True)
        self._options(fill_mode, interpolation, fill_value)
        self._seeded(seed)

    def get_random_transformation(self, data, training=True, seed=None):
        if not training:
            return None
        height = width = self._draw(data, 1.0 + self.height_lower, 1.0 + self.height_upper, seed, ones=1)
        if self.width_factor is not None:
            width = self._draw(data, 1.0 + self.width_lower, 1.0 + self.width_upper, seed, ones=1)
        return {"height_zoom": height, "width_zoom": width, "size": self._size(data)}

    def _matrix(self, transformation, size):
        from maas import ops

        height, width = (ops.cast(n, "float32") for n in size)
        zooms = (ops.convert_to_tensor(transformation[k])[:, 0] for k in ("width_zoom", "height_zoom"))
        x, y = zooms
        zero = ops.zeros_like(x)
        return _map(x, zero, (width - 1.0) / 2.0 * (1.0 - x), zero, y, (height - 1.0) / 2.0 * (1.0 - y))
