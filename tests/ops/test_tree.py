"""Trees: hostile tables, thresholds that round, mixed dtypes, errors. Cases are in tree_cases.py."""

import itertools

import numpy as np
import pytest

from maas import _core
from maas.classical.tree_tables import tree_ensemble, tree_tables
from tests.ops import support
from tests.ops.tree_cases import forest, reference

X = np.random.default_rng(0).standard_normal((50, 4))


def stump(mode, threshold, dtype, missing=False, **options):
    """One comparison: 1 where it is true, 2 where it is false."""
    tables = tree_tables(
        [0], [0, 0, 0], [threshold, 0, 0], [1, 0, 0], [2, 0, 0], [-1, 0, 1], mode=mode, missing_true=[missing] * 3,
        dtype=dtype, **options,
    )  # fmt: skip
    return lambda x: np.asarray(tree_ensemble(np.asarray(x, dtype)[:, None], tables, [[1.0], [2.0]], [0.0]))[:, 0] == 1


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_comparison_is_the_one_of_the_wide_threshold(level, dtype):
    near = np.array([0, 1, -1, 0.1, -0.1, 1e-38, 3.5e38, -3.5e38, 1 / 3, np.finfo(dtype).tiny], "float64")
    wide = np.concatenate([near, np.nextafter(near, np.inf), np.nextafter(near, -np.inf)])
    with np.errstate(over="ignore"):
        narrow = near.astype(dtype)
        up, down = np.nextafter(narrow, dtype_of(dtype, np.inf)), np.nextafter(narrow, dtype_of(dtype, -np.inf))
    x = np.concatenate([narrow, up, down, dtype_of(dtype, [np.inf, -np.inf])])
    x = x[(x == 0) | (np.abs(x) >= np.finfo(dtype).tiny)]
    compare = {
        "<=": np.less_equal, "<": np.less, ">=": np.greater_equal, ">": np.greater, "==": np.equal, "!=": np.not_equal,
    }  # fmt: skip
    with support.isa(level):
        for (mode, f), t in itertools.product(compare.items(), wide):
            if t and abs(t) < np.finfo("float64").tiny:
                continue
            np.testing.assert_array_equal(stump(mode, t, dtype)(x), f(x.astype("float64"), t), f"{mode} {t!r}")


def dtype_of(dtype, values):
    return np.asarray(values, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_missing_goes_where_it_is_told(dtype):
    for mode in ("<=", "<", ">=", ">", "==", "in"):
        for missing in (False, True):
            f = stump(mode, 0.5, dtype, missing, **({"sets": {0: [1, 70]}} if mode == "in" else {}))
            assert f([np.nan])[0] == missing
    assert stump("!=", 0.5, dtype)([np.nan])[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_members_of_sets(dtype):
    members = [0, 3, 31, 32, 64, 200]
    x = np.array([*range(260), -1, -7, 1e30, np.inf, -np.inf, 3.7, -0.5])
    want = np.isin(np.trunc(x), members)
    np.testing.assert_array_equal(stump("in", 0, dtype, sets={0: members})(x), want)
    assert not stump("in", 0, dtype, sets={0: []})(x).any()
    # Outside of the bits there are, numbers go where NaN goes.
    assert stump("in", 0, dtype, True, sets={0: members})([1e30, -7.0]).all()


def test_every_dtype_of_x_with_every_dtype_of_values():
    for dtype, value in itertools.product(("float32", "float64"), repeat=2):
        nodes, trees, values, sets, base = forest(20, 5, 4, dtype=dtype, outputs=2)
        values, base, x = values.astype(value), base.astype(value), X.astype(dtype)
        y = np.asarray(_core.tree(x, nodes, trees, values, sets, base, mixed=False))
        assert y.dtype == value
        np.testing.assert_allclose(y, reference(x, nodes, trees, values, sets, base), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hostile_tables_read_nothing_outside(level, dtype):
    """Any bits in the tables: sizes around end at guarded pages nowhere, so what is asked is that it ends."""
    rng = np.random.default_rng(1)
    nodes, trees, values, sets, base = forest(12, 5, 4, dtype=dtype, width=2, outputs=3)
    with support.isa(level):
        for turn in range(60):
            bad = [a.copy() for a in (nodes, trees, sets)]
            for a in bad:
                where = rng.random(a.shape) < (0.05 if turn % 2 else 0.9)
                a[where] = rng.integers(-(2**31), 2**31, int(where.sum()), dtype="int64").astype("int32")
            for rows, leaf in ((1, False), (50, False), (50, True)):
                y = _core.tree(X[:rows].astype(dtype), bad[0], bad[1], values, bad[2], base, leaf=leaf)
                assert np.asarray(y).shape == (rows, 12 if leaf else 3)
                assert not leaf or (np.asarray(y) < len(values)).all()


def test_a_cycle_ends():
    nodes = np.array([[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], "int32")
    trees = np.array([[0, 2**31 - 1, 0]], "int32")
    y = _core.tree(X.astype("float32"), nodes, trees, np.ones((1, 1), "float32"), trees[0], np.zeros(1, "float32"))
    assert (np.asarray(y) == 1).all()


def test_trees_without_nodes_give_the_base():
    nodes, _, values, sets, base = forest(1, 0, 4, dtype="float32")
    y = _core.tree(X.astype("float32"), nodes, np.zeros((0, 3), "int32"), values, sets, base)
    np.testing.assert_array_equal(np.asarray(y), np.broadcast_to(base, (50, 1)))


@pytest.mark.parametrize(
    "change, kind, text",
    [
        ({0: X.astype("int64")}, TypeError, "^tree: x must be float32 or float64, received int64$"),
        ({0: X[0]}, ValueError, r"^tree: x must have shape \(rows, features\).*received \(4,\)$"),
        ({1: np.zeros((2, 3), "int32")}, ValueError, r"^tree: nodes must have shape \(n, 4\).*received \(2, 3\)$"),
        ({1: np.zeros((0, 4), "int32")}, ValueError, r"^tree: nodes must be from 1.*received \(0, 4\)$"),
        ({2: np.zeros((1, 3), "int64")}, TypeError, "^tree: trees must be int32, received int64$"),
        ({3: np.zeros((0, 1))}, ValueError, "^tree: values must have shape .*one leaf or more"),
        ({4: np.zeros((1, 1), "int32")}, ValueError, r"^tree: sets must have shape \(n,\).*received \(1, 1\)$"),
        (
            {5: np.zeros(2, "float32")},
            TypeError,
            "^tree: base must have the dtype of values, float64, received fl",
        ),
    ],
)
def test_errors(change, kind, text):
    operands = list(forest(2, 2, 4, dtype="float64"))
    operands[2], operands[4] = operands[2].astype("float64"), operands[4].astype("float64")
    operands.insert(0, X)
    for at, value in change.items():
        operands[at] = value
    with pytest.raises(kind, match=text):
        _core.tree(*operands)


def test_tables_name_what_is_wrong():
    good = {
        "roots": [0], "feature": [0, 0, 0], "threshold": [0.0] * 3, "true_child": [1, 0, 0], "false_child": [2, 0, 0],
        "leaf": [-1, 0, 1],
    }  # fmt: skip
    tree_tables(**good)
    for change, text in (
        ({"mode": "=>"}, "a mode must be one of.*'=>'"),
        ({"true_child": [7, 0, 0]}, "a node must be in .0, 3., received 7"),
        ({"true_child": [0, 0, 0]}, "every node must have one parent"),
        ({"feature": [-1, 0, 0]}, "features and leaves must be from 0"),
        ({"mode": "in", "sets": {0: [-1]}}, "members of a set must be from 0"),
    ):
        with pytest.raises(ValueError, match=text):
            tree_tables(**{**good, **change})
