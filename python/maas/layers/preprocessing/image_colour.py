"""Layers that change the values of pixels: RandomContrast, RandomBrightness."""

from maas.layers.preprocessing.image_layer import ImageLayer


class _Colour(ImageLayer):
    """Base of layers that leave every pixel in its place, and so boxes and masks as they are."""

    def _clipped(self, images):
        from maas import ops

        return ops.clip(images, self.value_range[0], self.value_range[1])

    def transform_bounding_boxes(self, bounding_boxes, transformation, training=True):
        return bounding_boxes


class RandomContrast(_Colour):
    """`(x - mean) * factor + mean` per image and channel, factor drawn from [1 - lower, 1 + upper], while training.

    Args:
        factor: number (lower and upper alike) or (lower, upper) in [0, 1].
        value_range: (lowest, highest) value of a pixel; the result is clipped to it.
        seed: int or None.

    Raises:
        ValueError: if a factor is out of range.
    """

    _ARGS = ("factor", "value_range", "seed")
    _FACTOR_BOUNDS = (0, 1)

    def __init__(self, factor, value_range=(0, 255), seed=None, **kwargs):
        super().__init__(**kwargs)
        self._set_factor(factor)
        self.value_range = value_range
        self._seeded(seed)

    def get_random_transformation(self, data, training=True, seed=None):
        if not training:
            return None
        low, high = 1.0 - self.factor[0], 1.0 + self.factor[1]
        return {"contrast_factor": self._draw(data, low, high, seed, 3, self.compute_dtype)}

    def transform_images(self, images, transformation, training=True):
        from maas import ops

        images = ops.cast(images, self.compute_dtype)
        if not training:
            return images
        axes = (1, 2) if self.data_format == "channels_last" else (2, 3)
        mean = ops.mean(images, axis=axes, keepdims=True)
        return self._clipped((images - mean) * transformation["contrast_factor"] + mean)


class RandomBrightness(_Colour):
    """Adds a number drawn from [lower, upper] times the width of the value range to each image, while training.

    Args:
        factor: number (from -factor to factor) or (lower, upper) in [-1, 1].
        value_range: (lowest, highest) value of a pixel; the result is clipped to it.
        seed: int or None.

    Raises:
        ValueError: if a factor is out of range or `value_range` is no pair.
    """

    _ARGS = ("factor", "value_range", "seed")

    def __init__(self, factor, value_range=(0, 255), seed=None, **kwargs):
        super().__init__(**kwargs)
        self._set_factor(factor)
        self._seeded(seed)
        self._set_value_range(value_range)

    def get_random_transformation(self, data, training=True, seed=None):
        if not training:
            return None
        width = self.value_range[1] - self.value_range[0]
        return {"rgb_delta": self._draw(data, *self.factor, seed, 3) * float(width)}

    def transform_images(self, images, transformation, training=True):
        from maas import ops

        images = ops.cast(images, self.compute_dtype)
        if not training:
            return images
        return self._clipped(images + ops.cast(transformation["rgb_delta"], images.dtype))
