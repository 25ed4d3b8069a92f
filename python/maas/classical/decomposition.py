"""Transforms that are one product: principal components and their kin."""

import numpy as np

from maas.classical.base import Converter, converts, product, unsupported


class Projection(Converter):
    def project(self, x, w, mean=None):
        if mean is not None and np.any(mean):
            x = x - self.param("mean", mean)
        return product(x, self.param("components", np.asarray(w)))


@converts("decomposition.PCA", "decomposition.IncrementalPCA")
class Pca(Projection):
    def transform(self, x):
        est, w = self.est, self.est.components_.T
        if est.whiten:
            scale = np.sqrt(est.explained_variance_)
            smallest = np.finfo(scale.dtype).eps
            w = w / np.where(scale < smallest, smallest, scale)
        return self.project(x, w, est.mean_)


@converts("decomposition.TruncatedSVD")
class TruncatedSvd(Projection):
    def transform(self, x):
        return self.project(x, self.est.components_.T)


@converts("random_projection.GaussianRandomProjection", "random_projection.SparseRandomProjection")
class RandomProjection(Projection):
    def transform(self, x):
        w = self.est.components_
        return self.project(x, (w.toarray() if hasattr(w, "toarray") else w).T)


@converts("decomposition.FastICA")
class FastIca(Projection):
    def transform(self, x):
        return self.project(x, self.est.components_.T, self.est.mean_ if self.est.whiten else None)


@converts("decomposition.FactorAnalysis")
class FactorAnalysis(Projection):
    def transform(self, x):
        est = self.est
        scaled = est.components_ / est.noise_variance_
        inverse = np.linalg.inv(np.eye(len(est.components_)) + scaled @ est.components_.T)
        return self.project(x, scaled.T @ inverse, est.mean_)


@converts("cross_decomposition.PLSRegression", "cross_decomposition.PLSCanonical", "cross_decomposition.CCA")
class Pls(Projection):
    def check(self):
        if np.ndim(self.est.coef_) != 2 or self.est.coef_.shape[1] != self.est.n_features_in_:
            raise unsupported(self.est, "supports scikit-learn 1.3 or newer", self.est.coef_.shape)

    def functions(self):
        return ["predict", "transform"]

    def predict(self, x):
        est = self.est
        y = product(x - self.param("x_mean", est._x_mean), self.param("coef", est.coef_.T))
        y = y + self.param("intercept", est.intercept_)
        return y[:, 0] if getattr(est, "_predict_1d", False) else y

    def transform(self, x):
        est = self.est
        x = (x - self.param("x_mean", est._x_mean)) / self.param("x_std", est._x_std)
        return product(x, self.param("rotations", est.x_rotations_))
