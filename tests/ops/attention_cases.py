"""Cases of attention and what it means, in float64 NumPy."""

import numpy as np

from tests.ops.case import Case, Op, Operand


def reference(q, k, v, mask=None, scale=0.0, causal=False, heads_first=False, masked=False):
    q, k, v = (a if heads_first else a.swapaxes(1, 2) for a in (q, k, v))
    groups = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, groups, 1), np.repeat(v, groups, 1)
    s = q @ k.swapaxes(2, 3) * (scale or q.shape[-1] ** -0.5)
    keep = np.ones(s.shape[2:], bool)
    if causal:
        keep = np.tril(keep)
    if mask is not None:
        keep = keep & mask
    s = np.where(keep, s, -1e300)
    p = np.exp(s - s.max(-1, keepdims=True))
    y = p / p.sum(-1, keepdims=True) @ v
    return y if heads_first else y.swapaxes(1, 2)


def size_of_scores(q, *rest, **params):
    """A score's error is a few epsilons of its size, and so is its weight's relative error."""
    return np.maximum(1, q.std())


def attention(
    batch, queries, keys, heads=1, kv_heads=1, dim=16, value_dim=16, mask=None, heads_first=False, size=1, **params
):
    """A case. mask: which of (batch, heads, queries, keys) it has; size: of the scores."""
    shapes = [(batch, queries, heads, dim), (batch, keys, kv_heads, dim), (batch, keys, kv_heads, value_dim)]
    if heads_first:
        shapes = [(n, h, s, d) for n, s, h, d in shapes]
    operands = [Operand(shapes[0], lambda rng, s: size * rng.standard_normal(s)), *shapes[1:]]

    def blanks(rng, shape):
        m = rng.random(shape) < 0.6
        if mask[2]:
            m[0, 0, queries // 2] = False  # one query that sees nothing
        return m

    if mask:
        full = (batch, heads, queries, keys)
        operands.append(Operand(tuple(n if on else 1 for n, on in zip(full, mask)), blanks, "bool"))
    params = {"heads_first": heads_first, "masked": mask is not None, **params}
    return Case(*operands, gradient=keys < 300, **params)


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
]
MEASURED = [
    Case(*[(1, 512, 12, 64)] * 3, bench=True, flops=4.0 * 12 * 512 * 512 * 64),
    Case(*[(1, 1024, 12, 64)] * 3, causal=True, bench=True, flops=2.0 * 12 * 1024 * 1024 * 64, note="causal"),
]
OPS = [
    Op(
        "attention", reference, CASES + MEASURED, epsilons=40, error=size_of_scores, rows=(0, 1, 2, 3),
        gradient_epsilons=lambda *a, **p: 60 * size_of_scores(*a),
        parts={"attention_grad": "its gradient, which reads what the forward pass kept"},
    )
]  # fmt: skip
