"""Trees of the domain ai.onnx.ml: the answers of ONNX Runtime."""

import numpy as np
import pytest
from onnx import TensorProto, helper

import maas
from tests.onnx.oracle import answers

ROWS, FEATURES = 200, 5


def _nodes(rng, trees, depth):
    """Attributes of full trees, some values of which rows have too; (tree, node) of the leaves."""
    names = ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")
    rows, leaves = [], []
    for tree in range(trees):
        for node in range(2 ** (depth + 1) - 1):
            is_leaf = node >= 2**depth - 1
            mode = "LEAF" if is_leaf else ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT")[tree % 4]
            rows.append((tree, node, int(rng.integers(FEATURES)), float(np.round(rng.normal(), 1)), mode,
                         0 if is_leaf else 2 * node + 1, 0 if is_leaf else 2 * node + 2))  # fmt: skip
            if is_leaf:
                leaves.append((tree, node))
    return {f"nodes_{n}": list(v) for n, v in zip(names, zip(*rows))}, leaves


def _model(op, outputs, attributes):
    node = helper.make_node(op, ["x"], [n for n, _ in outputs], domain="ai.onnx.ml", **attributes)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", FEATURES])
    graph = helper.make_graph([node], "g", [x], [helper.make_tensor_value_info(n, k, None) for n, k in outputs])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)])
    proto.ir_version = 8
    return proto.SerializeToString()


def cases():
    rng, found = np.random.default_rng(0), {}
    for aggregate in ("SUM", "AVERAGE", "MIN", "MAX"):
        nodes, leaves = _nodes(rng, 6, 3)
        own = {
            "target_treeids": [t for t, _ in leaves], "target_nodeids": [n for _, n in leaves],
            "target_ids": [int(t % 2) for t, _ in leaves], "target_weights": rng.normal(size=len(leaves)).tolist(),
            "n_targets": 2, "aggregate_function": aggregate, "base_values": [0.25, -1.0],
        }  # fmt: skip
        found[f"regressor {aggregate}"] = _model("TreeEnsembleRegressor", [("y", TensorProto.FLOAT)], {**nodes, **own})
    outputs = [("label", TensorProto.INT64), ("y", TensorProto.FLOAT)]
    for kind in ("NONE", "LOGISTIC", "SOFTMAX"):
        for classes, ids in ((3, None), (2, 0), (2, 1), (2, "positive")):
            if kind == "SOFTMAX" and classes == 2:
                continue
            nodes, leaves = _nodes(rng, 6, 3)
            weights = rng.normal(size=len(leaves))
            own = {
                "class_treeids": [t for t, _ in leaves], "class_nodeids": [n for _, n in leaves],
                "class_ids": [int(t % classes) if ids is None else int(ids == 1) for t, _ in leaves],
                "class_weights": (abs(weights) / 10 if ids == "positive" else weights).tolist(),
                "classlabels_int64s": [7, 3, 9][:classes], "post_transform": kind,
            }  # fmt: skip
            found[f"classifier {kind} {classes} {ids}"] = _model("TreeEnsembleClassifier", outputs, {**nodes, **own})
    return found


def odd_leaves():
    """Weights that are no numbers, or infinite in all trees, and targets that no leaf of a row speaks of."""
    rng, found = np.random.default_rng(2), {}
    for name, aggregate, weight in (
        ("nan", "SUM", np.nan), ("nan", "AVERAGE", np.nan), ("inf", "MIN", np.inf), ("-inf", "MAX", -np.inf),
        ("few", "MIN", None), ("few", "MAX", None), ("few", "SUM", None),
    ):  # fmt: skip
        nodes, leaves = _nodes(rng, 3, 2)
        weights = rng.normal(size=len(leaves))
        if weight is not None:
            weights[:: 5 if np.isnan(weight) else 1] = weight
        ids = [int(n % 4) for _, n in leaves] if weight is None else [0] * len(leaves)
        own = {
            "target_treeids": [t for t, _ in leaves], "target_nodeids": [n for _, n in leaves], "target_ids": ids,
            "target_weights": weights.tolist(), "n_targets": max(ids) + 1, "aggregate_function": aggregate,
        }  # fmt: skip
        found[f"{aggregate} {name}"] = _model("TreeEnsembleRegressor", [("y", TensorProto.FLOAT)], {**nodes, **own})
    return found


@pytest.fixture(scope="module")
def both():
    x = np.round(np.random.default_rng(1).normal(size=(ROWS, FEATURES)), 1).astype("float32")
    models = cases() | odd_leaves()
    return x, models, answers({name: (data, [[x]]) for name, data in models.items()})


@pytest.mark.parametrize("name", list(cases() | odd_leaves()))
def test_answers_are_those_of_onnx_runtime(both, name):
    x, models, expected = both
    found = maas.onnx.load(models[name])(x)
    for y, e in zip(found if isinstance(found, list) else [found], expected[name][0], strict=True):
        assert (y.shape, str(y.dtype)) == (e.shape, str(e.dtype))
        np.testing.assert_allclose(y.numpy(), e, rtol=1e-5, atol=1e-6)


def test_labels_of_text_are_told():
    nodes, leaves = _nodes(np.random.default_rng(0), 1, 1)
    own = {"class_treeids": [0] * 2, "class_nodeids": [1, 2], "class_ids": [0, 1], "class_weights": [1.0, 1.0]}
    data = _model("TreeEnsembleClassifier", [("label", TensorProto.STRING), ("y", TensorProto.FLOAT)],
                  {**nodes, **own, "classlabels_strings": ["a", "b"]})  # fmt: skip
    with pytest.raises((TypeError, NotImplementedError), match="string"):
        maas.onnx.load(data)(np.zeros((1, FEATURES), "float32"))


def _regressor(**changes):
    """A tree of one comparison: 1 where x[0] <= 0.5, else 2."""
    own = {
        "nodes_treeids": [0] * 3, "nodes_nodeids": [0, 1, 2], "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_featureids": [0] * 3, "nodes_values": [0.5, 0.0, 0.0], "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0], "target_treeids": [0, 0], "target_nodeids": [1, 2], "target_ids": [0, 0],
        "target_weights": [1.0, 2.0], "n_targets": 1,
    }  # fmt: skip
    return maas.onnx.load(_model("TreeEnsembleRegressor", [("y", TensorProto.FLOAT)], {**own, **changes}))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"nodes_featureids": [FEATURES, 0, 0]}, "features must be"),
        ({"nodes_featureids": [-1, 0, 0]}, "features and leaves must be"),
        ({"nodes_modes": ["BRANCH_LEQ"]}, "equally long"),
        ({"nodes_truenodeids": [1]}, "equally long"),
        ({"nodes_missing_value_tracks_true": [1]}, "equally long"),
        ({"target_weights": [1.0]}, "equally long"),
        ({"nodes_truenodeids": [0, 0, 0]}, "form a circle"),
        ({"nodes_truenodeids": [2, 0, 0]}, "one root"),
        ({"target_ids": [-1, 0]}, "targets must be"),
        ({"n_targets": -1}, "n_targets must be"),
        ({"n_targets": 2**40}, "n_targets must be"),
        ({"aggregate_function": "MEDIAN"}, "aggregate_function must be"),
        ({"base_values": [1.0, 2.0]}, "base_values must be"),
    ],
)
def test_trees_that_contradict_themselves_are_told(changes, match):
    with pytest.raises(ValueError, match=match):
        _regressor(**changes)(np.zeros((1, FEATURES), "float32"))


def test_an_infinite_leaf_and_no_rows():
    model = _regressor(target_weights=[np.inf, 2.0])
    x = np.eye(2, FEATURES, dtype="float32")
    np.testing.assert_array_equal(model(x).numpy(), [[2], [np.inf]])
    assert model(x[:0]).shape == (0, 1)
