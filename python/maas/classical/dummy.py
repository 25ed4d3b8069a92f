"""Answers that do not look at x."""

import numpy as np

from maas import ops
from maas.classical.base import Classifier, Converter, converts, unsupported


class Blind(Converter):
    features = None

    def takes(self):
        return "all"

    def rows_of(self, x, row, name):
        """`row` (n,) for every row of x: (rows, n)."""
        return ops.zeros_like(x[:, :1], dtype="float64") * 0.0 + self.param(name, row)


@converts("dummy.DummyRegressor")
class DummyRegressor(Blind):
    def predict(self, x):
        values = np.ravel(np.asarray(self.est.constant_, "float64"))
        y = self.rows_of(ops.isnan(x), values, "constant")
        return y[:, 0] if self.est.n_outputs_ == 1 else y


@converts("dummy.DummyClassifier")
class DummyClassifier(Blind, Classifier):
    def check(self):
        est = self.est
        if est._strategy in ("stratified", "uniform"):
            raise unsupported(
                est, "supports the strategies prior, most_frequent and constant, no random ones", est._strategy
            )
        if est.n_outputs_ > 1:
            raise unsupported(est, "supports one output", est.n_outputs_)

    def row(self):
        est = self.est
        if est._strategy == "prior":
            return est.class_prior_
        if est._strategy == "constant":
            return (est.classes_ == np.ravel(est.constant)[0]).astype("float64")
        return np.eye(len(est.classes_))[np.argmax(est.class_prior_)]

    def predict_proba(self, x):
        return self.rows_of(ops.isnan(x), self.row(), "probabilities")
