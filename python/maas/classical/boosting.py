"""Gradient boosting, its histogram form, and AdaBoost."""

import numpy as np

from maas import ops
from maas.classical.base import Classifier, column, converts, two, unsupported
from maas.classical.tree_tables import tree_tables
from maas.classical.trees import TreeSum


class BoostedTrees(TreeSum):
    def raw(self, x):
        """(rows, trees per iteration): where the sum starts, plus every tree's part in the order of training."""
        est = self.est
        trees, per = [t.tree_ for row in est.estimators_ for t in row], est.estimators_.shape[1]
        if est.init_ != "zero" and type(est.init_).__name__ not in ("DummyClassifier", "DummyRegressor"):
            raise unsupported(est, "supports init=None and init='zero'", est.init_)
        base = est._raw_predict_init(np.zeros((1, est.n_features_in_)))[0]
        return self.tree_sum(
            x, trees, lambda t, _: est.learning_rate * t.value[:, 0], per, target=np.arange(len(trees)) % per, base=base
        )


@converts("ensemble.GradientBoostingRegressor")
class GradientBoostingRegressor(BoostedTrees):
    def predict(self, x):
        return column(self.raw(x))


@converts("ensemble.GradientBoostingClassifier")
class GradientBoostingClassifier(BoostedTrees, Classifier):
    def decision_function(self, x):
        y = self.raw(x)
        return column(y) if y.shape[1] == 1 else y

    def predict_index(self, x):
        y = self.decision_function(x)
        return ops.cast(ops.greater_equal(y, 0.0), "int32") if len(y.shape) == 1 else ops.argmax(y, axis=-1)

    def predict_proba(self, x):
        y = self.decision_function(x)
        if len(y.shape) == 2:
            return ops.softmax(y, axis=-1)
        return two(ops.sigmoid(2.0 * y if self.est.loss == "exponential" else y))


class Histograms(TreeSum):
    """Trees on float64 features, with their own rule for missing values and sets of categories."""

    def takes(self):
        return "all"

    def raw(self, x):
        est = self.est
        if getattr(est, "_preprocessor", None) is not None:
            x = self.sub(est._preprocessor).transform(x)
        made = self.context.tables.get(id(self))
        if made is None:
            made = self.context.tables[id(self)] = self.tables()
        tables, values = made
        return self.run_tables(x, tables, values, np.ravel(est._baseline_prediction), "trees", "float64")

    def tables(self):
        est = self.est
        predictors = [p for row in est._predictors for p in row]
        nodes = [p.nodes for p in predictors]
        offsets = np.cumsum([0, *map(len, nodes)])
        join = np.concatenate(nodes)
        shift = np.repeat(offsets[:-1], np.diff(offsets))
        is_leaf = join["is_leaf"].astype(bool)
        categorical = join["is_categorical"].astype(bool) & ~is_leaf
        known, place = est._bin_mapper.make_known_categories_bitsets()
        sets = {}
        for node in np.flatnonzero(categorical):
            p = predictors[np.searchsorted(offsets, node, side="right") - 1]
            left = _bits(p.raw_left_cat_bitsets[join["bitset_idx"][node]])
            if join["missing_go_to_left"][node]:
                # Categories that training never met count as missing.
                left |= ~_bits(known[place[join["feature_idx"][node]]])
            sets[int(node)] = np.flatnonzero(left)
        tables = tree_tables(
            offsets[:-1], np.where(is_leaf, 0, join["feature_idx"]), join["num_threshold"],
            join["left"].astype("int64") + shift, join["right"].astype("int64") + shift,
            np.where(is_leaf, np.arange(len(join)), -1), mode=np.where(categorical, "in", "<="),
            missing_true=join["missing_go_to_left"].astype(bool), sets=sets,
            target=np.arange(len(predictors)) % est.n_trees_per_iteration_, dtype="float64",
        )  # fmt: skip
        return tables, join["value"][:, None]


def _bits(words):
    return np.unpackbits(np.ascontiguousarray(words).view("uint8"), bitorder="little").astype(bool)


@converts("ensemble.HistGradientBoostingRegressor")
class HistogramRegressor(Histograms):
    def predict(self, x):
        y = column(self.raw(x))
        return ops.exp(y) if self.est.loss in ("poisson", "gamma") else y


@converts("ensemble.HistGradientBoostingClassifier")
class HistogramClassifier(Histograms, Classifier):
    def decision_function(self, x):
        y = self.raw(x)
        return column(y) if y.shape[1] == 1 else y

    def predict_index(self, x):
        y = self.decision_function(x)
        return ops.cast(ops.greater(y, 0.0), "int32") if len(y.shape) == 1 else ops.argmax(y, axis=-1)

    def predict_proba(self, x):
        y = self.decision_function(x)
        return two(ops.sigmoid(y)) if len(y.shape) == 1 else ops.softmax(y, axis=-1)


def all_trees(estimators):
    """The `tree_` objects if all estimators are plain trees of one output, else None."""
    names = ("DecisionTree", "ExtraTree")
    plain = all(type(e).__name__.startswith(names) and hasattr(e, "tree_") and e.n_outputs_ == 1 for e in estimators)
    return [e.tree_ for e in estimators] if plain else None


@converts("ensemble.AdaBoostClassifier")
class AdaBoostClassifier(TreeSum, Classifier):
    def check(self):
        if getattr(self.est, "algorithm", "SAMME") == "SAMME.R":
            raise unsupported(self.est, "supports the algorithm SAMME", "SAMME.R")

    def votes(self, x):
        est = self.est
        n, weights = est.n_classes_, est.estimator_weights_[: len(est.estimators_)]
        if n == 1:
            return ops.zeros_like(x[:, :1])
        tables = [
            np.where(np.asarray(e.classes_)[:, None] == est.classes_, w, -1 / (n - 1) * w)
            for e, w in zip(est.estimators_, weights)
        ]
        trees = all_trees(est.estimators_)
        if trees:
            y = self.tree_sum(x, trees, lambda t, i: tables[i][np.argmax(t.value[:, 0], axis=1)], n)
        else:
            y = 0.0
            for i, (e, table) in enumerate(zip(est.estimators_, tables)):
                y = y + ops.take(self.param(f"votes_{i}", table), self.sub(e).predict_index(x), axis=0)
        return y / float(est.estimator_weights_.sum())

    def decision_function(self, x):
        y = self.votes(x)
        return y[:, 1] - y[:, 0] if self.est.n_classes_ == 2 else y

    def predict_index(self, x):
        y = self.decision_function(x)
        return ops.cast(ops.greater(y, 0.0), "int32") if len(y.shape) == 1 else ops.argmax(y, axis=-1)

    def predict_proba(self, x):
        y, n = self.decision_function(x), self.est.n_classes_
        if n == 1:
            return ops.ones_like(y)
        y = ops.stack([-y, y], axis=-1) / 2.0 if n == 2 else y / float(n - 1)
        return ops.softmax(y, axis=-1)


@converts("ensemble.AdaBoostRegressor")
class AdaBoostRegressor(TreeSum):
    """The weighted median of the parts' predictions."""

    def predict(self, x):
        est = self.est
        trees, n = all_trees(est.estimators_), len(est.estimators_)
        if trees:
            y = self.tree_sum(x, trees, lambda t, _: t.value[:, 0], n, target=np.arange(n))
        else:
            y = ops.stack([self.sub(e).predict(x) for e in est.estimators_], axis=-1)
        order = ops.argsort(y, axis=-1)
        weights = ops.take(self.param("estimator_weights", est.estimator_weights_[:n]), order, axis=0)
        sums = ops.cumsum(weights, axis=-1)
        first = ops.argmax(ops.greater_equal(sums, 0.5 * sums[:, -1:]), axis=-1, keepdims=True)
        return column(ops.take_along_axis(y, ops.take_along_axis(order, first, axis=-1), axis=-1))
