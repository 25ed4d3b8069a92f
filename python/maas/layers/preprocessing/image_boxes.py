"""MaxNumBoundingBoxes."""

from maas.layers.options import check_positive
from maas.layers.preprocessing.image_layer import ImageLayer


class MaxNumBoundingBoxes(ImageLayer):
    """Exactly `max_number` boxes and labels per image: later ones are dropped, missing ones filled up.

    Args:
        max_number: int.
        fill_value: int, for coordinates and labels of boxes that are not there.
        bounding_box_format: str; boxes are not changed, so any will do.
    """

    _ARGS = ("max_number", "fill_value")

    def __init__(self, max_number, fill_value=-1, **kwargs):
        super().__init__(**kwargs)
        self.max_number = check_positive(max_number, "max_number", self._label())
        self.fill_value = int(fill_value)

    def transform_images(self, images, transformation=None, training=True):
        return images

    def transform_bounding_boxes(self, bounding_boxes, transformation, training=True):
        return {key: self._exactly(value) for key, value in bounding_boxes.items()}

    def _exactly(self, value):
        from maas import ops

        value = ops.convert_to_tensor(value)
        missing = max(self.max_number - value.shape[1], 0)
        padding = [(0, 0), (0, missing), *[(0, 0)] * (len(value.shape) - 2)]
        value = value[:, : self.max_number]
        return ops.pad(value, padding, constant_values=self.fill_value) if missing else value

    def compute_output_shape(self, input_shape):
        if not isinstance(input_shape, dict) or "bounding_boxes" not in input_shape:
            return input_shape
        boxes = {k: (s[0], self.max_number, *s[2:]) for k, s in input_shape["bounding_boxes"].items()}
        return {**input_shape, "bounding_boxes": boxes}
