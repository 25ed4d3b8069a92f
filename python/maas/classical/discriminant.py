"""Linear and quadratic discriminant analysis."""

import numpy as np

from maas import ops
from maas.classical.base import Classifier, converts, product, two
from maas.classical.linear import LinearClassifier


@converts("discriminant_analysis.LinearDiscriminantAnalysis")
class LinearDiscriminant(LinearClassifier):
    def predict_proba(self, x):
        y = self.decision_function(x)
        return two(ops.sigmoid(y)) if len(y.shape) == 1 else ops.softmax(y, axis=-1)

    def functions(self):
        return [f for f in super().functions() if f != "transform" or self.est.solver != "lsqr"]

    def transform(self, x):
        est = self.est
        if est.solver == "svd":
            x = x - self.param("xbar", est.xbar_)
        return product(x, self.param("scalings", est.scalings_[:, : est._max_components]))


@converts("discriminant_analysis.QuadraticDiscriminantAnalysis")
class QuadraticDiscriminant(Classifier):
    """log p(y = k | x) of a normal distribution per class, each with its own axes."""

    def log_posterior(self, x):
        est, norms = self.est, []
        for k, (r, s) in enumerate(zip(est.rotations_, est.scalings_)):
            z = product(x - self.param(f"mean_{k}", est.means_[k]), self.param(f"axes_{k}", r * s**-0.5))
            norms.append(ops.sum(z * z, axis=-1))
        logs = np.array([np.sum(np.log(s)) for s in est.scalings_])
        norms = ops.stack(norms, axis=-1) + self.param("log_scales", logs)
        return -0.5 * norms + self.param("log_priors", np.log(est.priors_))

    def decision_function(self, x):
        y = self.log_posterior(x)
        return y[:, 1] - y[:, 0] if len(self.est.classes_) == 2 else y

    def predict_index(self, x):
        return ops.argmax(self.log_posterior(x), axis=-1)

    def predict_proba(self, x):
        return ops.softmax(self.log_posterior(x), axis=-1)
