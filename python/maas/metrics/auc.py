"""Area under the ROC, precision-recall or precision-recall-gain curve, by a Riemann sum over thresholds."""

import numpy as np

from maas import backend, ops
from maas.losses.reduction import divide_no_nan
from maas.metrics.confusion_counts import evenly_spaced, update_confusion_counts
from maas.metrics.metric import Metric
from maas.saving.load_budget import count_state

CURVES = ("ROC", "PR", "PRGAIN")
SUMMATIONS = ("interpolation", "majoring", "minoring")
_LIST_ITEM = 32  # bytes of a float in a list


def _choose(name, value, allowed):
    value = getattr(value, "value", value)
    for choice in allowed:
        if str(value).lower() == choice.lower():
            return choice
    raise ValueError(f"AUC: {name} must be one of {allowed}, received {name}={value!r}")


class AUC(Metric):
    """Approximate area under a curve of decisions at all thresholds.

    Args:
        num_thresholds: int > 1, the number of points of the curve.
        curve: `"ROC"`, `"PR"` or `"PRGAIN"`.
        summation_method: `"interpolation"`, `"minoring"` or `"majoring"`.
        name: str.
        dtype: the dtype of the state.
        thresholds: list of float in [0, 1] or None; replaces the even grid, 0 and 1 are added.
        multi_label: bool; one curve per entry of the last axis, then the (weighted) mean.
        num_labels: int or None; with `multi_label`, makes the state at once.
        label_weights: list of float or None.
        from_logits: bool; applies a sigmoid first.

    Reference: Davis and Goadrich, 2006, "The Relationship Between Precision-Recall and ROC Curves" (interpolation);
    Flach and Kull, 2015, "Precision-Recall-Gain Curves".
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds=200,
        curve="ROC",
        summation_method="interpolation",
        name=None,
        dtype=None,
        thresholds=None,
        multi_label=False,
        num_labels=None,
        label_weights=None,
        from_logits=False,
    ):
        super().__init__(name=name, dtype=dtype)
        self.curve = _choose("curve", curve, CURVES)
        self.summation_method = _choose("summation_method", summation_method, SUMMATIONS)
        self._init_from_thresholds = thresholds is not None
        if thresholds is not None:
            inner = sorted(thresholds)
            self._even = evenly_spaced([0.0, *inner, 1.0])
        elif num_thresholds <= 1:
            raise ValueError(f"AUC: num_thresholds must be an int > 1, received num_thresholds={num_thresholds}")
        else:
            count_state(num_thresholds, _LIST_ITEM, f"metric '{self.name}'")
            inner = [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)]
            self._even = True
        self.num_thresholds = len(inner) + 2
        # Beyond [0, 1], so that the first threshold takes all and the last none.
        self._thresholds = np.array([-backend.epsilon(), *inner, 1.0 + backend.epsilon()])
        if num_labels and not multi_label:
            raise ValueError(f"AUC: num_labels is for multi_label=True only, received num_labels={num_labels}")
        self.multi_label, self.num_labels = multi_label, num_labels
        self.label_weights = label_weights
        if label_weights is not None:
            self.label_weights = np.asarray(label_weights, backend.numpy_dtype(self.dtype))
        self._from_logits = from_logits
        self._built = False
        if not multi_label:
            self._build(None)
        elif num_labels:
            self._build((None, num_labels))

    @property
    def thresholds(self):
        """The thresholds, with the two added ones."""
        return list(self._thresholds)

    def _build(self, shape):
        state = (self.num_thresholds,)
        if self.multi_label:
            if len(shape) != 2:
                raise ValueError(f"AUC: multi_label needs y_pred of rank 2, received shape {tuple(shape)}")
            state = (self.num_thresholds, shape[1])
        self.true_positives = self.add_variable(state, name="true_positives")
        self.false_positives = self.add_variable(state, name="false_positives")
        self.true_negatives = self.add_variable(state, name="true_negatives")
        self.false_negatives = self.add_variable(state, name="false_negatives")
        self._built = True

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_pred = ops.convert_to_tensor(y_pred)
        if not self._built:
            self._build(y_pred.shape)
        if self._from_logits:
            y_pred = ops.sigmoid(y_pred)
        counts = {
            "tp": self.true_positives,
            "fp": self.false_positives,
            "tn": self.true_negatives,
            "fn": self.false_negatives,
        }
        update_confusion_counts(
            counts,
            y_true,
            y_pred,
            self.thresholds,
            sample_weight=sample_weight,
            multi_label=self.multi_label,
            label_weights=None if self.multi_label else self.label_weights,
            even=self._even,
        )

    def result(self):
        tp, fp = ops.convert_to_tensor(self.true_positives), ops.convert_to_tensor(self.false_positives)
        tn, fn = ops.convert_to_tensor(self.true_negatives), ops.convert_to_tensor(self.false_negatives)
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self._mean_of_labels(_interpolated_pr(tp, fp, fn))
        recall = divide_no_nan(tp, tp + fn)
        if self.curve == "ROC":
            x, y = divide_no_nan(fp, fp + tn), recall
        elif self.curve == "PR":
            x, y = recall, divide_no_nan(tp, tp + fp)
        else:
            x, y = _gains(tp, fp, tn, fn)
        left, right = y[:-1], y[1:]
        if self.summation_method == "interpolation":
            heights = (left + right) / 2.0
        elif self.summation_method == "minoring":
            heights = ops.minimum(left, right)
        else:
            heights = ops.maximum(left, right)
        return self._mean_of_labels((x[:-1] - x[1:]) * heights)

    def _mean_of_labels(self, terms):
        if not self.multi_label:
            return ops.sum(terms)
        areas = ops.sum(terms, axis=0)
        if self.label_weights is None:
            return ops.mean(areas)
        return ops.sum(areas * self.label_weights) / float(self.label_weights.sum())

    def reset_state(self):
        if self._built:
            super().reset_state()

    def get_config(self):
        config = {
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": None if self.label_weights is None else self.label_weights.tolist(),
            "from_logits": self._from_logits,
        }
        if self._init_from_thresholds:
            config["thresholds"] = [float(t) for t in self._thresholds[1:-1]]
        return {**super().get_config(), **config}


def _interpolated_pr(tp, fp, fn):
    """Area of each step under the curve on which tp grows linearly with tp + fp between two thresholds."""
    found = tp + fp
    d_tp, d_found = tp[:-1] - tp[1:], found[:-1] - found[1:]
    slope = divide_no_nan(d_tp, ops.maximum(d_found, 0.0))
    intercept = tp[1:] - slope * found[1:]
    both = ops.logical_and(ops.greater(found[:-1], 0.0), ops.greater(found[1:], 0.0))
    ratio = divide_no_nan(found[:-1], ops.maximum(found[1:], 0.0))
    ratio = ops.where(both, ratio, ops.ones_like(ratio))
    return divide_no_nan(slope * (d_tp + intercept * ops.log(ratio)), ops.maximum(tp[1:] + fn[1:], 0.0))


def _gains(tp, fp, tn, fn):
    """(recall gain, precision gain)."""
    odds = divide_no_nan(tp + fn, tn + fp)
    none = ops.equal(tp, 0.0)
    recall_gain = ops.where(none, ops.zeros_like(tp), 1.0 - odds * divide_no_nan(fn, tp))
    precision_gain = ops.where(none, ops.ones_like(tp), 1.0 - odds * divide_no_nan(fp, tp))
    return ops.maximum(recall_gain, 0.0), precision_gain
