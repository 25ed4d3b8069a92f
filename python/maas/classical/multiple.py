"""Several outputs, and several classes by classifiers of two."""

import itertools

import numpy as np

from maas import ops
from maas.classical.base import Classifier, Converter, columns, converts, text_labels, unsupported


def confidence(sub, x):
    """What scikit-learn compares: the score, or the probability of the second class, or what a regressor gives."""
    has = sub.functions()
    if "decision_function" in has:
        return sub.decision_function(x)
    return sub.predict_proba(x)[:, 1] if "predict_proba" in has else sub.predict(x)


def middle(sub):
    """The confidence above which the answer is the second class. One class alone is no classifier to scikit-learn."""
    return 0.0 if "decision_function" in sub.functions() and not isinstance(sub, Constant) else 0.5


@converts("multiclass._ConstantPredictor")
class Constant(Classifier):
    """One class alone was seen."""

    def functions(self):
        return ["predict", "predict_proba", "decision_function"]

    def decision_function(self, x):
        return ops.zeros_like(x[:, 0]) + float(np.ravel(self.est.y_)[0])

    def predict(self, x):
        return ops.cast(self.decision_function(x), "int64")

    predict_index = predict

    def predict_proba(self, x):
        y = self.decision_function(x)
        return ops.stack([1.0 - y, y], axis=-1)


@converts("multiclass.OneVsRestClassifier")
class OneVsRest(Classifier):
    def scores(self, x):
        return ops.stack([confidence(self.sub(e), x) for e in self.est.estimators_], axis=-1)

    def functions(self):
        """A method that one of the parts lacks is not there."""
        parts = [self.sub(e).functions() for e in self.est.estimators_]
        return [f for f in super().functions() if f == "predict" or all(f in p for p in parts)]

    def predict(self, x):
        est, scores = self.est, self.scores(x)
        kind = est.label_binarizer_.y_type_
        if kind.startswith("multilabel"):
            limit = middle(self.sub(est.estimators_[0]))
            return ops.cast(ops.greater(scores, limit), "int64")
        return super().predict(x)

    def predict_index(self, x):
        scores = self.scores(x)
        if scores.shape[1] == 1:
            return ops.cast(ops.greater(scores[:, 0], middle(self.sub(self.est.estimators_[0]))), "int32")
        return ops.argmax(scores, axis=-1)

    def predict_proba(self, x):
        est = self.est
        y = ops.stack([self.sub(e).predict_proba(x)[:, 1] for e in est.estimators_], axis=-1)
        if len(est.estimators_) == 1:
            y = ops.concatenate([1.0 - y, y], axis=-1)
        if est.multilabel_:
            return y
        total = ops.sum(y, axis=-1, keepdims=True)
        return y / ops.where(ops.equal(total, 0.0), 1.0, total)

    def decision_function(self, x):
        parts = [self.sub(e).decision_function(x) for e in self.est.estimators_]
        return parts[0] if len(parts) == 1 else ops.stack(parts, axis=-1)

    def classes(self):
        return None if self.est.multilabel_ else super().classes()


@converts("multiclass.OneVsOneClassifier")
class OneVsOne(Classifier):
    def decision_function(self, x):
        est, n = self.est, len(self.est.classes_)
        votes, sums = [0.0] * n, [0.0] * n
        indices = est.pairwise_indices_ or [None] * len(est.estimators_)
        for (i, j), e, own in zip(itertools.combinations(range(n), 2), est.estimators_, indices):
            sub, part = self.sub(e), x if own is None else columns(x, own)
            sure, second = confidence(sub, part), ops.cast(sub.predict(part), "float64")
            sums[i], sums[j] = sums[i] - sure, sums[j] + sure
            votes[i], votes[j] = votes[i] + (1.0 - second), votes[j] + second
        votes, sums = ops.stack(votes, axis=-1), ops.stack(sums, axis=-1)
        y = votes + sums / (3.0 * (ops.abs(sums) + 1.0))
        return y[:, 1] if n == 2 else y

    def predict_index(self, x):
        y = self.decision_function(x)
        if len(y.shape) == 1:
            return ops.cast(ops.greater(y, middle(self.sub(self.est.estimators_[0]))), "int32")
        return ops.argmax(y, axis=-1)


@converts("multioutput.MultiOutputRegressor")
class MultiOutputRegressor(Converter):
    def predict(self, x):
        return ops.stack([self.sub(e).predict(x) for e in self.est.estimators_], axis=-1)


@converts("multioutput.MultiOutputClassifier")
class MultiOutputClassifier(Converter):
    def predict(self, x):
        return ops.stack([self.sub(e).predict(x) for e in self.est.estimators_], axis=-1)

    def predict_proba(self, x):
        return [self.sub(e).predict_proba(x) for e in self.est.estimators_]

    def classes(self):
        return [text_labels(e.classes_) for e in self.est.estimators_]


class Chain(Converter):
    """Each part sees the answers of those before it."""

    def answers(self, x, feature, output):
        found, seen = [], []
        for e in self.est.estimators_:
            sub = self.sub(e)
            wide = ops.concatenate([x, *(s[:, None] for s in seen)], axis=-1) if seen else x
            seen.append(ops.cast(feature(sub, wide), "float64"))
            found.append(ops.cast(output(sub, wide), "float64"))
        return ops.stack([found[i] for i in np.argsort(self.est.order_)], axis=-1)


@converts("multioutput.RegressorChain")
class RegressorChain(Chain):
    def predict(self, x):
        return self.answers(x, lambda s, w: s.predict(w), lambda s, w: s.predict(w))


@converts("multioutput.ClassifierChain")
class ClassifierChain(Chain):
    def check(self):
        if any(text_labels(c) is not None for c in self.est.classes_):
            raise unsupported(self.est, "supports labels that are numbers", self.est.classes_)

    def feature(self, sub, x):
        method = self.est.chain_method_
        if method == "predict_proba":
            return sub.predict_proba(x)[:, 1]
        return getattr(sub, method)(x)

    def predict(self, x):
        return self.answers(x, self.feature, lambda s, w: s.predict(w))

    def predict_proba(self, x):
        return self.answers(x, self.feature, lambda s, w: s.predict_proba(w)[:, 1])

    def decision_function(self, x):
        return self.answers(x, self.feature, lambda s, w: s.decision_function(w))
