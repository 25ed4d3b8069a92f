"""Naive Bayes: log p(class) plus the sum of log p(feature | class)."""

import numpy as np

from maas import _core, ops
from maas.classical.base import Classifier, converts, product


class NaiveBayes(Classifier):
    def predict_index(self, x):
        return ops.argmax(self.joint(x), axis=-1)

    def predict_proba(self, x):
        return ops.softmax(self.joint(x), axis=-1)


@converts("naive_bayes.GaussianNB")
class GaussianNB(NaiveBayes):
    def joint(self, x):
        est = self.est
        base = np.log(est.class_prior_) - 0.5 * np.sum(np.log(2 * np.pi * est.var_), axis=1)
        away = x[:, None, :] - self.param("theta", est.theta_)
        self.context.holds(est.theta_.size)
        return self.param("base", base) - 0.5 * ops.sum(away * away / self.param("var", est.var_), axis=-1)


@converts("naive_bayes.MultinomialNB")
class MultinomialNB(NaiveBayes):
    def joint(self, x):
        est = self.est
        return product(x, self.param("log_prob", est.feature_log_prob_.T)) + self.param("prior", est.class_log_prior_)


@converts("naive_bayes.ComplementNB")
class ComplementNB(NaiveBayes):
    def joint(self, x):
        est = self.est
        y = product(x, self.param("log_prob", est.feature_log_prob_.T))
        return y + self.param("prior", est.class_log_prior_) if len(est.classes_) == 1 else y


@converts("naive_bayes.BernoulliNB")
class BernoulliNB(NaiveBayes):
    def joint(self, x):
        est = self.est
        if est.binarize is not None:
            x = ops.cast(ops.greater(x, float(est.binarize)), "float64")
        rest = np.log(1 - np.exp(est.feature_log_prob_))
        y = product(x, self.param("log_prob", (est.feature_log_prob_ - rest).T))
        return y + self.param("base", est.class_log_prior_ + rest.sum(axis=1))


@converts("naive_bayes.CategoricalNB")
class CategoricalNB(NaiveBayes):
    def joint(self, x):
        est, y = self.est, 0.0
        index = ops.cast(x, "int32")
        for i, table in enumerate(est.feature_log_prob_):
            rule = f"CategoricalNB: categories of feature {i} must be in [0, {table.shape[1]})"
            y = y + _core.take(self.param(f"log_prob_{i}", table.T), index[:, i], axis=0, rule=rule)
        return y + self.param("prior", est.class_log_prior_)
