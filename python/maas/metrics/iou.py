"""Intersection over union of classes, for segmentation."""

import warnings

from maas import backend, ops
from maas.metrics.metric import Metric


class IoU(Metric):
    """Mean of `tp / (tp + fp + fn)` over some classes, from the confusion matrix of all batches.

    Args:
        num_classes: int.
        target_class_ids: list of ints, the classes whose mean is taken; classes that never occur do not count.
        name: str.
        dtype: the dtype of the confusion matrix, int32 by default; weights that are not whole need a floating one.
        ignore_class: int or None, samples of this class do not count.
        sparse_y_true, sparse_y_pred: bool, whether class numbers are given; else the largest along `axis` counts.
        axis: int, the axis of the classes.

    Raises:
        ValueError: if a target class is out of range.
    """

    _direction = "up"

    def __init__(
        self, num_classes, target_class_ids, name=None, dtype=None, ignore_class=None, sparse_y_true=True,
        sparse_y_pred=True, axis=-1,
    ):  # fmt: skip
        super().__init__(name=name, dtype=dtype or "int32")
        self.num_classes, self.target_class_ids = num_classes, list(target_class_ids)
        self.ignore_class, self.axis = ignore_class, axis
        self.sparse_y_true, self.sparse_y_pred = sparse_y_true, sparse_y_pred
        if not self.target_class_ids or not all(0 <= int(i) < num_classes for i in self.target_class_ids):
            raise ValueError(
                f"{type(self).__name__}: target_class_ids must be in [0, {num_classes}), received {target_class_ids}"
            )
        self.total_cm = self.add_variable((num_classes, num_classes), name="total_confusion_matrix")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch. Samples whose target or prediction is no class number are left out."""
        y_true = y_true if self.sparse_y_true else ops.argmax(y_true, axis=self.axis)
        y_pred = y_pred if self.sparse_y_pred else ops.argmax(y_pred, axis=self.axis)
        y_true, y_pred = (ops.reshape(ops.cast(y, self.dtype), (-1,)) for y in (y_true, y_pred))
        weight = 1 if sample_weight is None else ops.convert_to_tensor(sample_weight)
        if sample_weight is not None:
            if "float" in weight.dtype and "int" in self.dtype:
                warnings.warn(
                    f"{self.name}: weights are floats and become integers; pass dtype='float32' to the metric",
                    stacklevel=3,
                )
            weight = ops.cast(weight, self.dtype)
            weight = ops.reshape(weight, (-1,)) if len(weight.shape) > 1 else weight
        weight = ops.broadcast_to(ops.cast(weight, self.dtype), ops.shape(y_true))
        counts = ops.ones_like(y_true, dtype="bool")
        for y in (y_true, y_pred):
            inside = ops.logical_and(ops.greater_equal(y, 0), ops.less(y, self.num_classes))
            counts = ops.logical_and(counts, inside)
        if self.ignore_class is not None:
            counts = ops.logical_and(counts, ops.not_equal(y_true, self.ignore_class))
        places = ops.stack([ops.cast(ops.where(counts, y, 0), "int32") for y in (y_true, y_pred)], axis=1)
        weight = ops.where(counts, weight, 0)
        shape = (self.num_classes, self.num_classes)
        self.total_cm.assign(self.total_cm + ops.cast(ops.scatter(places, weight, shape), self.dtype))

    def result(self):
        matrix = ops.convert_to_tensor(self.total_cm)
        both = ops.diagonal(matrix)
        union = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1) - both
        chosen = ops.convert_to_tensor(self.target_class_ids, dtype="int32")
        both, union = (ops.cast(ops.take(x, chosen), "float32") for x in (both, union))
        occurs = ops.greater(union, 1e-9)
        share = ops.where(occurs, both / (union + backend.epsilon()), 0.0)
        return ops.sum(share) / (ops.sum(ops.cast(occurs, "float32")) + backend.epsilon())

    _options = "num_classes target_class_ids ignore_class sparse_y_true sparse_y_pred axis"

    def get_config(self):
        return {**super().get_config(), **{n: getattr(self, n) for n in self._options.split()}}


class BinaryIoU(IoU):
    """`IoU` of the two classes that a threshold makes of probabilities.

    Args:
        target_class_ids: list of 0 and 1.
        threshold: float; predictions from it on are class 1.
        name, dtype: as for `IoU`.
    """

    _options = "target_class_ids threshold"

    def __init__(self, target_class_ids=(0, 1), threshold=0.5, name=None, dtype=None):
        super().__init__(2, target_class_ids, name=name, dtype=dtype)
        self.threshold = threshold

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_pred = ops.greater_equal(ops.convert_to_tensor(y_pred, dtype="float32"), self.threshold)
        super().update_state(y_true, y_pred, sample_weight)


class MeanIoU(IoU):
    """`IoU` of all classes.

    Args:
        num_classes, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis: as for `IoU`.
    """

    _options = "num_classes ignore_class sparse_y_true sparse_y_pred axis"

    def __init__(
        self, num_classes, name=None, dtype=None, ignore_class=None, sparse_y_true=True, sparse_y_pred=True, axis=-1
    ):
        super().__init__(num_classes, range(num_classes), name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)


class OneHotIoU(IoU):
    """`IoU` of targets that are one-hot rows, and of scores per class unless `sparse_y_pred`.

    Args:
        num_classes, target_class_ids, name, dtype, ignore_class, sparse_y_pred, axis: as for `IoU`.
    """

    _options = "num_classes target_class_ids ignore_class sparse_y_pred axis"

    def __init__(
        self, num_classes, target_class_ids, name=None, dtype=None, ignore_class=None, sparse_y_pred=False, axis=-1
    ):
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of targets that are one-hot rows, and of scores per class unless `sparse_y_pred`.

    Args:
        num_classes, name, dtype, ignore_class, sparse_y_pred, axis: as for `IoU`.
    """

    _options = "num_classes ignore_class sparse_y_pred axis"

    def __init__(self, num_classes, name=None, dtype=None, ignore_class=None, sparse_y_pred=False, axis=-1):
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)
