"""Decision trees and forests of them: one op walks all trees of an ensemble."""

import numpy as np

from maas import ops
from maas.classical.base import Classifier, Converter, column, converts, text_labels, unsupported
from maas.classical.tree_tables import tree_ensemble, tree_tables

_LEAF = -1


def tables_of(trees, features=None, target=None):
    """(tables, offsets): nodes of scikit-learn's `tree_` objects. Node i of tree t has row offsets[t] + i of values.

    Args:
        trees: list of `tree_` objects.
        features: None, or per tree the columns of x that it was trained on.
        target: as in `tree_tables`.
    """
    offsets = np.cumsum([0, *(t.node_count for t in trees)])
    join = lambda name: np.concatenate([getattr(t, name) for t in trees])  # noqa: E731
    shift = np.repeat(offsets[:-1], np.diff(offsets))
    left, right, feature = join("children_left"), join("children_right"), join("feature")
    is_leaf = left == _LEAF
    if features is not None:
        columns = [f[np.where(t.feature < 0, 0, t.feature)] for t, f in zip(trees, features)]
        feature = np.concatenate(columns)
    missing = None
    if all(hasattr(t, "missing_go_to_left") for t in trees):
        missing = join("missing_go_to_left").astype(bool)
    tables = tree_tables(
        offsets[:-1], np.where(is_leaf, 0, feature), join("threshold"), left + shift, right + shift,
        np.where(is_leaf, np.arange(offsets[-1]), -1), missing_true=missing, target=target, dtype="float32",
    )  # fmt: skip
    return tables, offsets


class TreeSum(Converter):
    """Sums of leaves' values over trees; scikit-learn compares features in float32."""

    def tree_sum(self, x, trees, values, outputs, *, features=None, target=None, base=None, name="trees", leaf=False):
        """(rows, outputs); `values(tree)` gives an array (nodes, width)."""
        made = self.context.tables.get((id(self), name))
        if made is None:
            made, _ = tables_of(trees, features, target)
            self.context.tables[id(self), name] = made
        given = np.concatenate([values(t, i) for i, t in enumerate(trees)])
        return self.run_tables(x, made, given, np.zeros(outputs) if base is None else base, name, "float32", leaf)

    def run_tables(self, x, made, values, base, name, dtype, leaf=False):
        held = {k: self.param(f"{name}_{k}", made[k], "int32") for k in ("nodes", "trees", "sets")}
        values = self.param(f"{name}_values", values)
        base = self.param(f"{name}_base", base)
        return tree_ensemble(ops.cast(x, dtype), {**held, "mixed": made["mixed"]}, values, base, leaf)


class TreeRegressor(TreeSum):
    def trees(self):
        return [self.est.tree_]

    def predict(self, x):
        trees = self.trees()
        y = self.tree_sum(x, trees, lambda t, _: t.value[:, :, 0], self.est.n_outputs_)
        if len(trees) > 1:
            y = y / float(len(trees))
        return column(y) if self.est.n_outputs_ == 1 else y


class TreeClassifier(TreeSum, Classifier):
    def trees(self):
        return [self.est.tree_]

    def _classes(self):
        return [self.est.classes_] if self.est.n_outputs_ == 1 else self.est.classes_

    def _probabilities(self, x):
        trees, classes, parts = self.trees(), self._classes(), []
        sizes = [len(c) for c in classes]

        def values(t, _):
            return np.concatenate([t.value[:, k, :n] for k, n in enumerate(sizes)], axis=1)

        y = self.tree_sum(x, trees, values, sum(sizes))
        if len(trees) > 1:
            y = y / float(len(trees))
        for first, n in zip(np.cumsum([0, *sizes]), sizes):
            parts.append(y[:, int(first) : int(first) + n])
        return parts

    def predict_proba(self, x):
        parts = self._probabilities(x)
        return parts[0] if self.est.n_outputs_ == 1 else parts

    def predict(self, x):
        found = [
            self.labels(ops.argmax(p, axis=-1), c, f"classes_{k}")
            for k, (p, c) in enumerate(zip(self._probabilities(x), self._classes()))
        ]
        return found[0] if self.est.n_outputs_ == 1 else ops.stack(found, axis=-1)

    def predict_index(self, x):
        if self.est.n_outputs_ > 1:
            raise unsupported(self.est, "as a part of an ensemble supports one output", self.est.n_outputs_)
        return ops.argmax(self._probabilities(x)[0], axis=-1)

    def classes(self):
        return [text_labels(c) for c in self._classes()]


@converts("tree.DecisionTreeRegressor", "tree.ExtraTreeRegressor")
class DecisionTreeRegressor(TreeRegressor):
    pass


@converts("tree.DecisionTreeClassifier", "tree.ExtraTreeClassifier")
class DecisionTreeClassifier(TreeClassifier):
    pass


class _OfForest:
    def trees(self):
        return [e.tree_ for e in self.est.estimators_]


@converts("ensemble.RandomForestRegressor", "ensemble.ExtraTreesRegressor")
class ForestRegressor(_OfForest, TreeRegressor):
    pass


@converts("ensemble.RandomForestClassifier", "ensemble.ExtraTreesClassifier")
class ForestClassifier(_OfForest, TreeClassifier):
    pass


@converts("ensemble.RandomTreesEmbedding")
class TreesEmbedding(_OfForest, TreeSum):
    """One column per leaf of the forest: 1 where the row ends there."""

    def transform(self, x):
        found = self.tree_sum(x, self.trees(), lambda t, _: np.zeros((t.node_count, 1)), 1, leaf=True)
        # Leaf i of tree t is row offsets[t] + i, which is what the encoder's categories count.
        parts, first = [], 0
        for t, (tree, nodes) in enumerate(zip(self.trees(), self.est.one_hot_encoder_.categories_)):
            table = np.full(tree.node_count, -1)
            table[nodes.astype(int)] = np.arange(len(nodes))
            at = ops.take(self.param(f"columns_{t}", table, "int32"), found[:, t] - np.int32(first), axis=0)
            parts.append(ops.one_hot(at, len(nodes), dtype="float64"))
            first += tree.node_count
        return ops.concatenate(parts, axis=-1)


@converts("ensemble.IsolationForest")
class IsolationForest(_OfForest, TreeSum):
    """2^(-mean length of the ways / their usual length), less the offset."""

    def decision_function(self, x):
        est = self.est
        features = None if est._max_features == est.n_features_in_ else est.estimators_features_

        def lengths(_, i):
            return (est._decision_path_lengths[i] + est._average_path_length_per_tree[i] - 1.0)[:, None]

        depths = column(self.tree_sum(x, self.trees(), lengths, 1, features=features))
        usual = _usual_length(est._max_samples) * len(est.estimators_)
        scores = ops.power(2.0, -(depths / usual if usual else ops.ones_like(depths)))
        return -scores - self.param("offset", est.offset_)

    def predict(self, x):
        return ops.where(ops.less(self.decision_function(x), 0.0), np.int64(-1), np.int64(1))


def _usual_length(n):
    """The mean length of an unsuccessful search in a binary search tree of n (Liu et al., 2008)."""
    return 0.0 if n <= 1 else 1.0 if n == 2 else 2.0 * (np.log(n - 1.0) + np.euler_gamma) - 2.0 * (n - 1.0) / n
