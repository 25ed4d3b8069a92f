"""Bagging, voting and stacking of any estimators."""

import numpy as np

from maas import ops
from maas.classical.base import Classifier, Converter, columns, converts, unsupported
from maas.classical.boosting import all_trees
from maas.classical.trees import TreeSum


class Bag(TreeSum):
    def parts(self, x):
        """(estimator, its columns of x) one after the other."""
        n = self.est.n_features_in_
        for estimator, features in zip(self.est.estimators_, self.est.estimators_features_):
            whole = np.array_equal(features, np.arange(n))
            yield estimator, x if whole else columns(x, features)

    def mean(self, x, of_tree, of_part, outputs):
        est = self.est
        trees = all_trees(est.estimators_)
        if trees:
            y = self.tree_sum(x, trees, of_tree, outputs, features=[np.asarray(f) for f in est.estimators_features_])
        else:
            y = 0.0
            for estimator, part in self.parts(x):
                y = y + of_part(estimator, part)
        return y / float(len(est.estimators_))


@converts("ensemble.BaggingRegressor")
class BaggingRegressor(Bag):
    def predict(self, x):
        if all_trees(self.est.estimators_):
            return self.mean(x, lambda t, _: t.value[:, 0], None, 1)[:, 0]
        return self.mean(x, None, lambda e, part: self.sub(e).predict(part), 1)


@converts("ensemble.BaggingClassifier")
class BaggingClassifier(Bag, Classifier):
    def predict_proba(self, x):
        est = self.est
        n = len(est.classes_)

        def of_tree(t, i):
            wide = np.zeros((t.node_count, n))
            wide[:, est.estimators_[i].classes_.astype(int)] = t.value[:, 0]
            return wide

        def of_part(e, part):
            here = np.eye(n)[np.asarray(e.classes_, int)]
            if not hasattr(e, "predict_proba"):
                # A part's own name: two parts may have seen other classes.
                return ops.take(self.sub(e).param("votes", here), self.sub(e).predict_index(part), axis=0)
            p = self.sub(e).predict_proba(part)
            return p if len(here) == n else ops.matmul(p, here)

        return self.mean(x, of_tree, of_part, n)

    def decision_function(self, x):
        return self.mean(x, None, lambda e, part: self.sub(e).decision_function(part), 1)

    def functions(self):
        # Scores of parts that have seen other classes cannot be added, in scikit-learn neither.
        added = all(len(e.classes_) == len(self.est.classes_) for e in self.est.estimators_)
        added = added and not all_trees(self.est.estimators_)
        return [f for f in super().functions() if f != "decision_function" or added]


@converts("ensemble.VotingRegressor")
class VotingRegressor(Converter):
    def transform(self, x):
        return ops.stack([self.sub(e).predict(x) for e in self.est.estimators_], axis=-1)

    def predict(self, x):
        weights = self.est._weights_not_none
        if weights is None:
            return ops.mean(self.transform(x), axis=1)
        weights = np.asarray(weights, "float64")
        return ops.sum(self.transform(x) * self.param("weights", weights), axis=1) / float(weights.sum())


@converts("ensemble.VotingClassifier")
class VotingClassifier(Classifier):
    def check(self):
        if self.est.voting == "soft" and not self.est.flatten_transform:
            raise unsupported(self.est, "supports flatten_transform=True", False)

    def places(self, x):
        """Of every part the place of its answer among all classes."""
        for i, e in enumerate(self.est.estimators_):
            found, own = self.sub(e).predict_index(x), np.asarray(e.classes_)
            if np.array_equal(own, np.arange(len(own))):
                yield found
            else:
                yield ops.take(self.param(f"places_{i}", own, "int32"), found, axis=0)

    def weights(self):
        weights = self.est._weights_not_none
        return np.ones(len(self.est.estimators_)) if weights is None else np.asarray(weights, "float64")

    def predict_proba(self, x):
        y = 0.0
        for w, e in zip(self.weights(), self.est.estimators_):
            y = y + float(w) * self.sub(e).predict_proba(x)
        return y / float(self.weights().sum())

    def predict_index(self, x):
        if self.est.voting == "soft":
            return ops.argmax(self.predict_proba(x), axis=-1)
        y, n = 0.0, len(self.est.classes_)
        for w, place in zip(self.weights(), self.places(x)):
            y = y + float(w) * ops.one_hot(place, n, dtype="float64")
        return ops.argmax(y, axis=-1)

    def transform(self, x):
        if self.est.voting == "soft":
            return ops.concatenate([self.sub(e).predict_proba(x) for e in self.est.estimators_], axis=-1)
        return ops.cast(ops.stack(list(self.places(x)), axis=-1), "int64")


class Stacking(Converter):
    def transform(self, x):
        est, parts = self.est, []
        used = [e for e in est.estimators_ if not isinstance(e, str)]
        for e, method in zip(used, est.stack_method_):
            sub = self.sub(e)
            if not hasattr(sub, method):
                raise unsupported(e, "as a part of a stack needs predict, predict_proba or decision_function", method)
            y = getattr(sub, method)(x)
            for p in y if isinstance(y, list) else [y]:
                p = ops.expand_dims(p, -1) if len(p.shape) == 1 else p
                # One of two probabilities says both.
                parts.append(p[:, 1:] if method == "predict_proba" and p.shape[1] == 2 else p)
        if est.passthrough:
            parts.append(x)
        if len({p.dtype for p in parts}) > 1:
            parts = [ops.cast(p, "float64") for p in parts]
        return ops.concatenate(parts, axis=-1)

    def final(self):
        return self.sub(self.est.final_estimator_)

    def seen(self, x):
        """What the final estimator sees."""
        return ops.cast(self.transform(x), "float64")


@converts("ensemble.StackingRegressor")
class StackingRegressor(Stacking):
    def predict(self, x):
        return self.final().predict(self.seen(x))


@converts("ensemble.StackingClassifier")
class StackingClassifier(Stacking, Classifier):
    def check(self):
        if isinstance(self.est.classes_, list):
            raise unsupported(self.est, "supports one label per row", f"{len(self.est.classes_)} labels")

    def predict_index(self, x):
        return self.final().predict_index(self.seen(x))

    def predict_proba(self, x):
        return self.final().predict_proba(self.seen(x))

    def decision_function(self, x):
        return self.final().decision_function(self.seen(x))
