"""Calibrated probabilities."""

import numpy as np

from maas import ops
from maas.classical.base import Classifier, column, converts, normalized, two, unsupported


@converts("calibration.CalibratedClassifierCV")
class CalibratedClassifier(Classifier):
    """The mean over the parts; each turns scores into probabilities, class by class."""

    def check(self):
        methods = {c.method for c in self.est.calibrated_classifiers_}
        if not methods <= {"sigmoid", "isotonic", "temperature"}:
            raise unsupported(self.est, "supports sigmoid, isotonic and temperature", methods)

    def predict_proba(self, x):
        parts = self.est.calibrated_classifiers_
        y = 0.0
        for i, part in enumerate(parts):
            y = y + self.calibrated(part, x, i)
        return y / float(len(parts))

    def calibrated(self, part, x, i):
        sub, n = self.sub(part.estimator), len(part.classes)
        by_score = "decision_function" in sub.functions()
        scores = sub.decision_function(x) if by_score else sub.predict_proba(x)
        if not by_score and n == 2:
            scores = scores[:, 1]
        scores = scores[:, None] if len(scores.shape) == 1 else scores
        if part.method == "temperature":
            return self.tempered(part.calibrators[0], scores, by_score, n)
        found = [self.one(c, scores[:, k], f"{i}_{k}") for k, c in enumerate(part.calibrators)]
        if n == 2:
            y = two(found[0])
        else:
            places = {int(np.flatnonzero(part.classes == c)[0]): k for k, c in enumerate(part.estimator.classes_)}
            y = ops.stack([found[places[k]] if k in places else ops.zeros_like(found[0]) for k in range(n)], axis=-1)
            y = normalized(y)
        return ops.where(ops.logical_and(ops.greater(y, 1.0), ops.less_equal(y, 1.0 + 1e-5)), 1.0, y)

    def one(self, calibrator, scores, name):
        if hasattr(calibrator, "a_"):
            return ops.sigmoid(-(float(calibrator.a_) * scores + float(calibrator.b_)))
        return self.sub(calibrator).predict(scores)

    @staticmethod
    def tempered(calibrator, scores, by_score, n):
        # Logarithms of probabilities, or scores as they are.
        if by_score:
            logits = ops.concatenate([-scores, scores], axis=-1) if n == 2 else scores
        else:
            p = two(column(scores)) if n == 2 else scores
            logits = ops.log(p + 1e-12)
        return ops.softmax(float(calibrator.beta_) * logits, axis=-1)
