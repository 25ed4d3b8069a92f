"""Promises that hold for every shape: a row's bits depend neither on its company and place, nor on threads, cuts or
instruction set, and a NaN stays in its row. Random shapes and values; hypothesis shrinks what breaks them."""

from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maas import _core, ops
from tests.ops import support


class Draw:
    """Sizes and values of one example."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def size(self, high=40):
        """Small sizes mostly, and the neighbours of vector and panel widths."""
        edge = int(self.rng.choice([1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65]))
        return min(high, edge) if self.rng.random() < 0.5 else int(self.rng.integers(1, high + 1))

    def floats(self, *shape):
        x = self.rng.standard_normal(shape) * 10.0 ** self.rng.integers(-3, 3)
        odd = self.rng.random(shape)
        x = np.where(odd < 0.03, 0.0, x)
        x = np.where(odd > 0.98, self.rng.choice([1e-40, -1e-38, 88.0, -104.0, 1e4], shape), x)
        return x.astype("float32")

    def choice(self, *values):
        return values[int(self.rng.integers(len(values)))]


def dense(d):
    k, n = d.size(600 if d.rng.random() < 0.2 else 40), d.size(140)
    w, b, tail = d.floats(k, n), d.floats(n), d.choice(ops.relu, ops.tanh, ops.gelu, lambda y: y)
    return (k,), lambda x: tail(ops.add(ops.matmul(x, w), b))


def batched(d):
    m, k, n = d.size(200), d.size(), d.size(140)
    if d.choice(True, False):
        w = d.floats(1, k, n)
        return (m, k), lambda x: ops.matmul(x, w)
    w = d.floats(1, m, n)
    return (m, k), lambda x: _core.matmul(x, np.repeat(w, x.shape[0], 0), transpose_a=True)


def conv(d):
    groups, kernel, stride = d.choice(1, 1, 2), d.size(5), d.size(3)
    ic, oc = groups * d.size(20), groups * d.size(70)
    h, w, same = d.size(12) + kernel, d.size(20) + kernel, d.choice("same", "valid")
    kernels = d.floats(kernel, min(kernel, 3), ic // groups, oc)
    dilation = d.choice(1, 1, 2) if stride == 1 and same == "same" else 1
    return (h, w, ic), lambda x: ops.conv(x, kernels, stride, same, None, dilation)


def pool(d):
    size, stride, same = d.size(4), d.size(3), d.choice("same", "valid")
    shape = (d.size(9) + size, d.size(9) + size, d.size(40))
    return shape, partial(d.choice(ops.max_pool, ops.average_pool), pool_size=size, strides=stride, padding=same)


def softmax(d):
    shape, axis = (d.size(20), d.size(90)), d.choice(-1, 1)
    return shape, partial(d.choice(ops.softmax, ops.log_softmax, ops.logsumexp), axis=axis)


def norm(d):
    t, c = d.size(9), d.size(200)
    g, b, mean, var = d.floats(c), d.floats(c), d.floats(c), np.abs(d.floats(c)) + 0.1
    return (t, c), d.choice(
        lambda x: ops.layer_normalization(x, g, b, axis=-1),
        lambda x: ops.batch_normalization(x, mean, var, -1, b, g),
        lambda x: ops.moments(x, axes=[-1])[1],
    )


def reduce(d):
    shape, axis = (d.size(20), d.size(70)), d.choice(1, 2, (1, 2))
    function = d.choice(ops.sum, ops.mean, ops.max, ops.min, ops.prod, ops.var, ops.std, ops.logsumexp)
    return shape, partial(function, axis=axis)


def scan(d):
    return (d.size(60), d.size(20)), partial(ops.cumsum, axis=d.choice(1, 2))


def attention(d):
    t, s, heads, kv, dim = d.size(70), d.size(70), 4, d.choice(1, 2, 4), d.size(70)
    key, value = d.floats(1, s, kv, dim), d.floats(1, s, kv, d.size(40))
    causal = d.choice(True, False)

    def function(x):
        n = x.shape[0]
        return ops.dot_product_attention(x, np.repeat(key, n, 0), np.repeat(value, n, 0), is_causal=causal)

    return (t, heads, dim), function


def recurrent(d):
    t, k, units = d.size(6), d.size(40), d.size(70)
    w, r, b = 0.1 * d.floats(k, 4 * units), 0.1 * d.floats(units, 4 * units), d.floats(4 * units)

    def function(x):
        zero = np.zeros((x.shape[0], units), "float32")
        return ops.lstm(x, zero, zero, w, r, b, return_sequences=True)[0]

    return (t, k), function


def elementwise(d):
    names = [
        "exp",
        "log",
        "tanh",
        "erf",
        "sigmoid",
        "softplus",
        "silu",
        "sin",
        "sqrt",
        "expm1",
        "log1p",
        "floor",
        "abs",
    ]
    first, second = (getattr(ops, n) for n in d.rng.choice(names, 2))
    row = d.floats(d.size(70))
    return (d.size(20), row.size), lambda x: ops.where(ops.greater(x, 0), first(x), ops.multiply(second(x), row))


def moves(d):
    shape = (d.size(20), d.size(20), d.size(20))
    axes = [0, *(1 + d.rng.permutation(3))]
    return shape, d.choice(
        lambda x: ops.transpose(x, [int(a) for a in axes]),
        lambda x: ops.flip(x, axis=2),
        lambda x: ops.add(ops.transpose(x, [int(a) for a in axes]), 1.0),
        lambda x: ops.concatenate([x, ops.square(x)], axis=2),
    )


FAMILIES = [dense, batched, conv, pool, softmax, norm, reduce, scan, attention, recurrent, elementwise, moves]


def bits(y):
    """Bits as integers; all NaNs are one, because only the payload of a NaN may differ."""
    y = np.asarray(y)
    return np.where(y != y, np.uint32(0x7FC00000), y.view("uint32")) if y.dtype == "float32" else y


def assert_same(want, got, what):
    np.testing.assert_array_equal(bits(want), bits(got), err_msg=what)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_rows_keep_their_bits(family, seed):
    check(family, seed)


def check(family, seed):
    d = Draw(seed)
    shape, function = family(d)
    n = d.size(9)
    x = d.floats(n, *shape)
    y = np.asarray(function(x))
    for row in (0, n - 1, int(d.rng.integers(n))):
        assert_same(y[row : row + 1], function(x[row : row + 1]), f"row {row} alone")
    order = d.rng.permutation(n)
    assert_same(y[order], function(x[order]), "rows in another order")
    bad = int(d.rng.integers(n))
    poisoned = x.copy()
    poisoned[bad] = d.choice(np.nan, np.inf, -np.inf)
    assert_same(np.delete(y, bad, 0), np.delete(np.asarray(function(poisoned)), bad, 0), "beside a row of NaN or inf")
    seen = []
    for level in ("avx512", "avx2"):
        with support.isa(level), _core.Trace() as trace:
            program = trace.compile([function(trace.input(list(x.shape)))])
            for threads in (1, 2):
                _core.set_num_threads(threads)
                seen.append((f"{level}, {threads} threads", program.numpy(x)[0]))
            seen.append((f"{level}, cut at random", program.run_cut([x], int(d.rng.integers(1, 99)))[0]))
    for what, got in seen:
        assert_same(seen[0][1], got, what)
