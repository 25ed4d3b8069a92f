"""Cases of tree ensembles and what they mean: one row, one tree, one step at a time."""

import numpy as np

from maas.classical.tree_tables import tree_tables
from tests.ops.case import Case, Op, Operand

_MISSING_LEFT, _EQUAL, _SET = 1 << 31, 1 << 30, 1 << 29


def reference(x, nodes, trees, values, sets, base, leaf=False, mixed=True):
    nodes, wide = np.ascontiguousarray(nodes).view("uint32").astype("int64"), _thresholds(nodes)
    ends = np.zeros((len(x), len(trees)), "int32")
    y = np.tile(base, (len(x), 1))
    for r, row in enumerate(x):
        for t, (root, depth, target) in enumerate(trees):
            at = root
            for _ in range(depth):
                word, left, low, high = nodes[at]
                v = row[word % (1 << 28)] if left != at else 0.0
                if word & _SET and mixed:
                    inside = -1 < v < high
                    goes = sets[low + int(v) // 32] >> (int(v) % 32) & 1 if inside else word & _MISSING_LEFT
                else:
                    goes = v == wide[at] if word & _EQUAL and mixed else v <= wide[at]
                    goes = goes or (np.isnan(v) and word & _MISSING_LEFT)
                at = left + (0 if goes else 1)
            ends[r, t] = nodes[at, 0] % (1 << 28)
            y[r, target : target + values.shape[1]] += values[ends[r, t]]
    return ends if leaf else y


# The dtype of x is known by the thresholds that are in use: those of float32 leave the last column empty.
def _thresholds(nodes):
    halves = np.ascontiguousarray(np.asarray(nodes)[:, 2:])
    word = np.asarray(nodes)[:, 0].view("uint32")
    own = word & _SET == 0
    if not halves[own, 1].any():
        return halves[:, :1].copy().view("float32")[:, 0].astype("float64")
    return halves.view("float64")[:, 0]


def forest(trees, depth, features, *, dtype, seed=0, modes=("<=",), width=1, outputs=1, full=False):
    """(nodes, trees, values, sets, base) of random trees."""
    rng = np.random.default_rng(seed)
    roots, feature, threshold, yes, no, leaf, mode, sets = [], [], [], [], [], [], [], {}

    def grow(level):
        me = len(feature)
        stop = level == depth or (not full and rng.random() < 0.2)
        for column, value in (
            (feature, rng.integers(features)), (threshold, np.round(rng.standard_normal(), 1)), (yes, 0), (no, 0),
            (leaf, me if stop else -1), (mode, str(rng.choice(modes))),
        ):  # fmt: skip
            column.append(value)
        if not stop:
            if mode[me] == "in":
                sets[me] = rng.integers(0, 40, 6)
            yes[me], no[me] = grow(level + 1), grow(level + 1)
        return me

    for _ in range(trees):
        roots.append(grow(0))
    tables = tree_tables(
        roots, feature, threshold, yes, no, leaf, mode=mode, missing_true=rng.random(len(feature)) < 0.5, sets=sets,
        target=np.arange(trees) % (outputs - width + 1), dtype=dtype,
    )  # fmt: skip
    values = rng.standard_normal((len(feature), width)).astype("float32")
    return tables["nodes"], tables["trees"], values, tables["sets"], rng.standard_normal(outputs).astype("float32")


def tens(rng, shape):
    """Values that meet thresholds and members of sets, and what is no number."""
    x = np.where(rng.random(shape) < 0.5, np.round(rng.standard_normal(shape), 1), rng.integers(-3, 45, shape))
    return np.where(rng.random(shape) < 0.1, rng.choice([np.nan, np.inf, -np.inf, 1e-41, 1e30], shape), x)


def case(rows, features, trees, depth, dtype="float32", mixed=False, leaf=False, bench=False, **options):
    if mixed:
        options["modes"] = ("<=", "<", ">=", ">", "==", "!=", "in")
    tables = forest(trees, depth, features, dtype=dtype, **options)
    x = Operand((rows, features), "normal" if bench else tens)
    return Case(x, *tables, dtypes=(dtype,), bench=bench, leaf=leaf, mixed=mixed, note=dtype if bench else "")


def cases(dtype):
    return [
        case(1, 1, 1, 0, dtype),
        case(1, 4, 1, 3, dtype),
        case(1, 3, 19, 5, dtype, outputs=3),
        case(7, 5, 3, 4, dtype, width=3, outputs=3),
        case(33, 6, 10, 6, dtype, width=2, outputs=4),
        case(70, 6, 5, 5, dtype, mixed=True),
        case(5, 6, 9, 5, dtype, mixed=True, width=2, outputs=2),
        case(40, 6, 9, 4, dtype, leaf=True),
        case(300, 2, 2, 8, dtype, full=True),
        case(0, 3, 2, 2, dtype),
        case(1, 20, 100, 8, dtype, full=True, bench=True),
        case(10_000, 20, 100, 8, dtype, full=True, bench=True),
    ]


CASES = cases("float32") + cases("float64")


def error(x, nodes, trees, values, *_, **__):
    return np.full(1, 1.0 + len(trees))


OPS = [Op("tree", reference, CASES, epsilons=8, error=error, gradient=False, rows=(0,))]
