"""Layers that bend images: RandomShear, RandomPerspective, RandomElasticTransform."""

from maas.layers.preprocessing.image_geometry import _map, _Warp
from maas.layers.preprocessing.image_layer import ImageLayer


class RandomShear(_Warp):
    """Each image sheared along both axes by drawn parts of the other axis, while training.

    Args:
        x_factor, y_factor: number (from -factor to factor) or (lower, upper) in [-1, 1]; Keras takes [0, 1], which its
            own saved files do not keep.
        interpolation: "nearest" or "bilinear".
        fill_mode: what comes in from outside: "reflect", "wrap", "constant" or "nearest".
        fill_value: number, for "constant".
        data_format: "channels_last" or "channels_first".
        seed: int or None.

    Raises:
        ValueError: if a factor is out of range.
        NotImplementedError: for another mode or interpolation.
    """

    _ARGS = ("x_factor", "y_factor", *_Warp._ARGS)

    def __init__(
        self, x_factor=0.0, y_factor=0.0, interpolation="bilinear", fill_mode="reflect", fill_value=0.0,
        data_format=None, seed=None, **kwargs,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        self.x_factor = self._two_factors(x_factor, "x_factor")
        self.y_factor = self._two_factors(y_factor, "y_factor")
        self._options(fill_mode, interpolation, fill_value)
        self._seeded(seed)

    def get_random_transformation(self, data, training=True, seed=None):
        from maas import ops

        if not training:
            return None
        dtype = self.compute_dtype
        sign = ops.where(self._draw(data, seed=seed, ones=1, dtype=dtype) > 0.5, -1.0, 1.0)
        y = self._draw(data, *map(float, self.y_factor), seed, 1, dtype)
        x = self._draw(data, *map(float, self.x_factor), seed, 1, dtype)
        return {"shear_factor": ops.concatenate([x, y], axis=1) * ops.cast(sign, dtype), "size": self._size(data)}

    def _matrix(self, transformation, size):
        from maas import ops

        shears = ops.cast(ops.convert_to_tensor(transformation["shear_factor"]), "float32")
        x, y = shears[:, 0], shears[:, 1]
        one, zero = ops.ones_like(x), ops.zeros_like(x)
        return _map(one, x, zero, y, one, zero)


class RandomPerspective(_Warp):
    """The corners of each image moved by drawn parts of their coordinates, while training.

    Args:
        factor: number or (lower, upper) in [0, 1]; the probability that an image is changed is drawn from it.
        scale: number in [0, 1]; corners move by up to half of it.
        interpolation: "nearest" or "bilinear".
        fill_value: number for what comes in from outside.
        seed: int or None.
        data_format: "channels_last" or "channels_first".

    Raises:
        ValueError: if a factor is out of range.
        NotImplementedError: for another interpolation.
    """

    _ARGS = ("factor", "scale", "interpolation", "fill_value", "seed")
    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self, factor=1.0, scale=1.0, interpolation="bilinear", fill_value=0.0, seed=None, data_format=None, **kwargs
    ):
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        if not 0 <= scale <= 1:
            raise ValueError(f"{self._label()}: `scale` must be a number in [0, 1], received scale={scale!r}")
        self.scale = scale
        self._options("constant", interpolation, fill_value)
        self._seeded(seed)

    def get_random_transformation(self, data, training=True, seed=None):
        from maas import ops

        if not training:
            return None
        apply = self._drawn_by_chance(data, seed)
        moves = self._draw(data, -0.5 * self.scale, 0.5 * self.scale, seed, dtype=self.compute_dtype, tail=(4, 2))
        below, right = (ops.cast(n, "float32") - 1.0 for n in self._size(data))
        zero = ops.zeros_like(right)
        corners = ops.stack([zero, zero, right, zero, zero, below, right, below])
        start = ops.cast(ops.reshape(corners, (1, 4, 2)), self.compute_dtype) + ops.zeros_like(moves)
        return {
            "apply_perspective": apply, "start_points": start, "end_points": start + start * moves,
            "size": self._size(data),
        }  # fmt: skip

    def _transform(self, images, transformation, interpolation):
        from maas import ops

        if transformation is None:
            return images
        start, end = (ops.convert_to_tensor(transformation[k]) for k in ("start_points", "end_points"))
        moved = ops.image.perspective_transform(
            images, start, end, interpolation=interpolation, fill_value=self.fill_value, data_format=self.data_format
        )
        return ops.where(self._per_image(transformation["apply_perspective"], "bool"), moved, images)

    def transform_bounding_boxes(self, bounding_boxes, transformation, training=True):
        if not training or transformation is None:
            return bounding_boxes
        from maas import ops
        from maas.ops.image_warp import homography
        from maas.utils.bounding_boxes import hull

        start, end = (ops.convert_to_tensor(transformation[k]) for k in ("start_points", "end_points"))
        h = [v[:, None, None] for v in ops.unstack(homography(end, start), axis=1)]
        apply = ops.reshape(ops.convert_to_tensor(transformation["apply_perspective"]), (-1, 1, 1))

        def move(x, y):
            below = h[6] * x + h[7] * y + 1.0
            return (h[0] * x + h[1] * y + h[2]) / below, (h[3] * x + h[4] * y + h[5]) / below

        size = self._size_in(transformation)
        return self._moved_boxes(bounding_boxes, size, size, lambda b: ops.where(apply, hull(b, move), b))


class RandomElasticTransform(_Warp):
    """Every pixel of each image moved by smoothed noise, while training.

    Args:
        factor: number or (lower, upper) in [0, 1]; the probability that an image is changed is drawn from it.
        scale: number or (lower, upper) in [0, 1]; drawn once per batch. Moves are `0.1 scale` of the longer side times
            noise, smoothed over `0.05 scale` of the shorter one.
        interpolation: "nearest" or "bilinear".
        fill_mode: what comes in from outside: "reflect", "wrap", "mirror", "constant" or "nearest".
        fill_value: number, for "constant".
        value_range: (lowest, highest) value of a pixel; the result is clipped to it.
        seed: int or None.
        data_format: "channels_last" or "channels_first".

    Raises:
        ValueError: if a factor is out of range or the size of the images is not known.
        NotImplementedError: for another mode or interpolation.
    Reference: Simard et al., 2003, "Best practices for convolutional neural networks applied to visual document
        analysis".
    """

    _ARGS = ("factor", "scale", "interpolation", "fill_mode", "fill_value", "value_range", "seed")
    _FACTOR_BOUNDS = (0, 1)
    _FILL_MODES = (*_Warp._FILL_MODES, "mirror")

    def __init__(
        self, factor=1.0, scale=1.0, interpolation="bilinear", fill_mode="reflect", fill_value=0.0,
        value_range=(0, 255), seed=None, data_format=None, **kwargs,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self.scale = self._range(scale, "scale")
        self._options(fill_mode, interpolation, fill_value)
        self.value_range = self._checked_range(value_range)
        self._seeded(seed)

    def get_random_transformation(self, data, training=True, seed=None):
        from maas import random

        if not training or self.scale[1] == 0 or self.factor[1] == 0:
            return None
        images = self._images_of(data)
        if None in self._known(images):
            raise ValueError(f"{self._label()}: the size of the images must be known, received {tuple(images.shape)}")
        source = self.generator if seed is None else seed
        apply = self._drawn_by_chance(data, seed)
        scale = random.uniform((), *map(float, self.scale), seed=source)
        # Noise is part of what is drawn, so that images and masks move alike.
        shape = (2, self._batch_size(data), *self._known(images), 1)
        return {"apply_transform": apply, "distortion_factor": scale, "noise": random.normal(shape, seed=source)}

    def _known(self, images):
        shape = tuple(images.shape)
        return shape[-3:-1] if self.data_format == "channels_last" else shape[-2:]

    def _transform(self, images, transformation, interpolation):
        from maas import ops
        from maas.ops.image_resampling import elastic_moves

        if transformation is None:
            return images
        height, width = self._known(images)
        scale = ops.cast(ops.convert_to_tensor(transformation["distortion_factor"]), "float32")
        sigma, alpha = 0.05 * scale * min(height, width), 0.1 * scale * max(height, width)
        # The window is made for the largest scale and cut to the drawn one.
        most = int(6 * 0.05 * self.scale[1] * min(height, width)) // 2
        moved = elastic_moves(
            images, ops.convert_to_tensor(transformation["noise"]), alpha, sigma, most, interpolation, self.fill_mode,
            self.fill_value, self.data_format,
        )  # fmt: skip
        return ops.where(self._per_image(transformation["apply_transform"], "bool"), moved, images)

    def transform_images(self, images, transformation, training=True):
        from maas import ops

        images = super().transform_images(images, transformation, training)
        if not training or transformation is None:
            return images
        return ops.clip(images, self.value_range[0], self.value_range[1])

    # Moves of single pixels do not say where the corners of a box are.
    transform_bounding_boxes = ImageLayer.transform_bounding_boxes
