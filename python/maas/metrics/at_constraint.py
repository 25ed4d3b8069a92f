"""The best of one ratio while another is at least a given value, over a grid of thresholds."""

from maas import ops
from maas.losses.reduction import divide_no_nan
from maas.metrics.confusion_counts import update_confusion_counts
from maas.metrics.metric import Metric
from maas.saving.load_budget import count_state

_LIST_ITEM = 32  # bytes of a float in a list


class _AtConstraint(Metric):
    """Keeps the four counts at `num_thresholds` even thresholds."""

    _direction = "up"
    _argument = None

    def __init__(self, value, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        if num_thresholds <= 0:
            raise ValueError(f"num_thresholds must be an int > 0, received num_thresholds={num_thresholds}")
        if value < 0 or value > 1:
            raise ValueError(f"{self._argument} must be in [0, 1], received {self._argument}={value}")
        self.value, self.num_thresholds, self.class_id = value, num_thresholds, class_id
        setattr(self, self._argument, value)
        n = num_thresholds
        count_state(n, _LIST_ITEM, f"metric '{self.name}'")
        self.thresholds = [0.5] if n == 1 else [i / (n - 1) for i in range(n)]
        shape = (n,)
        self.true_positives = self.add_variable(shape, name="true_positives")
        self.false_positives = self.add_variable(shape, name="false_positives")
        self.true_negatives = self.add_variable(shape, name="true_negatives")
        self.false_negatives = self.add_variable(shape, name="false_negatives")

    def update_state(self, y_true, y_pred, sample_weight=None):
        counts = {
            "tp": self.true_positives,
            "fp": self.false_positives,
            "tn": self.true_negatives,
            "fn": self.false_negatives,
        }
        even = self.num_thresholds > 1
        update_confusion_counts(
            counts, y_true, y_pred, self.thresholds, class_id=self.class_id, sample_weight=sample_weight, even=even
        )

    def _best(self, constrained, wanted):
        return ops.max(ops.where(ops.greater_equal(constrained, self.value), wanted, ops.zeros_like(wanted)))

    def _recall(self):
        return divide_no_nan(self.true_positives, self.true_positives + self.false_negatives)

    def _precision(self):
        return divide_no_nan(self.true_positives, self.true_positives + self.false_positives)

    def _specificity(self):
        return divide_no_nan(self.true_negatives, self.true_negatives + self.false_positives)

    def get_config(self):
        config = {"num_thresholds": self.num_thresholds, self._argument: self.value, "class_id": self.class_id}
        return {**super().get_config(), **config}


class SensitivityAtSpecificity(_AtConstraint):
    """Best recall of positives while the recall of negatives is at least `specificity`."""

    _argument = "specificity"

    def __init__(self, specificity, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(specificity, num_thresholds, class_id, name, dtype)

    def result(self):
        return self._best(self._specificity(), self._recall())


class SpecificityAtSensitivity(_AtConstraint):
    """Best recall of negatives while the recall of positives is at least `sensitivity`."""

    _argument = "sensitivity"

    def __init__(self, sensitivity, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)

    def result(self):
        return self._best(self._recall(), self._specificity())


class PrecisionAtRecall(_AtConstraint):
    """Best precision while the recall is at least `recall`."""

    _argument = "recall"

    def __init__(self, recall, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(recall, num_thresholds, class_id, name, dtype)

    def result(self):
        return self._best(self._recall(), self._precision())


class RecallAtPrecision(_AtConstraint):
    """Best recall while the precision is at least `precision`."""

    _argument = "precision"

    def __init__(self, precision, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(precision, num_thresholds, class_id, name, dtype)

    def result(self):
        return self._best(self._precision(), self._recall())
