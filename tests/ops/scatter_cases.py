"""Cases of writing by index, and what it means, in NumPy."""

import numpy as np

from tests.ops.case import Case, Op, index

ALL = ("float32", "float64", "float16", "int8", "uint8", "int32", "int64")
FOLDS = {"add": np.add, "multiply": np.multiply, "max": np.maximum, "min": np.minimum}


def places(indices):
    return tuple(np.moveaxis(indices, -1, 0))


def scatter_update(x, indices, updates, mode, wrap=True):
    y = x.copy()
    at, flat = indices.reshape(-1, indices.shape[-1]), updates.reshape(-1, *x.shape[indices.shape[-1] :])
    for j, i in enumerate(map(tuple, at)):
        y[i] = flat[j] if mode == "set" else FOLDS[mode](y[i], flat[j])
    return y


def neutral(mode, dtype):
    if mode == "multiply":
        return 1
    if mode not in ("max", "min"):
        return 0
    low, high = (-np.inf, np.inf) if dtype.kind == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return low if mode == "max" else high


def scatter(indices, updates, shape, mode, wrap=True):
    return scatter_update(np.full(shape, neutral(mode, updates.dtype), updates.dtype), indices, updates, mode)


def gather_nd(x, indices, wrap=True):
    return x[places(indices)]


def sizes(indices, updates, shape, mode, wrap=True):
    return scatter(indices, np.abs(updates), shape, mode)


def update_sizes(x, indices, updates, mode, wrap=True):
    return np.maximum(scatter_update(np.abs(x), indices, np.abs(updates), mode), 1e-3)


def into(mode, wrap=True):
    # Where nothing is written a maximum is infinite: no differences there.
    finite = mode not in ("max", "min")
    return [
        Case(index((1, 1), 5, negative=wrap), (1,), shape=[5], mode=mode, wrap=wrap, gradient=finite),
        Case(index((9, 1), 5, "int32", wrap), (9, 3), shape=[5, 3], mode=mode, wrap=wrap, gradient=finite),
        Case(index((2, 4, 2), 6, negative=wrap), (2, 4, 3), shape=[6, 6, 3], mode=mode, wrap=wrap, gradient=finite),
        Case(index((0, 1), 5, negative=wrap), (0, 3), shape=[5, 3], mode=mode, wrap=wrap, gradient=finite),
        Case(index((9, 1), 3, negative=wrap), (9, 2500), shape=[3, 2500], mode=mode, wrap=wrap),  # several units
    ]


def update(mode):
    return [
        Case((5,), index((3, 1), 5), (3,), mode=mode),
        Case((5, 3), index((9, 1), 5, "int32"), (9, 3), mode=mode),
        Case((6, 6, 3), index((2, 4, 2), 6), (2, 4, 3), mode=mode),
        Case((5, 3), index((0, 1), 5), (0, 3), mode=mode),
    ]


GATHER = [
    Case((5,), index((3, 1), 5)),
    Case((6, 6, 3), index((2, 4, 2), 6)),
    Case((5, 3), index((9, 1), 5, "int32", False), wrap=False),
]
MEASURED = [Case(index((100_000, 1), 1000), (100_000, 64), shape=[1000, 64], mode="add", bench=True)]
MEET = "updates of one place meet"
OPS = [
    *(
        Op("scatter", scatter, into(mode, mode != "max") + (MEASURED if mode == "add" else []), dtypes=ALL,
           epsilons=16, error=sizes, gradient=mode != "multiply", rows=MEET)
        for mode in ("add", "set", "max", "min", "multiply")
    ),
    *(
        Op("scatter_update", scatter_update, update(mode), dtypes=ALL, epsilons=16, error=update_sizes,
           gradient=mode != "multiply", rows=MEET)
        for mode in ("add", "set", "max", "min", "multiply")
    ),
    Op("gather_nd", gather_nd, GATHER, dtypes=(*ALL, "bool"), epsilons=0, gradient_epsilons=300, rows=(1,)),
]  # fmt: skip
