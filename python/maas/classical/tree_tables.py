"""Decision trees of any origin as the tables that the op `tree` reads (cpp/ops/tree/tree_kernels.h)."""

import numpy as np

from maas import _core, ops

_MISSING_LEFT, _EQUAL, _SET = 1 << 31, 1 << 30, 1 << 29
_MODES = ("<=", "<", ">=", ">", "==", "!=", "in")


def tree_tables(
    roots, feature, threshold, true_child, false_child, leaf, *,
    mode=None, missing_true=None, sets=None, target=None, dtype="float32",
):  # fmt: skip
    """The nodes of all trees of an ensemble as tables for `tree_ensemble`.

    Args:
        roots: ints (trees,), the number of each tree's root among the nodes.
        feature: ints (nodes,), the column of x that a node reads.
        threshold: floats (nodes,), what it is compared with.
        true_child, false_child: ints (nodes,), the node that comes next.
        leaf: ints (nodes,), the row of `values` of a leaf, -1 for a node that compares.
        mode: one of "<=", "<", ">=", ">", "==", "!=" and "in" for all nodes, or a sequence of them; default "<=".
        missing_true: bools (nodes,): where a NaN counts as true. Elsewhere it counts as false, but "!=" is true of it.
        sets: dict of node to the integers, not negative, for which its "in" is true.
        target: ints (trees,), the column of the result where a tree's values begin; default 0.
        dtype: of x, float32 or float64. Thresholds that it cannot hold are rounded so that no comparison changes.

    Returns:
        dict of `nodes` int32 (n, 4), `trees` int32 (trees, 3), `sets` int32 (words,) and `mixed` bool.

    Raises:
        ValueError: for a mode that is none of these, a child that does not exist, or a node with two parents.
    """
    roots, feature, leaf = (np.asarray(a, "int64") for a in (roots, feature, leaf))
    n, sets, dtype = len(feature), sets or {}, np.dtype(dtype)
    modes = np.full(n, mode or "<=") if mode is None or isinstance(mode, str) else np.asarray(mode, str)
    unknown = sorted(set(modes[leaf < 0].tolist()) - set(_MODES))
    if unknown:
        raise ValueError(f"tree_tables: a mode must be one of {', '.join(_MODES)}, received {unknown[0]!r}")
    missing = np.zeros(n, bool) if missing_true is None else np.asarray(missing_true, bool).copy()
    missing |= modes == "!="
    yes, no = np.asarray(true_child, "int64"), np.asarray(false_child, "int64")
    # What is true of the larger is written as what is false of the smaller.
    turned = np.isin(modes, (">=", ">", "!="))
    left, right = np.where(turned, no, yes), np.where(turned, yes, no)
    missing_left = np.where(turned, ~missing, missing)
    limit = _limits(np.asarray(threshold, "float64"), modes, dtype)
    order, tree, depth = _breadth_first(roots, left, right, leaf)
    place = np.full(n, -1)
    place[order] = np.arange(len(order))

    is_leaf = leaf[order] >= 0
    words, low_high = _sets(order, modes, sets, leaf), np.zeros((len(order), 2), "uint32")
    bits = np.where(leaf >= 0, 0, limit)[order].astype(dtype).view("uint32").reshape(len(order), -1)
    low_high[:, : bits.shape[1]] = bits
    for node, first, count in words[1]:
        low_high[place[node]] = first, count
    flags = np.where(~is_leaf & missing_left[order], _MISSING_LEFT, 0)
    flags |= np.where(~is_leaf & np.isin(modes[order], ("==", "!=")), _EQUAL, 0)
    flags |= np.where(~is_leaf & (modes[order] == "in"), _SET, 0)
    first = np.where(is_leaf, leaf[order], feature[order])
    if len(first) and (first.min() < 0 or first.max() >= 1 << 28):
        raise ValueError(
            f"tree_tables: features and leaves must be from 0 to 2^28 - 1, received {first.min()}, {first.max()}"
        )
    nodes = np.empty((len(order), 4), "uint32")
    nodes[:, 0] = first | flags
    nodes[:, 1] = np.where(is_leaf, np.arange(len(order)), place[np.where(is_leaf, order, left[order])])
    nodes[:, 2:] = low_high
    depths = np.zeros(len(roots), "int64")
    np.maximum.at(depths, tree, depth)
    target = np.zeros(len(roots), "int64") if target is None else np.asarray(target, "int64")
    trees = np.stack([place[roots], depths, target], axis=1).astype("int32")
    mixed = bool(np.isin(modes[leaf < 0], ("==", "!=", "in")).any())
    return {"nodes": nodes.view("int32"), "trees": trees, "sets": words[0].view("int32"), "mixed": mixed}


def tree_ensemble(x, tables, values, base, leaf=False):
    """The sum of the leaves' values over the trees, `y[r] = base + sum_t values[leaf(t, x[r])]`, in the order of trees.

    Args:
        x: Tensor (rows, features) of the dtype that the tables were made for.
        tables: what `tree_tables` returned; its arrays may be replaced by tensors.
        values: Tensor (leaves, width), float32 or float64.
        base: Tensor (outputs,) of the dtype of `values`.
        leaf: bool; if true, the result is the leaf of every tree instead.

    Returns:
        Tensor (rows, outputs) of the dtype of `values`, or int32 (rows, trees).
    """
    x, values, base = (ops.convert_to_tensor(a) for a in (x, values, base))
    nodes, trees, sets = (ops.convert_to_tensor(tables[k]) for k in ("nodes", "trees", "sets"))
    return _core.tree(x, nodes, trees, values, sets, base, leaf=leaf, mixed=tables["mixed"])


def _limits(threshold, modes, dtype):
    """Thresholds t for x <= t (or x == t, as NaN where no x of `dtype` is) that decide like the given ones."""
    with np.errstate(over="ignore"):
        t = threshold.astype(dtype)
    wide, down = t.astype("float64"), np.nextafter(t, dtype.type(-np.inf))
    strict = np.isin(modes, ("<", ">="))
    t = np.where((wide > threshold) | (strict & (wide == threshold)), down, t)
    t = np.where(np.isin(modes, ("==", "!=")) & (wide != threshold), np.nan, t)
    # The engine takes denormals as 0: the next number below 0 is then the least normal one.
    tiny = np.finfo(dtype).tiny
    denormal = (t != 0) & (np.abs(t) < tiny)
    return np.where(denormal, np.where(t > 0, 0, -tiny), t).astype(dtype)


def _breadth_first(roots, left, right, leaf):
    """Nodes in an order that has every tree in one piece and siblings side by side; their trees and depths."""
    order, trees, depths = [], [], []
    at, tree, depth, count = roots, np.arange(len(roots)), 0, 0
    while len(at):
        if at.min() < 0 or at.max() >= len(leaf):
            bad = at[(at < 0) | (at >= len(leaf))][0]
            raise ValueError(f"tree_tables: a node must be in [0, {len(leaf)}), received {bad}")
        count += len(at)
        if count > len(leaf):
            raise ValueError(f"tree_tables: every node must have one parent, received {len(leaf)} nodes with more")
        order.append(at)
        trees.append(tree)
        depths.append(np.full(len(at), depth))
        inner = leaf[at] < 0
        at = np.stack([left[at[inner]], right[at[inner]]], axis=1).ravel()
        tree, depth = np.repeat(tree[inner], 2), depth + 1
    if not order:
        return tuple(np.zeros(0, "int64") for _ in range(3))
    order, trees, depths = (np.concatenate(a) for a in (order, trees, depths))
    by_tree = np.argsort(trees, kind="stable")
    return order[by_tree], trees[by_tree], depths[by_tree]


def _sets(order, modes, sets, leaf):
    """(words of all sets, [(node, its first word, its number of bits)])."""
    words, places, first = [np.zeros(1, "uint32")], [], 1
    for node in order[(modes[order] == "in") & (leaf[order] < 0)].tolist():
        members = np.unique(np.asarray(list(sets.get(node, ())), "int64"))
        if len(members) and (members[0] < 0 or members[-1] >= 1 << 24):
            raise ValueError(f"tree_tables: members of a set must be from 0 to 2^24 - 1, received {members}")
        count = int(members[-1]) + 1 if len(members) else 0
        bits = np.zeros((count + 31) // 32 * 32, "uint8")
        bits[members] = 1
        packed = np.packbits(bits, bitorder="little").view("uint32")
        words.append(packed)
        places.append((node, first, count))
        first += len(packed)
    return np.concatenate(words), places
