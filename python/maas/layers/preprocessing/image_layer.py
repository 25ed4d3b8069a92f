"""`ImageLayer`: the base of layers that change images, alone or together with their labels, boxes and masks."""

from maas.layers.layer import Layer
from maas.layers.options import standardize_data_format


class ImageLayer(Layer):
    """Base of image preprocessing layers.

    The input is a batch of images, one image, or a dict with "images" and any of "labels", "bounding_boxes" and
    "segmentation_masks", which change together. Subclasses define `get_random_transformation(data, training, seed)`
    and `transform_images(images, transformation, training)`.

    Args:
        bounding_box_format: str such as "xyxy", needed for data with "bounding_boxes"; only for layers that know what
            becomes of boxes.
        data_format: "channels_last" or "channels_first".
    """

    # Names of the arguments of the class that are attributes of the same name; its config.
    _ARGS = ()
    _FACTOR_BOUNDS = (-1, 1)

    def __init__(self, bounding_box_format=None, data_format=None, **kwargs):
        super().__init__(**kwargs)
        if bounding_box_format is not None:
            self._check_boxes(f"bounding_box_format={bounding_box_format!r}")
        self.bounding_box_format = bounding_box_format
        self.data_format = standardize_data_format(data_format, self._label())
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True

    def _seeded(self, seed):
        """Keep a seed; the generator is state that models save."""
        from maas.random import SeedGenerator

        self.seed = seed
        self.generator = SeedGenerator(seed)

    def _set_factor(self, factor):
        self.factor = self._range(factor, "factor")

    def _range(self, factor, name):
        """(lower, upper) of a number or two in the class's bounds; a number alone is `upper`, and `-upper` below."""
        low, high = self._FACTOR_BOUNDS
        text = (
            f"{self._label()}: `{name}` must be a number or two numbers in [{low}, {high}], received {name}={factor!r}"
        )
        if isinstance(factor, (tuple, list)):
            if len(factor) != 2 or factor[0] > high or factor[1] < low:
                raise ValueError(text)
            return tuple(sorted(factor))
        if isinstance(factor, (int, float)) and not isinstance(factor, bool):
            if not low <= factor <= high:
                raise ValueError(text)
            return max(-abs(factor), low), abs(factor)
        raise ValueError(text)

    def _set_value_range(self, value_range):
        self.value_range = sorted(self._checked_range(value_range))

    def _checked_range(self, value_range):
        if not isinstance(value_range, (tuple, list)) or len(value_range) != 2:
            raise ValueError(f"{self._label()}: `value_range` must be two numbers, received {value_range!r}")
        return value_range

    # ---- what subclasses change

    def get_random_transformation(self, data, training=True, seed=None):
        """What is drawn once for images, labels, boxes and masks."""
        return None

    def transform_images(self, images, transformation, training=True):
        raise NotImplementedError(f"{self._label()}: the class does not implement `transform_images()`")

    def transform_labels(self, labels, transformation, training=True):
        return labels

    def transform_bounding_boxes(self, bounding_boxes, transformation, training=True):
        raise NotImplementedError(
            f"{self._label()}: the class does not move bounding boxes, received {type(bounding_boxes).__name__}"
        )

    def transform_segmentation_masks(self, segmentation_masks, transformation, training=True):
        return segmentation_masks

    def _check_boxes(self, received):
        """ValueError if the class does not know what becomes of boxes."""
        if type(self).transform_bounding_boxes is ImageLayer.transform_bounding_boxes:
            raise ValueError(f"{self._label()}: the class does not move bounding boxes, received {received}")

    def _moved_boxes(self, bounding_boxes, before, after, move):
        """Boxes of images of the size `before` in images of the size `after`, clipped to them.

        `move(boxes) -> boxes` works on corners in pixels.
        """
        from maas.utils.bounding_boxes import clip_to_image_size, convert_format

        form = self.bounding_box_format
        found = convert_format(bounding_boxes, form, "xyxy", *before)
        found = clip_to_image_size({**found, "boxes": move(found["boxes"])}, *after)
        return convert_format(found, "xyxy", form, *after)

    def _size_in(self, transformation):
        """(height, width) of the images of a transformation."""
        if "size" in transformation:
            return transformation["size"]
        shape = transformation["input_shape"]
        return tuple(shape[-3:-1]) if self.data_format == "channels_last" else tuple(shape[-2:])

    # ---- one image

    def _alone(self, method, value, transformation, training):
        from maas import ops, tree

        batch = tree.map_structure(lambda x: ops.expand_dims(ops.convert_to_tensor(x), 0), value)
        out = method(batch, transformation=transformation, training=training)
        return tree.map_structure(lambda x: ops.squeeze(x, 0), out)

    def transform_single_image(self, image, transformation, training=True):
        """`transform_images` for one image."""
        return self._alone(self.transform_images, image, transformation, training)

    def transform_single_label(self, label, transformation, training=True):
        """`transform_labels` for one label."""
        return self._alone(self.transform_labels, label, transformation, training)

    def transform_single_bounding_box(self, bounding_box, transformation, training=True):
        """`transform_bounding_boxes` for the boxes of one image."""
        return self._alone(self.transform_bounding_boxes, bounding_box, transformation, training)

    def transform_single_segmentation_mask(self, segmentation_mask, transformation, training=True):
        """`transform_segmentation_masks` for one mask."""
        return self._alone(self.transform_segmentation_masks, segmentation_mask, transformation, training)

    # ---- helpers

    def _images_of(self, data):
        return data["images"] if isinstance(data, dict) else data

    def _is_batched(self, images):
        if len(images.shape) not in (3, 4):
            raise ValueError(
                f"{self._label()}: images must have 3 or 4 axes (one image or a batch), received shape "
                f"{tuple(images.shape)}"
            )
        return len(images.shape) == 4

    def _batch_size(self, data):
        """Number of images, as a size for random draws."""
        from maas import ops

        images = self._images_of(data)
        return ops.shape(images)[0] if self._is_batched(images) else 1

    def _size(self, data):
        """(height, width) as sizes."""
        from maas import ops

        sizes = ops.shape(self._images_of(data))
        return tuple(sizes[-3:-1]) if self.data_format == "channels_last" else tuple(sizes[-2:])

    def _draw(self, data, minval=0.0, maxval=1.0, seed=None, ones=0, dtype="float32", tail=()):
        """Uniform numbers, one per image: shape (batch, 1, ..., *tail) with `ones` axes of 1."""
        from maas import random

        shape = (self._batch_size(data), *(1,) * ones, *tail)
        return random.uniform(shape, minval, maxval, dtype=dtype, seed=self.generator if seed is None else seed)

    def _drawn_by_chance(self, data, seed):
        """bool per image: true with a probability that is drawn from `factor`."""
        probability = self._draw(data, *map(float, self.factor), seed)
        return self._draw(data, seed=seed) < probability

    def _per_image(self, value, dtype=None):
        """(batch,) as (batch, 1, 1, 1) in the compute dtype."""
        from maas import ops

        return ops.reshape(ops.cast(ops.convert_to_tensor(value), dtype or self.compute_dtype), (-1, 1, 1, 1))

    # ---- call

    def call(self, data, training=True):
        from maas import ops, tree

        if not isinstance(data, dict):
            data = ops.convert_to_tensor(data)
            self._is_batched(data)
            transformation = self.get_random_transformation(data, training=training)
            run = self.transform_images if self._is_batched(data) else self.transform_single_image
            return run(data, transformation=transformation, training=training)
        data = {k: tree.map_structure(ops.convert_to_tensor, v) for k, v in data.items()}
        if "images" not in data:
            raise ValueError(f"{self._label()}: a dict must have the key 'images', received {sorted(data)}")
        if "bounding_boxes" in data:
            self._check_boxes(f"data with the keys {sorted(data)}")
        if "bounding_boxes" in data and not self.bounding_box_format:
            raise ValueError(
                f"{self._label()}: data with 'bounding_boxes' need the argument `bounding_box_format`, such as "
                f"bounding_box_format='xyxy', received None"
            )
        batched = self._is_batched(data["images"])
        transformation = self.get_random_transformation(data, training=training)
        methods = {
            "images": (self.transform_images, self.transform_single_image),
            "labels": (self.transform_labels, self.transform_single_label),
            "bounding_boxes": (self.transform_bounding_boxes, self.transform_single_bounding_box),
            "segmentation_masks": (self.transform_segmentation_masks, self.transform_single_segmentation_mask),
        }
        for key, (many, one) in methods.items():
            if key in data:
                run = many if batched else one
                data[key] = run(data[key], transformation=transformation, training=training)
        return data

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = {**super().get_config(), **{name: getattr(self, name) for name in self._ARGS}}
        config["data_format"] = self.data_format
        if self.bounding_box_format is not None:
            config["bounding_box_format"] = self.bounding_box_format
        return config

    # ---- value ranges

    def _to_range(self, images, old, new):
        """Values of the range `old` mapped to the range `new`."""
        from maas import ops

        if tuple(old) == tuple(new):
            return images
        images = (ops.cast(images, "float32") - float(old[0])) / (float(old[1]) - float(old[0]))
        return images * (float(new[1]) - float(new[0])) + float(new[0])
