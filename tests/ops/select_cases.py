"""Cases of ops whose results have as many elements as the data says: here padded, as the kernels make them."""

import numpy as np

from tests.ops.case import Case, Op

DTYPES = ("float32", "float64", "float16", "int8", "uint8", "int32", "int64", "bool")
WHOLE = "every result depends on all elements"


def padded(values, size):
    return np.concatenate([values, np.zeros(size - len(values), values.dtype)])


def nonzero(x):
    places = np.flatnonzero(x).astype("int32")
    return padded(places, x.size), np.int32(len(places))


def unique(x):
    values, *facts = np.unique(x, return_index=True, return_inverse=True, return_counts=True)
    index, inverse, counts = (f.reshape(-1).astype("int32") for f in facts)
    return padded(values, x.size), np.int32(len(values)), padded(index, x.size), inverse, padded(counts, x.size)


def zeros_and_ones(rng, shape):
    return rng.integers(-1, 2, shape).astype("float64")


OPS = [
    Op(
        "nonzero",
        nonzero,
        [Case((3, 5), values=zeros_and_ones), Case((70,), values=zeros_and_ones), Case((0, 3)), Case(np.zeros((2, 2)))],
        dtypes=DTYPES,
        gradient=False,
        rows=WHOLE,
    ),
    Op(
        "unique",
        unique,
        [Case((4, 9), values="ties"), Case((1,)), Case((0,)), Case((200,), values="ties")],
        dtypes=DTYPES,
        epsilons=0,
        gradient=False,
        rows=WHOLE,
    ),
]
