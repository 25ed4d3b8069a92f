"""Cases of random tensors, and what they mean: Philox4x32-10 (Salmon et al., 2011) in NumPy."""

from statistics import NormalDist

import numpy as np

from tests.ops.case import Case, Op

LOW = 0xFFFFFFFF
STATE = np.array([[7], [3]])


def philox(counter, key):
    """Four words a block; counter: four arrays, key: two numbers."""
    c, k = [np.asarray(w, "uint64") for w in counter], [int(w) for w in key]
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [b >> 32 ^ c[1] ^ k[0], b & LOW, a >> 32 ^ c[3] ^ k[1], a & LOW]
        k = [(k[0] + 0x9E3779B9) & LOW, (k[1] + 0xBB67AE85) & LOW]
    return c


def words(state, count, stream=0):
    """`count` 32-bit words: functions of seed, stream, step and their number alone."""
    seed, step = (int(s) % 2**64 for s in np.ravel(state))
    key = [int(w) for w in philox([stream & LOW, stream >> 32, 0, 0], [seed & LOW, seed >> 32])[:2]]
    block = np.arange(-(-count // 4), dtype="uint64")
    counter = [block & LOW, block >> 32, *(np.full_like(block, w) for w in (step & LOW, step >> 32))]
    return np.stack(philox(counter, key), -1).reshape(-1)[:count]


def wide_words(state, count, stream=0):
    """64-bit words, low half first."""
    pairs = words(state, 2 * count, stream).reshape(-1, 2)
    return pairs[:, 0] | pairs[:, 1] << 32


def bounded(w, size):
    return np.array([int(a) * size >> 64 for a in w], "int64")


def unit(state, shape, dtype, stream):
    """In [0, 1): 24 bits of a word, or 53 of a wide one."""
    n = int(np.prod(shape))
    if dtype == "float64":
        return ((wide_words(state, n, stream) >> 11) * 2.0**-53).reshape(shape)
    return ((words(state, n, stream) >> 8) * 2.0**-24).reshape(shape)


def uniform(state, shape, low=0.0, high=1.0, dtype="float32", stream=0):
    return low + unit(state, shape, dtype, stream) * (high - low)


def normal(state, shape, mean=0.0, stddev=1.0, truncated=False, dtype="float32", stream=0):
    p = (words(state, int(np.prod(shape)), stream) + 0.5) * 2.0**-32
    if truncated:
        cdf = NormalDist().cdf
        p = cdf(-2) + p * (cdf(2) - cdf(-2))
    return mean + stddev * np.array([NormalDist().inv_cdf(a) for a in p]).reshape(shape)


def integers(state, shape, low=0, high=2, dtype="int32", stream=0):
    return (low + bounded(wide_words(state, int(np.prod(shape)), stream), high - low)).astype(dtype).reshape(shape)


def permutation(state, size, stream=0):
    """Fisher and Yates."""
    y, w = np.arange(size[0], dtype="int32"), wide_words(state, size[0], stream)
    for i in range(size[0] - 1, 0, -1):
        j = int(w[i]) * (i + 1) >> 64
        y[i], y[j] = y[j], y[i]
    return y


def dropout(x, state, rate, stream=0):
    keep = (words(state, x.size, stream) >> 8 >= np.ceil(rate * 2**24)).reshape(x.shape)
    return np.where(keep, x / (1 - rate if rate < 1 else 1), 0)


def draw(name, meaning, cases, **keywords):
    return Op(name, meaning, cases, dtypes=("float32",), gradient=False, rows="draws follow each other", **keywords)


SIZES = [0, 1, 5, 31, 32, 33, 1024, 1025, 5000]
FLOATS = ("float32", "float64", "float16")
OPS = [
    draw(
        "random_uniform", uniform, [
            *(Case(STATE, shape=[n], low=-2.0, high=3.0, dtype="float32") for n in SIZES),
            *(Case(STATE, shape=[3, 700], low=1.0, high=4.0, stream=2**40 + 1, dtype=d) for d in FLOATS),
        ], epsilons=2, error=lambda state, shape, low, high, **p: np.full(shape, abs(low) + abs(high)),
    ),
    draw(
        "random_normal", normal, [
            *(Case(STATE, shape=[3000], dtype=d) for d in FLOATS),
            Case(STATE, shape=[2, 65], mean=2.0, stddev=3.0, stream=5, dtype="float32"),
            *(Case(STATE, shape=[3000], truncated=True, dtype=d) for d in FLOATS),
        ], epsilons=2, error=lambda state, mean=0.0, **p: abs(mean) + 1 + np.abs(normal(state, mean=mean, **p)),
    ),
    draw(
        "random_int", integers, [
            Case(STATE, shape=[3000], low=-5, high=9, dtype="int32"),
            Case(STATE, shape=[100], low=-(2**62), high=2**62, dtype="int64"),
            Case(np.array([-1, 2**40]), shape=[40], low=0, high=200, dtype="uint8"),
        ],
    ),
    draw("random_permutation", permutation, [Case(STATE, size=[n]) for n in (0, 1, 2, 1500)]),
    Op(
        "dropout", dropout, [
            *(Case((n,), STATE, rate=0.3) for n in SIZES),
            Case((30, 100), STATE, rate=0.5, stream=9),
            Case((7,), STATE, rate=1.0),
            Case((40,), STATE, rate=0.0, special=True),
        ], dtypes=FLOATS, rows="draws follow each other",
    ),
]  # fmt: skip
