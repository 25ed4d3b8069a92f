"""Missing values."""

import numpy as np

from maas import ops
from maas.classical.base import Converter, columns, converts, unsupported


def is_missing(x, value):
    return ops.isnan(x) if isinstance(value, float) and np.isnan(value) else ops.equal(x, float(value))


@converts("impute.SimpleImputer")
class SimpleImputer(Converter):
    def check(self):
        est = self.est
        for what in (*np.ravel(est.statistics_), est.missing_values):
            if not isinstance(what, (int, float, np.number)):
                raise unsupported(est, "supports numbers", what)

    def transform(self, x):
        est = self.est
        values = np.asarray(est.statistics_, "float64")
        y = ops.where(is_missing(x, est.missing_values), self.param("statistics", values), x)
        if not est.keep_empty_features and np.isnan(values).any():
            y = columns(y, np.flatnonzero(~np.isnan(values)))
        if est.add_indicator:
            y = ops.concatenate([y, ops.cast(self.sub(est.indicator_).transform(x), "float64")], axis=-1)
        return y


@converts("impute.MissingIndicator")
class MissingIndicator(Converter):
    """True where a value is missing. Values missing in columns that had all in training are no error here."""

    def transform(self, x):
        est = self.est
        y = is_missing(x, est.missing_values)
        return y if len(est.features_) == est._n_features else columns(y, est.features_)


@converts("impute.KNNImputer")
class KnnImputer(Converter):
    """The mean of the nearest training rows that have the value; distances over what both rows have."""

    def check(self):
        est = self.est
        if est.metric != "nan_euclidean" or est.weights not in ("uniform", "distance"):
            raise unsupported(est, "supports nan_euclidean with weights 'uniform' or 'distance'", est.weights)

    def transform(self, x):
        est = self.est
        fit = np.asarray(est._fit_X, "float64")
        mask = np.asarray(est._mask_fit_X, bool)
        present, n, d = ~mask, *fit.shape
        self.context.holds(n * 3)
        values = np.where(mask, 0.0, fit)
        missing = is_missing(x, est.missing_values)
        here = ops.cast(ops.logical_not(missing), "float64")
        own = ops.where(missing, 0.0, x)
        # |x - p|^2 over the shared columns, scaled up as if there were all of them.
        turned = {k: self.param(k, v) for k, v in (
            ("present", present.T), ("values", values.T), ("squares", (values**2).T))}  # fmt: skip
        shared = ops.matmul(here, turned["present"])
        squares = ops.matmul(own * own, turned["present"]) - 2.0 * ops.matmul(own, turned["values"])
        squares = ops.maximum(squares + ops.matmul(here, turned["squares"]), 0.0)
        none = ops.equal(shared, 0.0)
        distances = ops.where(none, np.inf, ops.sqrt(squares * float(d) / ops.where(none, 1.0, shared)))
        parts = []
        for j in np.flatnonzero(est._valid_mask if not est.keep_empty_features else np.ones(d, bool)):
            if not est._valid_mask[j]:
                parts.append(ops.where(missing[:, j], 0.0, x[:, j]))
                continue
            donors = np.flatnonzero(present[:, j])
            found = self.from_donors(columns(distances, donors), values[donors, j], j)
            parts.append(ops.where(missing[:, j], found, x[:, j]))
        y = ops.stack(parts, axis=-1)
        if est.add_indicator:
            y = ops.concatenate([y, ops.cast(self.sub(est.indicator_).transform(x), "float64")], axis=-1)
        return y

    def from_donors(self, distances, values, j):
        est = self.est
        k = min(est.n_neighbors, len(values))
        far, index = ops.top_k(-distances, k)
        known = ops.isfinite(far)
        if est.weights == "distance":
            met = ops.equal(far, 0.0)
            weights = ops.where(ops.any(met, axis=-1, keepdims=True), ops.cast(met, "float64"),
                                -1.0 / ops.where(ops.logical_or(met, ops.logical_not(known)), -1.0, far))  # fmt: skip
            weights = ops.where(known, weights, 0.0)
        else:
            weights = ops.cast(known, "float64")
        targets = ops.take(self.param(f"donors_{j}", values), index, axis=0)
        total = ops.sum(weights, axis=-1)
        mean = ops.sum(targets * weights, axis=-1) / ops.where(ops.equal(total, 0.0), 1.0, total)
        # Nobody shares a column: the mean of all who have the value.
        return ops.where(ops.equal(total, 0.0), float(values.mean()), mean)
