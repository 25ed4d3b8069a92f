"""k nearest neighbours: products with the training points, then the k best; of equal ones the first comes first."""

import numpy as np

from maas import ops
from maas.classical.base import Classifier, Converter, column, converts, product, text_labels, unsupported

_METRICS = ("euclidean", "sqeuclidean", "manhattan", "chebyshev", "minkowski", "cosine", "precomputed")
_NAMES = {"l2": "euclidean", "l1": "manhattan", "cityblock": "manhattan", "infinity": "chebyshev", "p": "minkowski"}


class Neighbors(Converter):
    def check(self):
        est, metric = self.est, self.metric()
        if metric not in _METRICS or est.effective_metric_params_.get("w") is not None:
            raise unsupported(est, f"supports the metrics {', '.join(_METRICS)} without weights", est.metric)
        if est.weights not in ("uniform", "distance", None):
            raise unsupported(est, "supports weights='uniform' and 'distance'", est.weights)
        if not isinstance(est._fit_X, np.ndarray):
            raise unsupported(est, "supports dense training data", type(est._fit_X).__name__)

    def metric(self):
        name = self.est.effective_metric_
        return _NAMES.get(name, name)

    def nearest(self, x):
        """(indices, weights or None), both (rows, k)."""
        est, k, metric = self.est, self.est.n_neighbors, self.metric()
        points = np.asarray(est._fit_X, "float64")
        self.context.holds(len(points) * (1 if metric in ("euclidean", "sqeuclidean") else points.shape[1]))
        far = None
        if metric in ("euclidean", "sqeuclidean"):
            # -|x - p|^2 without its part that all points share; the norms are one more row of the product.
            turned = np.concatenate([2 * points.T, -np.sum(points**2, axis=1)[None]])
            scores = product(ops.concatenate([x, ops.ones_like(x[:, :1])], axis=1), self.param("points_turned", turned))
            index = ops.top_k(scores, k)[1]
        else:
            distances = self.distances(x, points)
            far, index = ops.top_k(-distances, k)
        if est.weights != "distance":
            return index, None
        if far is None:
            # Differences are exact where a point is met.
            away = x[:, None, :] - ops.take(self.param("points", points), index, axis=0)
            far = -ops.sum(away * away, axis=-1)
            far = -ops.sqrt(-far) if metric == "euclidean" else far
        met = ops.equal(far, 0.0)
        weights = -1.0 / ops.where(met, -1.0, far)
        any_met = ops.any(met, axis=-1, keepdims=True)
        return index, ops.where(any_met, ops.cast(met, "float64"), weights)

    def distances(self, x, points):
        metric = self.metric()
        if metric == "precomputed":
            return x
        if metric == "cosine":
            norms = np.linalg.norm(points, axis=1, keepdims=True)
            unit = points / np.where(norms == 0, 1, norms)
            own = ops.sqrt(ops.sum(x * x, axis=-1, keepdims=True))
            return ops.clip(
                1.0 - product(x / ops.where(ops.equal(own, 0.0), 1.0, own), self.param("unit", unit.T)), 0, 2
            )
        away = ops.abs(x[:, None, :] - self.param("points", points))
        if metric == "manhattan":
            return ops.sum(away, axis=-1)
        if metric == "chebyshev":
            return ops.max(away, axis=-1)
        p = float(self.est.effective_metric_params_["p"])
        return ops.power(ops.sum(ops.power(away, p), axis=-1), 1.0 / p)


@converts("neighbors.KNeighborsRegressor")
class NeighborsRegressor(Neighbors):
    def predict(self, x):
        index, weights = self.nearest(x)
        y = np.asarray(self.est._y, "float64")
        table = self.param("targets", y[:, None] if y.ndim == 1 else y)
        targets = ops.take(table, index, axis=0)
        if weights is None:
            found = ops.mean(targets, axis=1)
        else:
            found = ops.sum(targets * weights[:, :, None], axis=1) / ops.sum(weights, axis=1, keepdims=True)
        return column(found) if y.ndim == 1 else found


@converts("neighbors.KNeighborsClassifier")
class NeighborsClassifier(Neighbors, Classifier):
    def _classes(self):
        return self.est.classes_ if self.est.outputs_2d_ else [self.est.classes_]

    def probabilities(self, x):
        index, weights = self.nearest(x)
        for j, classes in enumerate(self._classes()):
            y = self.est._y[:, j] if self.est.outputs_2d_ else np.ravel(self.est._y)
            votes = ops.take(self.param(f"votes_{j}", np.eye(len(classes))[y]), index, axis=0)
            sums = ops.sum(votes if weights is None else votes * weights[:, :, None], axis=1)
            yield sums / ops.sum(sums, axis=-1, keepdims=True)

    def predict_proba(self, x):
        found = list(self.probabilities(x))
        return found if self.est.outputs_2d_ else found[0]

    def predict(self, x):
        found = [
            self.labels(ops.argmax(p, axis=-1), c, f"classes_{j}")
            for j, (p, c) in enumerate(zip(self.probabilities(x), self._classes()))
        ]
        return ops.stack(found, axis=-1) if self.est.outputs_2d_ else found[0]

    def classes(self):
        return [text_labels(c) for c in self._classes()]


@converts("neighbors.NearestCentroid")
class NearestCentroid(Classifier):
    def check(self):
        est = self.est
        if est.metric not in ("euclidean", "manhattan"):
            raise unsupported(est, "supports the metrics euclidean and manhattan", est.metric)
        priors = getattr(est, "class_prior_", None)
        if priors is not None and not np.allclose(priors, priors[0]):
            raise unsupported(est, "supports equal priors", list(priors))

    def functions(self):
        return ["predict"]

    def predict_index(self, x):
        centers = self.est.centroids_
        if self.est.metric == "manhattan":
            return ops.argmin(ops.sum(ops.abs(x[:, None, :] - self.param("centroids", centers)), axis=-1), axis=-1)
        return ops.argmax(product(x, self.param("centroids", 2 * centers.T)) - np.sum(centers**2, axis=1), axis=-1)
