"""Layers that spread the values of images: AutoContrast, Equalization, CLAHE, Solarization."""

from maas.layers.options import channels_first, channels_last
from maas.layers.preprocessing.image_colour import _Colour


class AutoContrast(_Colour):
    """Each channel of each image stretched so that its lowest and highest values are those of the value range.

    Args:
        value_range: (lowest, highest) value of a pixel.
        data_format: "channels_last" or "channels_first".

    A channel with one value only stays as it is.
    """

    _ARGS = ("value_range",)

    def __init__(self, value_range=(0, 255), **kwargs):
        super().__init__(**kwargs)
        self._set_value_range(value_range)

    def transform_images(self, images, transformation=None, training=True):
        from maas import ops

        before = ops.cast(images, self.compute_dtype)
        x = self._to_range(before, self.value_range, (0, 255))
        axes = (1, 2) if self.data_format == "channels_last" else (2, 3)
        low, high = (f(x, axis=axes, keepdims=True) for f in (ops.min, ops.max))
        flat = ops.equal(low, high)
        scale = 255.0 / ops.where(flat, 1.0, high - low)
        y = self._to_range(ops.clip(x * scale - low * scale, 0.0, 255.0), (0, 255), self.value_range)
        return ops.where(flat, before, ops.cast(y, before.dtype))


class Equalization(_Colour):
    """Values replaced by their rank: the histogram of each channel, over the whole batch as in Keras, becomes flat.

    Args:
        value_range: (lowest, highest) value of a pixel.
        bins: int, of the histogram.
        data_format: "channels_last" or "channels_first".

    The layer works where `training` is true, which is its default, and passes images on where it is False.
    """

    _ARGS = ("bins", "value_range")

    def __init__(self, value_range=(0, 255), bins=256, data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self.bins = bins
        self._set_value_range(value_range)

    def _equalized(self, x):
        """One channel of every image, values 0 to 255."""
        from maas import ops

        n = self.bins
        at = ops.reshape(ops.cast(ops.clip(x / 255.0 * (n - 1), 0, n - 1), "int32"), (-1,))
        count = ops.segment_sum(ops.ones_like(at), at, num_segments=n)
        below = ops.cumsum(count)
        first = ops.min(ops.where(below > 0, below, below[-1]))
        rest = below[-1] - first
        table = ops.cast((below - first) * 255, "float32") / ops.cast(ops.maximum(rest, 1), "float32")
        y = ops.reshape(ops.take(ops.clip(ops.round(table), 0, 255), at), ops.shape(x))
        return ops.where(ops.count_nonzero(count) <= 1, x, ops.cast(y, x.dtype))

    def transform_images(self, images, transformation=None, training=True):
        from maas import ops

        if not training:
            return images
        images = ops.cast(images, self.compute_dtype)
        axis = -1 if self.data_format == "channels_last" else 1
        x = self._to_range(images, self.value_range, (0, 255))
        y = ops.stack([self._equalized(c) for c in ops.unstack(x, axis=axis)], axis=axis)
        return ops.cast(self._to_range(y, (0, 255), self.value_range), self.compute_dtype)


class ContrastLimitedAdaptiveHistogramEqualization(_Colour):
    """Equalization in tiles, blended between their middles; what of a histogram is above a limit is spread evenly.

    Args:
        value_range: (lowest, highest) value of a pixel.
        clip_limit: number, highest count of a value over the mean count; 0 or less: no limit.
        tile_grid_size: (rows, columns) of tiles.
        data_format: "channels_last" or "channels_first".

    Raises:
        ValueError: if height or width is not known.
    Reference: Zuiderveld, 1994, "Contrast limited adaptive histogram equalization".
    """

    _ARGS = ("value_range", "clip_limit", "tile_grid_size")

    def __init__(self, value_range=(0, 255), clip_limit=4.0, tile_grid_size=(8, 8), data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self.value_range = self._checked_range(value_range)
        self.clip_limit, self.tile_grid_size = clip_limit, tile_grid_size

    def transform_images(self, images, transformation=None, training=True):
        from maas import ops

        dtype, first = str(images.dtype), self.data_format == "channels_first"
        x = channels_last(images) if first else images
        x = self._to_range(ops.cast(x, "float32"), self.value_range, (0, 255))
        y = ops.cast(self._to_range(self._equalized(x), (0, 255), self.value_range), dtype)
        return channels_first(y) if first else y

    def _tables(self, tiles, size):
        """What each value becomes: (batch, rows, columns, channels, 256) of tiles of `size` pixels on the last axis."""
        from maas import ops

        counts = ops.sum(ops.one_hot(ops.clip(ops.cast(tiles, "int32"), 0, 255), 256), axis=-2)
        if self.clip_limit > 0:
            kept = ops.minimum(counts, self.clip_limit * size / 256.0)
            counts = kept + ops.sum(counts - kept, axis=-1, keepdims=True) / 256.0
        below = ops.cumsum(counts, axis=-1)
        least = below[..., :1]
        rest = size - least
        return ops.clip((below - least) * 255.0 / ops.where(ops.equal(rest, 0), 1.0, rest), 0, 255)

    def _equalized(self, x):
        import numpy as np

        from maas import ops

        if None in x.shape[1:]:
            raise ValueError(f"{self._label()}: tiles need a known size of images, received shape {tuple(x.shape)}")
        height, width, channels = x.shape[1:]
        rows, columns = self.tile_grid_size
        tall, wide = -(-height // rows), -(-width // columns)
        padding = ((0, 0), (0, tall * rows - height), (0, wide * columns - width), (0, 0))
        x = ops.pad(x, padding, mode="symmetric") if np.any(padding) else x
        tiles = ops.reshape(x, (-1, rows, tall, columns, wide, channels))
        tiles = ops.reshape(ops.transpose(tiles, (0, 1, 3, 5, 2, 4)), (-1, rows, columns, channels, tall * wide))
        flat = ops.reshape(self._tables(tiles, tall * wide), (-1,))

        def sides(length, tile, count, shape):
            """[(number of a tile, its share)] along one axis, for every pixel."""
            at = (np.arange(length) - tile / 2) / tile
            low = np.floor(at)
            for i, share in ((low, 1 - (at - low)), (low + 1, at - low)):
                i = np.clip(i, 0, count - 1).astype("int32")
                yield (
                    ops.convert_to_tensor(i.reshape(shape)),
                    ops.convert_to_tensor(share.astype("float32").reshape(shape)),
                )

        batch = ops.reshape(ops.arange(ops.shape(x)[0], dtype="int32"), (-1, 1, 1, 1))
        channel = ops.reshape(ops.arange(channels, dtype="int32"), (1, 1, 1, -1))
        value = ops.cast(ops.clip(x, 0, 255), "int32")
        total = None
        for row, below in sides(tall * rows, tall, rows, (1, -1, 1, 1)):
            for column, right in sides(wide * columns, wide, columns, (1, 1, -1, 1)):
                place = ((batch * rows + row) * columns + column) * channels + channel
                part = ops.take(flat, place * 256 + value) * (below * right)
                total = part if total is None else total + part
        return total[:, :height, :width]


class Solarization(_Colour):
    """`x + a`, and `255 - (x + a)` where that is not below a threshold `t`, for values 0 to 255, while training.

    Args:
        addition_factor: number (from 0 on) or (lower, upper) in [0, 1]; `a` is drawn from it, times 255, per image.
        threshold_factor: the same for `t`.
        value_range: (lowest, highest) value of a pixel.
        seed: int or None.
        data_format: "channels_last" or "channels_first".

    Raises:
        ValueError: if a factor is out of range.
    """

    _ARGS = ("value_range", "addition_factor", "threshold_factor", "seed")
    _FACTOR_BOUNDS = (0, 1)

    def __init__(self, addition_factor=0.0, threshold_factor=0.0, value_range=(0, 255), seed=None, **kwargs):
        super().__init__(**kwargs)
        self._seeded(seed)
        self.addition_factor = self._range(addition_factor, "addition_factor")
        self.threshold_factor = self._range(threshold_factor, "threshold_factor")
        self._set_value_range(value_range)

    def get_random_transformation(self, data, training=True, seed=None):
        if not training:
            return None

        def draw(factor):
            return self._draw(data, 255.0 * factor[0], 255.0 * factor[1], seed, 3, self.compute_dtype)

        return {"additions": draw(self.addition_factor), "thresholds": draw(self.threshold_factor)}

    def transform_images(self, images, transformation, training=True):
        from maas import ops

        images = ops.cast(images, self.compute_dtype)
        if not training or transformation is None:
            return images
        x = self._to_range(images, self.value_range, (0, 255)) + transformation["additions"]
        x = ops.clip(x, 0, 255)
        x = ops.where(x < transformation["thresholds"], x, 255 - x)
        return ops.cast(self._to_range(x, (0, 255), self.value_range), self.compute_dtype)
