"""k-means and mixtures of normal distributions."""

import numpy as np

from maas import ops
from maas.classical.base import Converter, converts, product, unsupported


@converts("cluster.KMeans", "cluster.MiniBatchKMeans")
class KMeans(Converter):
    def nearer(self, x):
        """|c|^2 - 2 x c: the squared distances without what all centres share."""
        centers = np.asarray(self.est.cluster_centers_, "float64")
        return self.param("norms", np.sum(centers**2, axis=1)) - product(x, self.param("centers", 2 * centers.T))

    def predict(self, x):
        return ops.argmin(self.nearer(x), axis=-1)

    def transform(self, x):
        return ops.sqrt(ops.maximum(self.nearer(x) + ops.sum(x * x, axis=-1, keepdims=True), 0.0))


@converts("mixture.GaussianMixture")
class GaussianMixture(Converter):
    def joint(self, x):
        """log p(component) + log p(x | component)."""
        est, parts, logs = self.est, [], []
        kind, d = est.covariance_type, est.means_.shape[1]
        for k, mean in enumerate(est.means_):
            away = x - self.param(f"mean_{k}", mean)
            if kind in ("full", "tied"):
                root = est.precisions_cholesky_ if kind == "tied" else est.precisions_cholesky_[k]
                away = product(away, self.param("root" if kind == "tied" else f"root_{k}", root))
                logs.append(np.sum(np.log(np.diagonal(root))))
            else:
                root = np.broadcast_to(est.precisions_cholesky_[k], d)
                away = away * self.param(f"root_{k}", root)
                logs.append(np.sum(np.log(root)))
            parts.append(ops.sum(away * away, axis=-1))
        base = np.log(est.weights_) + np.array(logs) - 0.5 * d * np.log(2 * np.pi)
        return self.param("base", base) - 0.5 * ops.stack(parts, axis=-1)

    def check(self):
        if self.est.covariance_type not in ("full", "tied", "diag", "spherical"):
            raise unsupported(self.est, "supports full, tied, diag and spherical", self.est.covariance_type)

    def predict(self, x):
        return ops.cast(ops.argmax(self.joint(x), axis=-1), "int64")

    def predict_proba(self, x):
        return ops.softmax(self.joint(x), axis=-1)
