"""Cases of attention and what it means, in float64 NumPy."""

import numpy as np

from tests.ops.case import Case, Op, Operand


def dropped(shape, state, rate, stream):
    """The factors of the dropout op, which has cases of its own."""
    from maas import _core

    return np.asarray(_core.dropout(np.ones(shape), state, rate=rate, stream=stream))


def reference(
    q, k, v, *rest, scale=0.0, causal=False, heads_first=False, masked=False, biased=False, with_lengths=False,
    at_end=False, window=0, soft_cap=0.0, dropout=0.0, stream=0,
):  # fmt: skip
    q, k, v = (a if heads_first else a.swapaxes(1, 2) for a in (q, k, v))
    groups, (queries, keys) = q.shape[1] // k.shape[1], (q.shape[2], k.shape[2])
    k, v, rest = np.repeat(k, groups, 1), np.repeat(v, groups, 1), list(rest)
    mask = rest.pop(0) if masked else True
    bias = rest.pop(0) if biased else 0.0
    lengths = (rest.pop(0) if with_lengths else np.full(len(q), keys))[:, None, None, None]
    s = q @ k.swapaxes(2, 3) * (scale or q.shape[-1] ** -0.5)
    s = (soft_cap * np.tanh(s / soft_cap) if soft_cap else s) + bias
    keep = mask & (s > -np.inf)
    ahead = np.arange(queries)[:, None] + (lengths - queries if at_end else 0) - np.arange(keys)
    if causal:
        keep = keep & (ahead >= 0)
    if window:
        keep = keep & (np.abs(ahead) < window)
    there = np.arange(keys) < lengths
    s = np.where(keep, s, -1e300)
    p = np.exp(np.where(there, s - np.where(there, s, -1e300).max(-1, keepdims=True), -np.inf))
    p = p / np.maximum(p.sum(-1, keepdims=True), 1e-300)
    y = (p * dropped(p.shape, rest.pop(0), dropout, stream) if dropout else p) @ v
    return y if heads_first else y.swapaxes(1, 2)


def size_of_scores(q, *rest, **params):
    """A score's error is a few epsilons of its size, and so is its weight's relative error."""
    return np.maximum(1, q.std())


def attention(
    batch, queries, keys, heads=1, kv_heads=1, dim=16, value_dim=16, mask=None, bias=None, lengths=None,
    heads_first=False, size=1, dropout=0.0, **params,
):  # fmt: skip
    """A case. mask, bias: which of (batch, heads, queries, keys) they have; lengths: keys that are there, one for each
    of the batch; size: of the scores."""
    shapes = [(batch, queries, heads, dim), (batch, keys, kv_heads, dim), (batch, keys, kv_heads, value_dim)]
    if heads_first:
        shapes = [(n, h, s, d) for n, s, h, d in shapes]
    operands = [Operand(shapes[0], lambda rng, s: size * rng.standard_normal(s)), *shapes[1:]]

    def table(given):
        return tuple(n if on else 1 for n, on in zip((batch, heads, queries, keys), given))

    def blanks(rng, shape):
        m = rng.random(shape) < 0.6
        if mask[2]:
            m[0, 0, queries // 2] = False  # one query that sees nothing
        return m

    def biases(rng, shape):
        b = rng.standard_normal(shape)
        if bias[3]:
            b[..., keys // 2] = -np.inf
        return b

    if mask:
        operands.append(Operand(table(mask), blanks, "bool"))
    if bias:
        operands.append(Operand(table(bias), biases))
    if lengths:
        operands.append(Operand((batch,), lambda rng, s: np.asarray(lengths), "int32", (0, keys + 1)))
    if dropout:
        operands.append(np.asarray([[11], [5]], "int64"))
        params = {"dropout": dropout, "stream": 3, **params}
    given = {"masked": mask, "biased": bias, "with_lengths": lengths}
    params = {"heads_first": heads_first, **{name: True for name, a in given.items() if a}, **params}
    return Case(*operands, gradient=keys < 300, **params)


def batched(case):
    """Operands whose first axis is the batch."""
    return range(3 + sum(name in case.params for name in ("masked", "biased", "with_lengths")))


CASES = [
    attention(1, 1, 1, dim=1, value_dim=1),
    attention(2, 7, 5, heads=2, dim=3, value_dim=5, mask=(1, 0, 1, 1)),
    attention(1, 50, 70, heads=2, kv_heads=2, causal=True),
    attention(2, 100, 130, heads=4, kv_heads=2, dim=20, value_dim=33, causal=True, mask=(1, 1, 1, 1), size=3),
    attention(1, 3, 2100, dim=64, value_dim=64, mask=(0, 0, 0, 1)),
    attention(2, 97, 200, heads=3, kv_heads=3, dim=80, value_dim=17, heads_first=True, scale=0.3, size=4),
    attention(3, 64, 64, heads=2, kv_heads=1, dim=64, value_dim=64, causal=True, heads_first=True, mask=(1, 0, 0, 1)),
    attention(2, 1, 1030, heads=2, kv_heads=1, dim=32, value_dim=48),
    attention(1, 40, 30, heads=1, causal=True, mask=(0, 0, 1, 0)),
    # One query a row at the end of its keys, heads that share keys: decoding.
    attention(3, 1, 70, heads=8, kv_heads=2, dim=24, value_dim=20, causal=True, at_end=True, lengths=(70, 1, 33)),
    attention(2, 5, 130, heads=6, kv_heads=1, dim=40, value_dim=16, causal=True, at_end=True),
    attention(2, 30, 20, heads=2, kv_heads=1, causal=True, at_end=True),
    attention(4, 9, 150, heads=4, kv_heads=2, dim=7, value_dim=9, lengths=(150, 0, 64, 100), mask=(1, 0, 1, 1)),
    attention(1, 60, 1200, heads=2, kv_heads=1, dim=16, causal=True, at_end=True, lengths=(1100,)),
    attention(2, 20, 40, heads=2, kv_heads=2, bias=(0, 1, 1, 1)),
    attention(2, 20, 70, heads=4, kv_heads=2, bias=(1, 0, 0, 1), mask=(1, 0, 1, 1), causal=True),
    attention(2, 20, 40, heads=2, kv_heads=2, bias=(0, 1, 1, 0), heads_first=True),
    attention(1, 100, 200, heads=2, kv_heads=1, window=9),
    attention(1, 100, 200, heads=2, kv_heads=1, window=70, causal=True, at_end=True),
    attention(2, 12, 40, heads=2, kv_heads=2, soft_cap=1.5, size=3, bias=(1, 1, 1, 1)),
    attention(2, 50, 77, heads=2, kv_heads=1, dim=256, value_dim=200),
]
# What is dropped depends on the place in the batch.
DROPOUT = [
    attention(2, 30, 77, heads=4, kv_heads=2, dropout=0.3, causal=True),
    attention(2, 30, 77, heads=4, kv_heads=2, dropout=0.5, mask=(1, 0, 1, 1), lengths=(77, 50), heads_first=True),
]
MEASURED = [
    Case(*[(1, 512, 12, 64)] * 3, bench=True, flops=4.0 * 12 * 512 * 512 * 64),
    Case(*[(1, 1024, 12, 64)] * 3, causal=True, bench=True, flops=2.0 * 12 * 1024 * 1024 * 64, note="causal"),
]
OPS = [
    Op(
        "attention", reference, CASES + DROPOUT + MEASURED, epsilons=40, error=size_of_scores,
        rows=lambda case: () if "dropout" in case.params else batched(case), unknown=batched,
        gradient_epsilons=lambda *a, **p: 60 * size_of_scores(*a),
        parts={"attention_grad": "its gradient, which reads what the forward pass kept"},
    )
]  # fmt: skip
