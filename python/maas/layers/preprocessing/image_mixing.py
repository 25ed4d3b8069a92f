"""Layers that put parts of images in the place of others: MixUp, CutMix, RandomErasing."""

from maas.layers.preprocessing.image_colour import _Colour
from maas.layers.preprocessing.image_layer import ImageLayer


def _mixed(values, transformation):
    """`w * values + (1 - w) * values of the partners`, one weight per row."""
    from maas import ops

    dtype = values.dtype if "float" in str(values.dtype) else "float32"
    weight = ops.cast(ops.convert_to_tensor(transformation["mix_weight"]), dtype)
    weight = ops.reshape(weight, (-1, *(1,) * (len(values.shape) - 1)))
    values = ops.cast(values, dtype)
    return weight * values + (1.0 - weight) * _partners(values, transformation)


def _partners(values, transformation):
    from maas import ops

    return ops.take(values, ops.convert_to_tensor(transformation["permutation_order"]), axis=0)


class _Mixing(ImageLayer):
    def _drawn_order(self, data, seed, dtype):
        from maas import ops, random

        rows = ops.arange(self._batch_size(data), dtype=dtype)
        return random.shuffle(rows, seed=self.generator if seed is None else seed)


class MixUp(_Mixing):
    """`w x + (1 - w) x'` of each image and one of the same batch, and of their labels, `w` drawn from Beta(alpha,
    alpha), while training.

    Args:
        alpha: positive number; the larger, the nearer are the weights to 1/2.
        data_format: "channels_last" or "channels_first".
        seed: int or None.

    Bounding boxes of both images are kept, the partner's after the image's own; labels must be numbers or one-hot, and
    come out in a floating dtype, as masks do.

    Reference: Zhang et al., 2017, "mixup: Beyond empirical risk minimization", arXiv:1710.09412.
    """

    _ARGS = ("alpha", "seed")

    def __init__(self, alpha=0.2, data_format=None, seed=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self.alpha = alpha
        self._seeded(seed)

    def get_random_transformation(self, data, training=True, seed=None):
        from maas import random

        if not training:
            return None
        order = self._drawn_order(data, seed, "int64")
        seed = self.generator if seed is None else seed
        weight = random.beta((self._batch_size(data),), self.alpha, self.alpha, seed=seed)
        return {"mix_weight": weight, "permutation_order": order}

    def transform_images(self, images, transformation=None, training=True):
        from maas import ops

        if not training:
            return images
        return _mixed(ops.cast(images, self.compute_dtype), transformation)

    def transform_labels(self, labels, transformation, training=True):
        return _mixed(labels, transformation) if training else labels

    def transform_segmentation_masks(self, segmentation_masks, transformation, training=True):
        return _mixed(segmentation_masks, transformation) if training else segmentation_masks

    def transform_bounding_boxes(self, bounding_boxes, transformation, training=True):
        from maas import ops

        if not training:
            return bounding_boxes
        return {k: ops.concatenate([v, _partners(v, transformation)], axis=1) for k, v in bounding_boxes.items()}


class _Box(ImageLayer):
    """Base of layers that draw one rectangle per image."""

    def _drawn_mask(self, data, down, right, seed):
        """(mask (batch, height, width, 1) or channels first, its share of the images (batch, 1, 1, 1)) of rectangles
        whose height and width are the shares `down` and `right` of the images, at drawn places.
        """
        from maas import ops

        first = self.data_format == "channels_first"
        inside, share = None, 1.0
        # Keras draws the columns first.
        for share_of, count, axis in zip((right, down), reversed(self._size(data)), (2, 1)):
            size = ops.cast(count, "float32")
            length = share_of * size
            start = self._draw(data, seed=seed, dtype=self.compute_dtype) * (size - length)
            start, end = (ops.reshape(v, (-1, 1, 1, 1)) for v in (start, start + length))
            shape = [1, 1, 1, 1]
            shape[axis + first] = -1
            at = ops.reshape(ops.cast(ops.arange(count, dtype="int32"), "float32"), shape)
            within = ops.logical_and(at >= start, at < end)
            inside = within if inside is None else ops.logical_and(inside, within)
            share = share * (end - start) / size
        return inside, share


class CutMix(_Mixing, _Box):
    """A rectangle of each image shows another image of the batch, and the labels are mixed by its area, while training.

    Args:
        factor: number or (lower, upper) in [0, 1]; `alpha` is drawn from it, and the share that stays from Beta(alpha,
            alpha).
        seed: int or None.
        data_format: "channels_last" or "channels_first".

    One image alone, without a batch, stays as it is. Bounding boxes are refused.

    Reference: Yun et al., 2019, "CutMix: regularization strategy to train strong classifiers with localizable
        features", arXiv:1905.04899.
    """

    _ARGS = ("factor", "seed")
    _FACTOR_BOUNDS = (0, 1)

    def __init__(self, factor=1.0, seed=None, data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self._seeded(seed)

    def get_random_transformation(self, data, training=True, seed=None):
        from maas import ops, random

        if not training or not self._is_batched(self._images_of(data)):
            return None
        source = self.generator if seed is None else seed
        alpha = random.uniform((), *map(float, self.factor), dtype=self.compute_dtype, seed=source) + 1e-6
        stays = random.beta((self._batch_size(data),), alpha, alpha, seed=source, dtype=self.compute_dtype)
        side = ops.sqrt(1.0 - stays)
        mask, share = self._drawn_mask(data, side, side, seed)
        order = self._drawn_order(data, seed, "int32")
        return {"permutation_order": order, "batch_masks": mask, "mix_weight": 1.0 - share}

    def _cut(self, values, transformation):
        from maas import ops

        mask = ops.convert_to_tensor(transformation["batch_masks"])
        return ops.where(mask, _partners(values, transformation), values)

    def transform_images(self, images, transformation=None, training=True):
        from maas import ops

        images = ops.cast(images, self.compute_dtype)
        return self._cut(images, transformation) if training and transformation is not None else images

    def transform_labels(self, labels, transformation, training=True):
        return _mixed(labels, transformation) if training and transformation is not None else labels

    def transform_segmentation_masks(self, segmentation_masks, transformation, training=True):
        if not training or transformation is None:
            return segmentation_masks
        return self._cut(segmentation_masks, transformation)


class RandomErasing(_Colour, _Box):
    """A rectangle of each image filled with noise or a colour, while training.

    Args:
        factor: number or (lower, upper) in [0, 1]; the probability that an image is changed is drawn from it.
        scale: number or (lower, upper) in [0, 1]; the squares of the rectangle's shares of height and width.
        fill_value: number or one per channel; None: normal noise times the highest value.
        value_range: (lowest, highest) value of a pixel; what is filled in is clipped to it.
        seed: int or None.
        data_format: "channels_last" or "channels_first".

    Raises:
        ValueError: if a factor is out of range.
    Reference: Zhong et al., 2017, "Random erasing data augmentation", arXiv:1708.04896.
    """

    _ARGS = ("factor", "scale", "fill_value", "value_range", "seed")
    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self, factor=1.0, scale=(0.02, 0.33), fill_value=None, value_range=(0, 255), seed=None, data_format=None,
        **kwargs,
    ):  # fmt: skip
        super().__init__(data_format=data_format, **kwargs)
        self._set_factor(factor)
        self.scale = self._range(scale, "scale")
        if isinstance(fill_value, str) or (isinstance(fill_value, (tuple, list)) and len(fill_value) not in (1, 3)):
            raise ValueError(
                f"{self._label()}: `fill_value` must be None, a number or three, received fill_value={fill_value!r}"
            )
        self.fill_value, self.value_range = fill_value, self._checked_range(value_range)
        self._seeded(seed)

    def _filling(self, data, seed):
        from maas import ops, random

        if self.fill_value is None:
            images = self._images_of(data)
            shape = ops.shape(images) if self._is_batched(images) else (1, *ops.shape(images))
            source = self.generator if seed is None else seed
            fill = random.normal(shape, dtype=self.compute_dtype, seed=source) * float(self.value_range[1])
        else:
            fill = ops.reshape(ops.convert_to_tensor(self.fill_value, self.compute_dtype), (1, 1, 1, -1))
            fill = ops.reshape(fill, (1, -1, 1, 1)) if self.data_format == "channels_first" else fill
        return self._clipped(fill)

    def get_random_transformation(self, data, training=True, seed=None):
        from maas import ops

        if not training:
            return None
        shares = ops.sqrt(self._draw(data, *map(float, self.scale), seed, dtype=self.compute_dtype, tail=(2,)))
        mask, _ = self._drawn_mask(data, shares[:, 1], shares[:, 0], seed)
        apply = self._drawn_by_chance(data, seed)
        return {"apply_erasing": apply, "batch_masks": mask, "fill_value": self._filling(data, seed)}

    def transform_images(self, images, transformation=None, training=True):
        from maas import ops

        images = ops.cast(images, self.compute_dtype)
        if not training:
            return images
        erased = ops.logical_and(
            self._per_image(transformation["apply_erasing"], "bool"),
            ops.convert_to_tensor(transformation["batch_masks"]),
        )
        return ops.where(erased, ops.convert_to_tensor(transformation["fill_value"]), images)
