"""Linear models: y = x coef + intercept, and what makes labels, probabilities or means of it."""

import numpy as np

from maas import ops
from maas.classical.base import Classifier, Converter, column, converts, normalized, product, two, unsupported


class LinearScore(Converter):
    """The score x coef' + intercept."""

    def score(self, x):
        est = self.est
        coef, intercept = np.asarray(est.coef_), est.intercept_
        y = product(x, self.param("coef", coef.T))
        if np.any(intercept):
            y = y + self.param("intercept", intercept)
        return y


@converts(
    "linear_model.LinearRegression", "linear_model.Ridge", "linear_model.RidgeCV", "linear_model.Lasso",
    "linear_model.LassoCV", "linear_model.ElasticNet", "linear_model.ElasticNetCV", "linear_model.Lars",
    "linear_model.LarsCV", "linear_model.LassoLars", "linear_model.LassoLarsCV", "linear_model.LassoLarsIC",
    "linear_model.MultiTaskLasso", "linear_model.MultiTaskLassoCV", "linear_model.MultiTaskElasticNet",
    "linear_model.MultiTaskElasticNetCV", "linear_model.OrthogonalMatchingPursuit",
    "linear_model.OrthogonalMatchingPursuitCV", "linear_model.BayesianRidge", "linear_model.ARDRegression",
    "linear_model.HuberRegressor", "linear_model.QuantileRegressor", "linear_model.TheilSenRegressor",
    "linear_model.SGDRegressor", "linear_model.PassiveAggressiveRegressor", "svm.LinearSVR",
)  # fmt: skip
class LinearRegressor(LinearScore):
    def predict(self, x):
        return self.score(x)


@converts("linear_model.RANSACRegressor")
class Ransac(Converter):
    def predict(self, x):
        return self.sub(self.est.estimator_).predict(x)


@converts("linear_model.PoissonRegressor", "linear_model.GammaRegressor", "linear_model.TweedieRegressor")
class Glm(LinearScore):
    def predict(self, x):
        link = type(self.est._base_loss.link).__name__
        if link not in ("LogLink", "IdentityLink"):
            raise unsupported(self.est, "supports the links log and identity", link)
        return ops.exp(self.score(x)) if link == "LogLink" else self.score(x)


class LinearClassifier(Classifier, LinearScore):
    """Two classes have one score, more have one each."""

    def decision_function(self, x):
        y = self.score(x)
        return column(y) if len(y.shape) == 2 and y.shape[1] == 1 else y

    def predict_index(self, x):
        y = self.decision_function(x)
        return ops.cast(ops.greater(y, 0.0), "int32") if len(y.shape) == 1 else ops.argmax(y, axis=-1)

    def one_against_rest(self, scores):
        p = ops.sigmoid(scores)
        return two(p) if len(p.shape) == 1 else normalized(p)


@converts("linear_model.Perceptron", "linear_model.PassiveAggressiveClassifier", "svm.LinearSVC")
class Margins(LinearClassifier):
    pass


@converts("linear_model.RidgeClassifier", "linear_model.RidgeClassifierCV")
class RidgeClassifier(LinearClassifier):
    def check(self):
        kind = self.est._label_binarizer.y_type_
        if kind.startswith("multilabel"):
            raise unsupported(self.est, "supports one label per row", kind)


@converts("linear_model.LogisticRegression", "linear_model.LogisticRegressionCV")
class Logistic(LinearClassifier):
    def predict_proba(self, x):
        y = self.decision_function(x)
        est = self.est
        rule = getattr(est, "multi_class", "deprecated")
        if rule == "multinomial" and len(y.shape) == 1:
            return ops.softmax(ops.stack([-y, y], axis=-1), axis=-1)
        if len(y.shape) == 1 or rule in ("ovr", "warn") or est.solver == "liblinear":
            return self.one_against_rest(y)
        return ops.softmax(y, axis=-1)


@converts("linear_model.SGDClassifier")
class Sgd(LinearClassifier):
    def predict_proba(self, x):
        y = self.decision_function(x)
        if self.est.loss == "log_loss":
            return self.one_against_rest(y)
        p = (ops.clip(y, -1.0, 1.0) + 1.0) / 2.0
        return two(p) if len(p.shape) == 1 else normalized(p)


@converts("linear_model.SGDOneClassSVM")
class SgdOneClass(LinearScore):
    def decision_function(self, x):
        return product(x, self.param("coef", self.est.coef_.ravel())) - self.param("offset", self.est.offset_)

    def predict(self, x):
        return ops.where(ops.greater_equal(self.decision_function(x), 0.0), np.int32(1), np.int32(-1))
