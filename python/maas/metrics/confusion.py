"""Counts of right and wrong decisions, precision and recall."""

from maas import ops
from maas.losses.reduction import divide_no_nan
from maas.metrics.confusion_counts import NEG_INF, evenly_spaced, parse_thresholds, update_confusion_counts
from maas.metrics.metric import Metric


class _Count(Metric):
    """Weighted number of samples of one kind, for each threshold.

    Args:
        thresholds: float or list of float in [0, 1], 0.5 by default.
        name: str.
        dtype: the dtype of the state.
    """

    _kind = None

    def __init__(self, thresholds=None, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.thresholds = parse_thresholds(thresholds, 0.5)
        self._even = evenly_spaced(self.thresholds)
        self.accumulator = self.add_variable((len(self.thresholds),), name="accumulator")

    def update_state(self, y_true, y_pred, sample_weight=None):
        counts = {self._kind: self.accumulator}
        update_confusion_counts(counts, y_true, y_pred, self.thresholds, sample_weight=sample_weight, even=self._even)

    def result(self):
        counts = ops.convert_to_tensor(self.accumulator)
        return counts[0] if len(self.thresholds) == 1 else counts

    def get_config(self):
        return {**super().get_config(), "thresholds": self.init_thresholds}


class TruePositives(_Count):
    """Number of positives found. Arguments: `thresholds=None, name=None, dtype=None`."""

    _kind = "tp"


class FalsePositives(_Count):
    """Number of negatives called positive. Arguments: `thresholds=None, name=None, dtype=None`."""

    _kind = "fp"


class TrueNegatives(_Count):
    """Number of negatives left out. Arguments: `thresholds=None, name=None, dtype=None`."""

    _kind = "tn"


class FalseNegatives(_Count):
    """Number of positives missed. Arguments: `thresholds=None, name=None, dtype=None`."""

    _kind = "fn"


class _Ratio(Metric):
    """`tp / (tp + other)` for each threshold.

    Args:
        thresholds: float or list of float in [0, 1]; 0.5 by default, or none with `top_k`.
        top_k: int or None; the `k` largest predictions of a row count as positive.
        class_id: int or None; look only at this class.
        name: str.
        dtype: the dtype of the state.
    """

    _direction = "up"
    _other = None  # (kind, attribute)

    def __init__(self, thresholds=None, top_k=None, class_id=None, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        self.thresholds = parse_thresholds(thresholds, 0.5 if top_k is None else NEG_INF)
        self._even = evenly_spaced(self.thresholds)
        shape = (len(self.thresholds),)
        self.true_positives = self.add_variable(shape, name="true_positives")
        setattr(self, self._other[1], self.add_variable(shape, name=self._other[1]))

    def update_state(self, y_true, y_pred, sample_weight=None):
        update_confusion_counts(
            {"tp": self.true_positives, self._other[0]: getattr(self, self._other[1])},
            y_true,
            y_pred,
            self.thresholds,
            top_k=self.top_k,
            class_id=self.class_id,
            sample_weight=sample_weight,
            even=self._even,
        )

    def result(self):
        ratio = divide_no_nan(self.true_positives, self.true_positives + getattr(self, self._other[1]))
        return ratio[0] if len(self.thresholds) == 1 else ratio

    def get_config(self):
        config = {"thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return {**super().get_config(), **config}


class Precision(_Ratio):
    """Share of what was called positive that is: `tp / (tp + fp)`.

    Arguments: `thresholds=None, top_k=None, class_id=None, name=None, dtype=None`.
    """

    _other = ("fp", "false_positives")


class Recall(_Ratio):
    """Share of the positives that was found: `tp / (tp + fn)`.

    Arguments: `thresholds=None, top_k=None, class_id=None, name=None, dtype=None`.
    """

    _other = ("fn", "false_negatives")
