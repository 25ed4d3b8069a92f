"""Ensembles of decision trees of the domain ai.onnx.ml, by the op `tree`."""

import numpy as np

from maas import _core, ops
from maas.classical.tree_tables import tree_ensemble, tree_tables
from maas.onnx.registry import converts

_MODES = ("<=", "<", ">=", ">", "==", "!=", "in")  # by their numbers
_NAMES = {"BRANCH_LEQ": "<=", "BRANCH_LT": "<", "BRANCH_GTE": ">=", "BRANCH_GT": ">", "BRANCH_EQ": "==",
          "BRANCH_NEQ": "!=", "LEAF": "<="}  # fmt: skip
_AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")
_MOST_TARGETS = 1 << 20
_TRANSFORMS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")


class _Ensemble:
    """Nodes and leaves as `tree_tables` takes them.

    Attributes:
        roots, feature, threshold, yes, no, leaf, mode, missing: lists.
        values: list of the rows of values of leaves.
        spoken: list of rows of bools, which of them a leaf speaks of.
        sets: dict of node to integers.
    """

    def __init__(self):
        self.roots, self.feature, self.threshold, self.yes, self.no = [], [], [], [], []
        self.leaf, self.mode, self.missing, self.values, self.spoken, self.sets = [], [], [], [], [], {}

    def node(self, feature, threshold, mode, missing):
        """Adds a node without children; returns its number."""
        for items, value in ((self.feature, feature), (self.threshold, threshold), (self.mode, mode),
                             (self.missing, missing), (self.yes, 0), (self.no, 0), (self.leaf, -1)):  # fmt: skip
            items.append(value)
        return len(self.leaf) - 1

    def add_leaf(self, targets, pairs):
        """Adds a leaf of `(target, weight)` pairs, whose values are summed up; returns its number."""
        row, spoken = np.zeros(targets), np.zeros(targets, bool)
        for target, weight in pairs:
            if not 0 <= target < targets:
                raise ValueError(f"targets must be in [0, {targets}), received {target}")
            row[target] += weight
            spoken[target] = True
        i = self.node(0, 0.0, "<=", False)
        self.leaf[i] = len(self.values)
        self.values.append(row)
        self.spoken.append(spoken)
        return i

    def reached(self):
        """The number of nodes that hang on the roots."""
        seen, rest = set(), list(self.roots)
        while rest:
            i = rest.pop()
            if i not in seen:
                seen.add(i)
                rest += [self.yes[i], self.no[i]] if self.leaf[i] < 0 else []
        return len(seen)

    def result(self, x, aggregate, base, dtype):
        """The aggregated values, (rows, targets)."""
        columns = x.dims[1] if x.ndim == 2 else None
        if isinstance(columns, int) and max(self.feature, default=0) >= columns:
            raise ValueError(f"features must be in [0, {columns}), received {max(self.feature)}")
        tables = tree_tables(self.roots, self.feature, self.threshold, self.yes, self.no, self.leaf, mode=self.mode,
                             missing_true=self.missing, sets=self.sets, dtype=x.dtype)  # fmt: skip
        values, spoken = np.array(self.values, dtype), np.array(self.spoken)
        if aggregate in ("SUM", "AVERAGE"):
            y = tree_ensemble(x, tables, values, np.zeros(values.shape[1], dtype))
            y = _core.divide(y, float(len(self.roots))) if aggregate == "AVERAGE" else y
            return _core.add(y, ops.convert_to_tensor(base.astype(dtype)))
        end = np.inf if aggregate == "MIN" else -np.inf
        leaves = tree_ensemble(x, tables, values[:, :1], np.zeros(1, dtype), leaf=True)
        each = _core.take(ops.convert_to_tensor(np.where(spoken, values, end).astype(dtype)), leaves, axis=0)
        y = (_core.min if aggregate == "MIN" else _core.max)(each, axis=[1])
        if not spoken.all():
            # A target that no leaf speaks of is 0.
            told = _core.max(_core.take(ops.convert_to_tensor(spoken.astype(dtype)), leaves, axis=0), axis=[1])
            y = _core.where(_core.greater(told, 0.0), y, ops.cast(0.0, dtype))
        return _core.add(y, ops.convert_to_tensor(base.astype(dtype)))


def _transformed(y, kind):
    if kind == "NONE":
        return y
    if kind == "SOFTMAX":
        return _core.softmax(y, axis=-1)
    if kind == "LOGISTIC":
        return _core.sigmoid(y)
    raise NotImplementedError(f"post_transform must be NONE, SOFTMAX or LOGISTIC, received {kind}")


def _is_member(column, group):
    """1 where a value of the column is in the group, 0 elsewhere, NaN for NaN."""
    found = _core.equal(column, ops.convert_to_tensor(group.astype(column.dtype).reshape(1, -1)))
    found = ops.cast(ops.any(found, axis=1, keepdims=True), column.dtype)
    return _core.where(_core.isnan(column), column, found)


def _targets(count):
    """A number of targets that a table can have."""
    if not 1 <= count <= _MOST_TARGETS:
        raise ValueError(f"n_targets must be in [1, {_MOST_TARGETS}], received {count}")
    return count


def _equally_long(**lists):
    """An error unless all lists have one length."""
    sizes = {name: len(items) for name, items in lists.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"lists of nodes or leaves must be equally long, received {sizes}")


def _word(words, number, what):
    if not 0 <= number < len(words):
        raise ValueError(f"{what} must be in [0, {len(words)}), received {number}")
    return words[number]


@converts("TreeEnsemble", domain="ai.onnx.ml")
def tree_ensemble_5(call, x):
    made, targets = _Ensemble(), _targets(call.attr("n_targets", 1))
    splits, modes = (call.need(f"nodes_{n}").numpy().astype("float64") for n in ("splits", "modes"))
    features, tracks = call.need("nodes_featureids"), call.attr("nodes_missing_value_tracks_true") or [0] * len(splits)
    modes = [_word(_MODES, int(m), "nodes_modes") for m in modes]
    _equally_long(
        splits=splits, modes=modes, featureids=features, missing_value_tracks_true=tracks,
        **{f"{s}{k}": call.need(f"nodes_{s}{k}") for s in ("true", "false") for k in ("nodeids", "leafs")},
    )  # fmt: skip
    for feature, split, mode, track in zip(features, splits, modes, tracks):
        made.node(feature, split, mode, bool(track))
    members = call.attr("membership_values")
    if members is not None:
        members = members.numpy().astype("float64")
        ends = np.flatnonzero(np.isnan(members))
        groups = [g[~np.isnan(g)] for g in np.split(members, ends)]
        for node, group in zip([i for i, m in enumerate(modes) if m == "in"], groups):
            if (group == np.floor(group)).all() and (group >= 0).all():
                made.sets[node] = group.astype("int64").tolist()
                continue
            # Sets of the engine hold integers >= 0; for others a column of x says who is a member.
            x = _core.concatenate(x, _is_member(x[:, features[node] : features[node] + 1], group), axis=1)
            made.feature[node], made.threshold[node], made.mode[node] = x.shape[1] - 1, 1.0, "=="
    ids, weights = call.need("leaf_targetids"), call.need("leaf_weights").numpy().astype("float64")
    _equally_long(leaf_targetids=ids, leaf_weights=weights)
    for side, children in (("true", made.yes), ("false", made.no)):
        to, is_leaf = call.need(f"nodes_{side}nodeids"), call.need(f"nodes_{side}leafs")
        for i in range(len(splits)):
            children[i] = to[i]
            if is_leaf[i]:
                children[i] = made.add_leaf(targets, [(_word(ids, to[i], "leaves"), weights[to[i]])])
    made.roots = list(call.need("tree_roots"))
    aggregate = _word(_AGGREGATES, call.attr("aggregate_function", 1), "aggregate_function")
    y = made.result(x, aggregate, np.zeros(targets), x.dtype)
    return _transformed(y, _word(_TRANSFORMS, call.attr("post_transform", 0), "post_transform"))


def _older(call, kind, targets):
    """The ensemble of the attributes of TreeEnsembleRegressor and TreeEnsembleClassifier."""
    made = _Ensemble()
    trees, nodes, modes = (call.need(f"nodes_{n}") for n in ("treeids", "nodeids", "modes"))
    place = {key: i for i, key in enumerate(zip(trees, nodes))}
    if len(place) != len(trees):
        raise ValueError("nodes of a tree must have different numbers, received two with one")
    splits = call.attr("nodes_values")
    splits = call.need("nodes_values_as_tensor").numpy() if splits is None else splits
    tracks = call.attr("nodes_missing_value_tracks_true") or [0] * len(trees)
    weights = call.attr(f"{kind}_weights")
    weights = call.need(f"{kind}_weights_as_tensor").numpy() if weights is None else weights
    sides = {side: call.need(f"nodes_{side}nodeids") for side in ("true", "false")}
    features = call.need("nodes_featureids")
    _equally_long(
        treeids=trees, nodeids=nodes, modes=modes, featureids=features, values=splits,
        missing_value_tracks_true=tracks, truenodeids=sides["true"], falsenodeids=sides["false"],
    )  # fmt: skip
    owners, ids = (call.need(f"{kind}_{n}") for n in ("treeids", "ids"))
    owned = call.need(f"{kind}_nodeids")
    _equally_long(treeids=owners, nodeids=owned, ids=ids, weights=weights)
    pairs = {}
    for key, target, weight in zip(zip(owners, owned), ids, weights):
        pairs.setdefault(key, []).append((target, float(weight)))
    for i, key in enumerate(zip(trees, nodes)):
        if modes[i] not in _NAMES:
            raise NotImplementedError(f"nodes_modes must be of {sorted(_NAMES)}, received {modes[i]!r}")
        if modes[i] == "LEAF":
            made.add_leaf(targets, pairs.get(key, []))
        else:
            made.node(features[i], float(splits[i]), _NAMES[modes[i]], bool(tracks[i]))
    children = set()
    for side, found in (("true", made.yes), ("false", made.no)):
        for i, to in enumerate(sides[side]):
            if modes[i] != "LEAF":
                found[i] = _word(range(len(place)), place.get((trees[i], to), -1), "children")
                children.add(found[i])
    made.roots = [i for i in range(len(trees)) if i not in children]
    if not len({trees[i] for i in made.roots}) == len(made.roots) == len(set(trees)):
        raise ValueError(f"a tree must have one root, received {len(made.roots)} roots in {len(set(trees))} trees")
    if made.reached() != len(trees):
        raise ValueError(f"nodes must not form a circle, received {len(trees) - made.reached()} without a way to them")
    base = call.attr("base_values")
    base = call.attr("base_values_as_tensor") if base is None else np.array(base)
    base = np.zeros(targets) if base is None else np.asarray(base if isinstance(base, np.ndarray) else base.numpy())
    # One number goes for all classes.
    if len(base) not in {targets, 1 if kind == "class" else targets}:
        raise ValueError(f"base_values must be {targets} numbers, received {len(base)}")
    return made, base


@converts("TreeEnsembleRegressor", domain="ai.onnx.ml")
def tree_ensemble_regressor(call, x):
    targets = _targets(call.attr("n_targets", 1))
    made, base = _older(call, "target", targets)
    x = x if x.dtype in ("float32", "float64") else ops.cast(x, "float32")
    aggregate = call.attr("aggregate_function", "SUM")
    if aggregate not in _AGGREGATES:
        raise ValueError(f"aggregate_function must be of {_AGGREGATES}, received {aggregate!r}")
    y = made.result(x, aggregate, base, x.dtype)
    return ops.cast(_transformed(y, call.attr("post_transform", "NONE")), "float32")


@converts("TreeEnsembleClassifier", domain="ai.onnx.ml")
def tree_ensemble_classifier(call, x):
    """(labels, scores)."""
    labels = call.attr("classlabels_int64s")
    if not labels:
        raise NotImplementedError("labels must be integers, received classlabels_strings")
    made, base = _older(call, "class", len(labels))
    x = x if x.dtype in ("float32", "float64") else ops.cast(x, "float32")
    kind, names = call.attr("post_transform", "NONE"), ops.convert_to_tensor(np.array(labels, "int64"))
    if len(labels) == 2 and np.any(made.spoken, axis=0).tolist() == [True, False]:
        return _two_classes(made, base, x, kind, names)
    y = made.result(x, "SUM", np.resize(base, len(labels)), x.dtype)
    return _core.take(names, _core.argmax(y, axis=1), axis=0), ops.cast(_transformed(y, kind), "float32")


def _two_classes(made, base, x, kind, names):
    """Leaves of class 0 alone mean the other one: its share where all are positive, else a score around 0."""
    made.values, made.spoken = ([row[:1] for row in rows] for rows in (made.values, made.spoken))
    y = made.result(x, "SUM", base[:1], x.dtype)
    is_share = all(not (row < 0).any() for row in made.values)
    label = ops.cast(_core.greater(y, 0.5 if is_share else 0.0), "int32")
    if kind == "LOGISTIC":
        scores = [_core.sigmoid(_core.negative(y)), _core.sigmoid(y)]
    elif kind == "NONE":
        scores = [_core.subtract(1.0, y) if is_share else _core.negative(y), y]
    else:
        raise NotImplementedError(f"post_transform of one class must be NONE or LOGISTIC, received {kind}")
    names = _core.take(names, _core.reshape(label, shape=[-1]), axis=0)
    return names, ops.cast(_core.concatenate(*scores, axis=1), "float32")
