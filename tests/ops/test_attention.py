"""Attention: rows alone, padding, decoding, special values, views, second derivatives, halves, Keras, typed errors.

Its cases are in attention_cases.py.
"""

import numpy as np
import pytest

from maas import _core, ops
from tests.ops import support
from tests.ops.attention_cases import CASES, DROPOUT, attention, reference


def call(case):
    return lambda *operands: _core.attention(*operands, **case.params)


def test_query_alone():
    """A query has the same bits whatever queries stand beside it."""
    q, k, v = attention(1, 70, 1100, heads=2, kv_heads=2).operands()
    whole = np.asarray(_core.attention(q, k, v))
    for i in (0, 47, 48, 69):
        support.same_bits([np.asarray(_core.attention(q[:, i : i + 1], k, v))[0, 0]], [whole[0, i]])


@pytest.mark.parametrize("keys", [1, 63, 70, 1023, 1024, 1100])
@pytest.mark.parametrize("padding", [1, 64, 1500])
def test_padding_on_the_right_changes_no_bit(keys, padding):
    q, k, v = attention(1, 20, keys, heads=2, kv_heads=2).operands()
    mask = np.arange(keys + padding) < keys
    longer = [np.pad(a, ((0, 0), (0, padding), (0, 0), (0, 0)), constant_values=7) for a in (k, v)]
    masked = _core.attention(q, *longer, mask[None, None, None], masked=True)
    support.same_bits([np.asarray(masked)], [np.asarray(_core.attention(q, k, v))])


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("queries, keys", [(9, 9), (50, 50), (97, 130), (33, 1090)])
@pytest.mark.parametrize("window", [0, 40])
@pytest.mark.parametrize("causal", [False, True])
def test_a_mask_in_words_or_in_bytes(level, queries, keys, window, causal):
    """Kernels with queries or keys in lanes give the same bits."""
    q, k, v = attention(2, queries, keys, heads=4, kv_heads=2, dim=40, value_dim=24).operands()
    ahead = np.arange(queries)[:, None] - np.arange(keys)
    seen = np.ones((queries, keys), bool)
    if causal:
        seen &= ahead >= 0
    if window:
        seen &= np.abs(ahead) < window
    with support.isa(level):
        words = _core.attention(q, k, v, causal=causal, window=window)
        in_bytes = _core.attention(q, k, v, seen[None, None], masked=True)
    rows = seen.any(1)  # the others are means, summed over other keys
    support.same_bits([np.asarray(words)[:, rows]], [np.asarray(in_bytes)[:, rows]])


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_special_values_stay_in_their_row(level, value):
    q, k, v = attention(1, 9, 70).operands()
    with support.isa(level):
        clean = np.asarray(_core.attention(q, k, v))
        q[0, 5, 0, 0] = value
        y = np.asarray(_core.attention(q, k, v))
    assert np.isnan(y[0, 5]).all()
    np.testing.assert_array_equal(np.delete(y, 5, 1), np.delete(clean, 5, 1))


@pytest.mark.parametrize("level", support.LEVELS)
def test_huge_scores(level):
    """The largest score takes all; nothing overflows."""
    q = np.full((1, 1, 1, 16), 1e3, "float32")
    k = np.random.default_rng(0).standard_normal((1, 200, 1, 16)).astype("float32") * 1e3
    v = np.random.default_rng(1).standard_normal((1, 200, 1, 4)).astype("float32")
    with support.isa(level):
        y = np.asarray(_core.attention(q, k, v))
    np.testing.assert_array_equal(y[0, 0, 0], v[0, k[0, :, 0].astype(np.float64).sum(-1).argmax(), 0])


def test_nothing_to_see():
    q = np.ones((2, 3, 1, 4), "float32")
    empty = np.ones((2, 0, 1, 4), "float32")
    np.testing.assert_array_equal(np.asarray(_core.attention(q, empty, empty)), np.zeros((2, 3, 1, 4)))
    assert np.asarray(_core.attention(q[:0], empty[:0], empty[:0])).shape == (0, 3, 1, 4)


def test_views_of_heads_are_not_copied():
    """Heads split from one projection are read where they lie."""
    with _core.Trace() as trace:
        x = trace.input([None, 10, 3 * 32], "float32")
        parts = []
        for i in range(3):
            part = _core.slice(x, begin=[0, 0, 32 * i], end=[x.dims[0], 10, 32 * i + 32], step=[1, 1, 1])
            parts.append(_core.reshape(part, shape=[-1, 10, 2, 16]))
        p = trace.compile([_core.attention(*parts)])
    assert repr(p).endswith("of 1 steps>"), p.plan
    data = np.random.default_rng(0).standard_normal((2, 10, 96)).astype("float32")
    q, k, v = (data[..., 32 * i : 32 * i + 32].reshape(2, 10, 2, 16) for i in range(3))
    want = reference(q, k, v)
    np.testing.assert_allclose(p.numpy(data)[0], want, atol=1e-5)


def test_half_precision_means_the_same():
    """Halves against float64."""
    q, k, v = attention(2, 5, 7, heads=2, kv_heads=1).operands("float64")
    want = reference(q, k, v)
    half = _core.attention(*(a.astype("float16") for a in (q, k, v)))
    assert half.dtype == "float16"
    np.testing.assert_allclose(np.asarray(half).astype(np.float64), want, atol=5e-3)


@pytest.mark.parametrize("case", [c for c in CASES + DROPOUT if c.gradient], ids=str)
def test_half_precision_is_computed_in_float32(case):
    operands = case.operands("float16")
    y = call(case)(*operands)
    assert y.dtype == "float16"
    wide = [a.astype("float32") if a.dtype == np.float16 else a for a in operands]
    np.testing.assert_array_equal(np.asarray(y), np.asarray(call(case)(*wide)).astype("float16"))


def test_keys_past_the_length_are_not_read():
    case = attention(2, 9, 150, heads=2, kv_heads=1, lengths=(100, 30))
    q, k, v, lengths = case.operands()
    y = np.asarray(call(case)(q, k, v, lengths))
    for b, n in enumerate(lengths):
        k[b, n:] = v[b, n:] = np.nan
        short = _core.attention(q[b : b + 1], k[b : b + 1, :n], v[b : b + 1, :n])
        support.same_bits([np.asarray(short)[0]], [y[b]])
    support.same_bits([np.asarray(call(case)(q, k, v, lengths))], [y])


def test_decoding_gives_the_bits_of_the_whole():
    """Queries at the end of their keys, one or several at a time, are the last rows of causal attention."""
    q, k, v = attention(1, 120, 120, heads=8, kv_heads=2, dim=20).operands()
    whole = np.asarray(_core.attention(q, k, v, causal=True))
    for n in (1, 3, 30, 60):
        part = _core.attention(q[:, -n:], k, v, causal=True, at_end=True)
        support.same_bits([np.asarray(part)], [whole[:, -n:]])
    cache = [np.pad(a, ((0, 0), (0, 50), (0, 0), (0, 0)), constant_values=np.nan) for a in (k, v)]
    lengths = np.asarray([119], "int32")
    one = _core.attention(q[:, 118:119], *cache, lengths, causal=True, at_end=True, with_lengths=True)
    support.same_bits([np.asarray(one)], [whole[:, 118:119]])


SMALL = {"heads": 2, "kv_heads": 1, "dim": 3, "value_dim": 2}


@pytest.mark.parametrize(
    "case",
    [
        attention(1, 4, 5, mask=(0, 0, 1, 1), **SMALL),
        attention(1, 4, 5, mask=(0, 0, 1, 1), causal=True, **SMALL),
        attention(2, 4, 5, bias=(0, 1, 1, 1), soft_cap=0.7, **SMALL),
        attention(2, 3, 6, causal=True, at_end=True, window=3, **SMALL),
        attention(3, 3, 6, causal=True, at_end=True, lengths=(6, 0, 4), **SMALL),
        attention(2, 3, 6, lengths=(6, 3), mask=(1, 0, 1, 1), heads_first=True, **SMALL),
        attention(2, 3, 6, dropout=0.4, **SMALL),
    ],
    ids=str,
)
def test_second_derivative(case):
    """It goes through the composition in plain ops, whose first derivative must be that of the kernels."""
    operands = case.operands("float64")
    count = len(operands)
    floats = [i for i, a in enumerate(operands) if a.dtype.kind == "f"]
    operands = [*operands, support.cotangents(call(case), operands)[0]]
    moved = [*floats, count]
    with _core.Trace() as trace:
        xs = [trace.input(list(a.shape), str(a.dtype), f"x{i}") for i, a in enumerate(operands)]
        y = call(case)(*xs[:-1])
        first = _core.gradients(_core.sum(_core.multiply(y, xs[-1])), [xs[i] for i in floats])
        weights = [np.random.default_rng(i).standard_normal(operands[i].shape) for i in floats]
        loss = sum(
            (_core.sum(_core.multiply(g, w)) for g, w in zip(first, weights)),
            start=_core.sum(_core.multiply(xs[0], 0.0)),
        )
        p = trace.compile([loss, *_core.gradients(loss, [xs[i] for i in moved])])
    results = p.numpy(*operands)
    rng = np.random.default_rng(9)
    for at, i in enumerate(moved):
        d, step = rng.standard_normal(operands[i].shape), 1e-6
        up, down = ([*operands[:i], operands[i] + s * step * d, *operands[i + 1 :]] for s in (1, -1))
        want = (p.numpy(*up)[0] - p.numpy(*down)[0]) / (2 * step)
        got = np.where(results[1 + at] == 0, 0, results[1 + at] * d).sum()
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "given",
    [{}, {"is_causal": True}, {"scale": 0.5}, {"mask": True}, {"mask": True, "is_causal": True}, {"bias": True}],
)
def test_as_keras(keras, given):
    case = attention(2, 6, 8, heads=4, kv_heads=2, dim=8, value_dim=8, mask=(1, 0, 1, 1))
    q, k, v, mask = case.operands()
    given = dict(given)
    if given.get("mask"):
        given["mask"] = mask
    if given.get("bias"):
        k, v = np.repeat(k, 2, 2), np.repeat(v, 2, 2)
        given["bias"] = np.random.default_rng(2).standard_normal((1, 4, 6, 8)).astype("float32")
    want = np.asarray(keras.ops.dot_product_attention(q, k, v, **given))
    np.testing.assert_allclose(np.asarray(ops.dot_product_attention(q, k, v, **given)), want, rtol=1e-5, atol=2e-6)


def test_errors():
    q, k, v = attention(2, 6, 8, heads=4, kv_heads=2).operands()
    with pytest.raises(ValueError, match=r"multiple of the key's, received 4 and 3"):
        _core.attention(q, np.zeros((2, 8, 3, 16), "float32"), np.zeros((2, 8, 3, 16), "float32"))
    with pytest.raises(ValueError, match=r"do not fit each other, received .*\(2, 7, 2, 16\)"):
        _core.attention(q, k, v[:, :7])
    with pytest.raises(TypeError, match="mask must be bool, received float32"):
        _core.attention(q, k, v, np.zeros((1, 1, 1, 8), "float32"), masked=True)
    with pytest.raises(ValueError, match=r"broadcast to \(2, 4, 6, 8\), received \(1, 1, 1, 9\)"):
        _core.attention(q, k, v, np.zeros((1, 1, 1, 9), bool), masked=True)
    with pytest.raises(ValueError, match="four axes, received"):
        ops.dot_product_attention(q[0], k, v)
