"""Layers that change the size of images: Resizing, CenterCrop, RandomCrop."""

from maas.layers.options import check_positive
from maas.layers.preprocessing.image_layer import ImageLayer
from maas.ops.image import middle_part, padded_part


class _Sized(ImageLayer):
    """Base of layers whose images come out as height x width."""

    _ARGS = ("height", "width")

    def _take_size(self, height, width):
        self.height = check_positive(height, "height", self._label())
        self.width = check_positive(width, "width", self._label())

    def compute_output_shape(self, input_shape):
        if isinstance(input_shape, dict):
            keys = ("images", "segmentation_masks")
            return {k: self._sized(s) if k in keys else s for k, s in input_shape.items()}
        return self._sized(input_shape)

    def _sized(self, shape):
        if len(shape) not in (3, 4):
            raise ValueError(f"{self._label()}: images must have 3 or 4 axes, received shape {tuple(shape)}")
        shape, first = list(shape), len(shape) - (3 if self.data_format == "channels_last" else 2)
        shape[first : first + 2] = [self.height, self.width]
        return tuple(shape)

    def _cut(self, images, top, left):
        """`height` rows from `top` on and `width` columns from `left` on, whole numbers."""
        rows, columns = slice(top, top + self.height), slice(left, left + self.width)
        if self.data_format == "channels_last":
            return images[..., rows, columns, :]
        return images[..., rows, columns]

    def _middle(self, images, interpolation):
        """The middle part of the right proportions, resized."""
        from maas import ops

        size = (self.height, self.width)
        return ops.image.resize(
            images, size, interpolation=interpolation, crop_to_aspect_ratio=True, data_format=self.data_format
        )

    def _as_masks(self, masks, *args, **kwargs):
        """Masks through `_sized_part`: pixels are taken as they are, the dtype stays."""
        from maas import ops

        found = self._sized_part(ops.cast(masks, self.compute_dtype), *args, "nearest", **kwargs)
        return ops.cast(found, masks.dtype)

    def _boxes_in_part(self, bounding_boxes, before, part):
        """Boxes of images of the size `before`, of which the part (top, left, height, width) becomes the result."""
        from maas import ops

        top, left, tall, wide = part

        def move(boxes):
            shift = ops.stack([ops.cast(n, boxes.dtype) for n in (left, top, left, top)])
            scale = [n / m for n, m in ((self.width, wide), (self.height, tall))]
            return (boxes - shift) * ops.stack([ops.cast(n, boxes.dtype) for n in (*scale, *scale)])

        return self._moved_boxes(bounding_boxes, before, (self.height, self.width), move)

    def _known_size(self, images, why):
        shape = tuple(images.shape)
        sizes = shape[-3:-1] if self.data_format == "channels_last" else shape[-2:]
        if None in sizes:
            raise ValueError(f"{self._label()}: {why} needs a known height and width, received shape {shape}")
        return sizes


class Resizing(_Sized):
    """Images in the size height x width.

    Args:
        height, width: int, pixels.
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3" or "lanczos5".
        crop_to_aspect_ratio: bool, cut the images to the new proportions first.
        pad_to_aspect_ratio: bool, fill them up to the new proportions first.
        fill_mode, fill_value: "constant" and the number to fill with.
        antialias: bool, widen the kernel when images shrink.
        data_format: "channels_last" or "channels_first".

    Raises:
        ValueError: for a size that is not a positive int.
    """

    _ARGS = (
        *_Sized._ARGS, "interpolation", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "fill_mode", "fill_value",
        "antialias",
    )  # fmt: skip

    def __init__(
        self, height, width, interpolation="bilinear", crop_to_aspect_ratio=False, pad_to_aspect_ratio=False,
        fill_mode="constant", fill_value=0.0, antialias=False, data_format=None, **kwargs,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        self._take_size(height, width)
        self.interpolation = interpolation
        self.crop_to_aspect_ratio, self.pad_to_aspect_ratio = crop_to_aspect_ratio, pad_to_aspect_ratio
        self.fill_mode, self.fill_value, self.antialias = fill_mode, fill_value, bool(antialias)

    def _resize(self, images, interpolation):
        from maas import ops

        return ops.image.resize(
            images, (self.height, self.width), interpolation=interpolation, antialias=self.antialias,
            crop_to_aspect_ratio=self.crop_to_aspect_ratio, pad_to_aspect_ratio=self.pad_to_aspect_ratio,
            fill_mode=self.fill_mode, fill_value=self.fill_value, data_format=self.data_format,
        )  # fmt: skip

    def get_random_transformation(self, data, training=True, seed=None):
        return self._size(data)

    def transform_images(self, images, transformation=None, training=True):
        return self._resize(images, self.interpolation)

    def transform_segmentation_masks(self, segmentation_masks, transformation=None, training=True):
        return self._resize(segmentation_masks, "nearest")

    def transform_bounding_boxes(self, bounding_boxes, transformation, training=True):
        height, width = transformation
        part = 0, 0, height, width
        if self.pad_to_aspect_ratio or self.crop_to_aspect_ratio:
            fitted = padded_part if self.pad_to_aspect_ratio else middle_part
            part = fitted(height, width, (self.height, self.width))
        return self._boxes_in_part(bounding_boxes, (height, width), part)


class CenterCrop(_Sized):
    """The middle of images; images that are smaller are cut to the proportions and enlarged.

    Args:
        height, width: int, pixels.
        data_format: "channels_last" or "channels_first".
    """

    def __init__(self, height, width, data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self._take_size(height, width)

    def get_random_transformation(self, data, training=True, seed=None):
        return {"input_shape": tuple(self._images_of(data).shape)}

    def _sized_part(self, images, interpolation):
        height, width = self._known_size(images, "cropping")
        if height >= self.height and width >= self.width:
            return self._cut(images, (height - self.height) // 2, (width - self.width) // 2)
        return self._middle(images, interpolation)

    def transform_images(self, images, transformation=None, training=True):
        from maas import ops

        return self._sized_part(ops.cast(images, self.compute_dtype), "bilinear")

    def transform_segmentation_masks(self, segmentation_masks, transformation=None, training=True):
        return self._as_masks(segmentation_masks)

    def transform_bounding_boxes(self, bounding_boxes, transformation, training=True):
        height, width = size = self._size_in(transformation)
        own = self.height, self.width
        part = middle_part(height, width, own)
        if height >= self.height and width >= self.width:
            part = (height - self.height) // 2, (width - self.width) // 2, *own
        return self._boxes_in_part(bounding_boxes, size, part)


class _Corner(tuple):
    """(top, left) of a part, and the size of the images that it is cut from."""

    def __new__(cls, corner, size):
        made = super().__new__(cls, corner)
        made.size = size
        return made


class RandomCrop(_Sized):
    """A part of the images, drawn once per batch while training; else the middle of the right proportions, resized.

    While training, images that are not larger are cut where that middle begins, and resized.

    Args:
        height, width: int, pixels.
        seed: int or None.
        data_format: "channels_last" or "channels_first".
    """

    _ARGS = (*_Sized._ARGS, "seed")

    def __init__(self, height, width, seed=None, data_format=None, name=None, **kwargs):
        super().__init__(data_format=data_format, name=name, **kwargs)
        self._take_size(height, width)
        from maas.random.seed_generator import make_default_seed

        self._seeded(make_default_seed() if seed is None else seed)

    def get_random_transformation(self, data, training=True, seed=None):
        from maas import ops, random

        height, width = self._known_size(self._images_of(data), "cropping")
        seed = self.generator if seed is None else seed
        if training and height > self.height and width > self.width:
            drawn = (
                ops.cast(random.uniform((), 0.0, float(old - new + 1), seed=seed), "int32")
                for old, new in ((height, self.height), (width, self.width))
            )
            return _Corner(drawn, (height, width))
        return _Corner(middle_part(height, width, (self.height, self.width))[:2], (height, width))

    def _sized_part(self, images, transformation, training, interpolation):
        from maas import ops

        if not training:
            return self._middle(images, interpolation)
        top, left = transformation
        if isinstance(top, int):
            images = self._cut(images, top, left)
        else:
            at = images.ndim - (3 if self.data_format == "channels_last" else 2)
            images = ops.take(images, top + ops.arange(self.height, dtype="int32"), axis=at)
            images = ops.take(images, left + ops.arange(self.width, dtype="int32"), axis=at + 1)
        size = (self.height, self.width)
        if self._known_size(images, "cropping") != size:
            images = ops.image.resize(images, size, interpolation=interpolation, data_format=self.data_format)
        return images

    def transform_images(self, images, transformation, training=True):
        from maas import ops

        return self._sized_part(ops.cast(images, self.compute_dtype), transformation, training, "bilinear")

    def transform_segmentation_masks(self, segmentation_masks, transformation, training=True):
        return self._as_masks(segmentation_masks, transformation, training)

    def transform_bounding_boxes(self, bounding_boxes, transformation, training=True):
        height, width = size = transformation.size
        part = middle_part(height, width, (self.height, self.width))
        if training:
            top, left = transformation
            drawn = not isinstance(top, int)  # else what is below and right of the middle's corner
            tall = self.height if drawn else min(self.height, height - top)
            part = top, left, tall, self.width if drawn else min(self.width, width - left)
        return self._boxes_in_part(bounding_boxes, size, part)
