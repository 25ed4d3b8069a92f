"""Layers that change colours at random, per image, while training."""

from maas.layers.preprocessing.image_colour import _Colour


class _Random(_Colour):
    """Base: a factor drawn per image, and the change that it makes."""

    _ARGS = ("factor", "value_range", "seed")

    def transform_images(self, images, transformation=None, training=True):
        from maas import ops

        images = ops.cast(images, self.compute_dtype)
        return self._changed(images, transformation) if training else images

    def _changed(self, images, transformation):
        raise NotImplementedError

    def _scaled_channel(self, images, channel, change):
        """Hue, saturation or value of the images, changed by a function."""
        from maas import ops

        axis = -1 if self.data_format == "channels_last" else 1
        parts = ops.split(ops.image.rgb_to_hsv(images, data_format=self.data_format), 3, axis=axis)
        parts[channel] = change(parts[channel])
        return ops.image.hsv_to_rgb(ops.concatenate(parts, axis=axis), data_format=self.data_format)


class RandomGrayscale(_Random):
    """Images without colours, each with probability `factor`.

    Args:
        factor: number in [0, 1].
        data_format: "channels_last" or "channels_first".
        seed: int or None.
    """

    _ARGS = ("factor",)

    def __init__(self, factor=0.5, data_format=None, seed=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 <= factor <= 1:
            raise ValueError(f"{self._label()}: `factor` must be a number in [0, 1], received factor={factor!r}")
        self.factor = factor
        self._seeded(seed)

    def get_random_transformation(self, data, training=True, seed=None):
        return self._draw(data, seed=seed, ones=3) < self.factor if training else None

    def _changed(self, images, transformation):
        from maas import ops

        grey = ops.image.rgb_to_grayscale(images, data_format=self.data_format)
        return ops.where(transformation, grey, images)


class RandomHue(_Random):
    """Hues turned by up to `factor / 2` of the circle, either way.

    Args:
        factor: number or (lower, upper) in [0, 1].
        value_range: (lowest, highest) value of a pixel.
        data_format: "channels_last" or "channels_first".
        seed: int or None.
    """

    _FACTOR_BOUNDS = (0, 1)

    def __init__(self, factor, value_range=(0, 255), data_format=None, seed=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self.value_range = value_range
        self._seeded(seed)

    def get_random_transformation(self, data, training=True, seed=None):
        from maas import ops

        if not training:
            return None
        sign = ops.where(self._draw(data, seed=seed) > 0.5, -1.0, 1.0)
        return {"factor": sign * self._draw(data, *map(float, self.factor), seed) * 0.5}

    def _changed(self, images, transformation):
        from maas import ops

        turn = self._per_image(transformation["factor"])

        def turned(hue):
            hue = hue + turn
            hue = ops.where(hue > 1.0, hue - 1.0, hue)
            return ops.where(hue < 0.0, hue + 1.0, hue)

        images = self._scaled_channel(self._to_range(images, self.value_range, (0, 1)), 0, turned)
        return ops.cast(self._to_range(ops.clip(images, 0, 1), (0, 1), self.value_range), self.compute_dtype)


class RandomSaturation(_Random):
    """Saturations times `f / (1 - f)`: 0 is grey, 0.5 changes nothing, 1 is the strongest.

    Args:
        factor: number or (lower, upper) in [-1, 1].
        value_range: (lowest, highest) value.
        data_format: "channels_last" or "channels_first".
        seed: int or None.
    """

    def __init__(self, factor, value_range=(0, 255), data_format=None, seed=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self._set_value_range(value_range)
        self._seeded(seed)

    def get_random_transformation(self, data, training=True, seed=None):
        from maas.backend.config import epsilon

        if not training:
            return None
        factor = self._draw(data, *map(float, self.factor), seed)
        return {"factor": factor / (1.0 - factor + epsilon())}

    def _changed(self, images, transformation):
        factor = self._per_image(transformation["factor"])
        return self._scaled_channel(images, 1, lambda s: self._clipped(s * factor))


class RandomInvert(_Random):
    """`highest value - x`, each image with a probability drawn from `factor`.

    Args:
        factor: number or (lower, upper) in [0, 1].
        value_range: (lowest, highest) value of a pixel.
        seed: int or None.
        data_format: "channels_last" or "channels_first".
    """

    _FACTOR_BOUNDS = (0, 1)

    def __init__(self, factor=1.0, value_range=(0, 255), seed=None, data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self.value_range = value_range
        self._seeded(seed)

    def get_random_transformation(self, data, training=True, seed=None):
        if not training:
            return None
        return {"apply_inversion": self._drawn_by_chance(data, seed)}

    def _changed(self, images, transformation):
        from maas import ops

        apply = self._per_image(transformation["apply_inversion"], "bool")
        return ops.where(apply, self.value_range[1] - images, images)


class RandomColorDegeneration(_Random):
    """`x + factor * (grey - x)`.

    Args:
        factor: number or (lower, upper) in [-1, 1].
        value_range: (lowest, highest) value of a pixel; the result is clipped to it.
        data_format: "channels_last" or "channels_first".
        seed: int or None.
    """

    def __init__(self, factor, value_range=(0, 255), data_format=None, seed=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self._set_value_range(value_range)
        self._seeded(seed)

    def get_random_transformation(self, data, training=True, seed=None):
        return {"factor": self._draw(data, *map(float, self.factor), seed, 3)} if training else None

    def _changed(self, images, transformation):
        from maas import ops

        grey = ops.image.rgb_to_grayscale(images, data_format=self.data_format)
        return self._clipped(images + self._per_image(transformation["factor"]) * (grey - images))


class RandomSharpness(_Random):
    """`x + (1 - 2 f) * (smoothed - x)`: 0 is the smoothest, 0.5 changes nothing, 1 is the sharpest.

    Args:
        factor: number or (lower, upper) in [0, 1].
        value_range: (lowest, highest) value of a pixel; the result is clipped to it.
        data_format: "channels_last" or "channels_first".
        seed: int or None.
    """

    _FACTOR_BOUNDS = (0, 1)

    def __init__(self, factor, value_range=(0, 255), data_format=None, seed=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self._set_value_range(value_range)
        self._seeded(seed)

    def get_random_transformation(self, data, training=True, seed=None):
        return {"factor": self._draw(data, *map(float, self.factor), seed)} if training else None

    def _changed(self, images, transformation):
        import numpy as np

        from maas import ops
        from maas.layers.options import channels_first, channels_last

        first = self.data_format == "channels_first"
        images = channels_last(images) if first else images
        kernel = np.full((3, 3, images.shape[-1], 1), 1 / 13, "float32")
        kernel[1, 1] = 5 / 13
        kernel = ops.cast(ops.convert_to_tensor(kernel), images.dtype)
        smooth = ops.depthwise_conv(images, kernel, strides=1, padding="same", data_format="channels_last")
        images = self._clipped(images + (1.0 - 2.0 * self._per_image(transformation["factor"])) * (smooth - images))
        return channels_first(images) if first else images


class RandomPosterization(_Random):
    """Only the upper bits of each of 8 are kept, a drawn number of them.

    Args:
        factor: int or (lower, upper) in [1, 8], the number of bits that is kept.
        value_range: (lowest, highest) value of a pixel.
        data_format: "channels_last" or "channels_first".
        seed: int or None.
    """

    _FACTOR_BOUNDS = (1, 8)

    def __init__(self, factor, value_range=(0, 255), data_format=None, seed=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self._set_value_range(value_range)
        self._seeded(seed)

    def get_random_transformation(self, data, training=True, seed=None):
        from maas import ops, random

        if not training:
            return None
        shape = (self._batch_size(data),)
        low, high = self.factor
        if low == high:
            return {"shift_factor": ops.full(shape, 8 - low, dtype="int32")}
        drawn = random.randint(shape, low, high, dtype="int32", seed=self.generator if seed is None else seed)
        return {"shift_factor": 8 - drawn}

    def _changed(self, images, transformation):
        from maas import ops

        step = ops.power(2.0, self._per_image(transformation["shift_factor"]))
        whole = ops.floor(self._to_range(images, self.value_range, (0, 255)))
        kept = ops.floor(whole / step) * step
        return ops.cast(self._to_range(kept, (0, 255), self.value_range), self.compute_dtype)
