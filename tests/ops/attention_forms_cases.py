"""Cases of attention and what it means, in float64 NumPy."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Case:
    batch: int
    queries: int
    keys: int
    heads: int = 1
    kv_heads: int = 1
    dim: int = 16
    value_dim: int = 16
    causal: bool = False
    mask: tuple | None = None  # which of (batch, heads, queries, keys) the mask has
    heads_first: bool = False
    scale: float = 0.0
    size: float = 1.0  # of the scores
    bias: tuple | None = None  # which of (batch, heads, queries, keys) the bias has
    lengths: tuple | None = None  # keys that are there, one a batch
    at_end: bool = False
    window: int = 0
    soft_cap: float = 0.0
    dropout: float = 0.0

    @property
    def options(self):
        return {
            "scale": self.scale,
            "causal": self.causal,
            "heads_first": self.heads_first,
            "masked": self.mask is not None,
            "biased": self.bias is not None,
            "with_lengths": self.lengths is not None,
            "at_end": self.at_end,
            "window": self.window,
            "soft_cap": self.soft_cap,
            "dropout": self.dropout,
            "stream": 3,
        }

    @property
    def batched(self):
        """Operands whose first axis is the batch."""
        axes = [given for given in (self.mask, self.bias) if given is not None]
        found = [0, 1, 2, *(3 + i for i, given in enumerate(axes) if given[0])]
        return found + ([3 + len(axes)] if self.lengths else [])

    def operands(self, dtype="float32"):
        rng = np.random.default_rng(0)
        shapes = [
            (self.queries, self.heads, self.dim),
            (self.keys, self.kv_heads, self.dim),
            (self.keys, self.kv_heads, self.value_dim),
        ]
        out = [rng.standard_normal((self.batch, *s)) for s in shapes]
        out[0] *= self.size
        out = [np.ascontiguousarray(a.swapaxes(1, 2)) if self.heads_first else a for a in out]
        out = [a.astype(dtype) for a in out]
        if self.mask is not None:
            full = (self.batch, self.heads, self.queries, self.keys)
            mask = rng.random([n if on else 1 for n, on in zip(full, self.mask)]) < 0.6
            if self.mask[2]:
                mask[0, 0, self.queries // 2] = False  # one query that sees nothing
            out.append(mask)
        if self.bias is not None:
            full = (self.batch, self.heads, self.queries, self.keys)
            bias = rng.standard_normal([n if on else 1 for n, on in zip(full, self.bias)]).astype(dtype)
            if self.bias[3]:
                bias[..., self.keys // 2] = -np.inf
            out.append(bias)
        if self.lengths is not None:
            out.append(np.asarray(self.lengths, "int32"))
        if self.dropout:
            out.append(np.asarray([[11], [5]], "int64"))
        return out


def reference(case, q, k, v, *rest):
    rest = list(rest)
    mask = rest.pop(0) if case.mask is not None else True
    bias = rest.pop(0).astype(np.float64) if case.bias is not None else 0.0
    lengths = rest.pop(0) if case.lengths is not None else np.full(case.batch, case.keys)
    q, k, v = (a.astype(np.float64) if case.heads_first else a.astype(np.float64).swapaxes(1, 2) for a in (q, k, v))
    groups = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, groups, 1), np.repeat(v, groups, 1)
    s = q @ k.swapaxes(2, 3) * (case.scale or q.shape[-1] ** -0.5)
    if case.soft_cap:
        s = case.soft_cap * np.tanh(s / case.soft_cap)
    s = s + bias
    keep = np.broadcast_to(mask & (s > -np.inf), s.shape)
    there = np.arange(case.keys) < lengths[:, None, None, None]
    at = np.arange(case.queries)[:, None] + (lengths[:, None, None, None] - case.queries if case.at_end else 0)
    ahead = at - np.arange(case.keys)
    if case.causal:
        keep = keep & (ahead >= 0)
    if case.window:
        keep = keep & (np.abs(ahead) < case.window)
    s = np.where(keep, s, -1e300)
    p = np.exp(np.where(there, s - np.where(there, s, -1e300).max(-1, keepdims=True), -np.inf))
    p = p / np.maximum(p.sum(-1, keepdims=True), 1e-300)
    if case.dropout:
        p = p * dropped(p.shape, rest.pop(0), case.dropout)
    y = p @ v
    return y if case.heads_first else y.swapaxes(1, 2)


def dropped(shape, state, rate):
    """The factors of the dropout op."""
    from maas import _core

    return np.asarray(_core.dropout(np.ones(shape), state, rate=rate, stream=3))


CASES = [
    Case(1, 1, 1, dim=1, value_dim=1),
    Case(2, 7, 5, heads=2, dim=3, value_dim=5, mask=(1, 0, 1, 1)),
    Case(1, 50, 70, heads=2, kv_heads=2, causal=True),
    Case(2, 100, 130, heads=4, kv_heads=2, dim=20, value_dim=33, causal=True, mask=(1, 1, 1, 1), size=3),
    Case(1, 3, 2100, dim=64, value_dim=64, mask=(0, 0, 0, 1)),
    Case(2, 97, 200, heads=3, kv_heads=3, dim=80, value_dim=17, heads_first=True, scale=0.3, size=4),
    Case(3, 64, 64, heads=2, kv_heads=1, dim=64, value_dim=64, causal=True, heads_first=True, mask=(1, 0, 0, 1)),
    Case(2, 1, 1030, heads=2, kv_heads=1, dim=32, value_dim=48),
    Case(1, 40, 30, heads=1, causal=True, mask=(0, 0, 1, 0)),
    # One query a row at the end of its keys, heads that share keys: decoding.
    Case(3, 1, 70, heads=8, kv_heads=2, dim=24, value_dim=20, causal=True, at_end=True, lengths=(70, 1, 33)),
    Case(2, 5, 130, heads=6, kv_heads=1, dim=40, value_dim=16, causal=True, at_end=True),
    Case(2, 30, 20, heads=2, kv_heads=1, causal=True, at_end=True),
    Case(4, 9, 150, heads=4, kv_heads=2, dim=7, value_dim=9, lengths=(150, 0, 64, 100), mask=(1, 0, 1, 1)),
    Case(1, 60, 1200, heads=2, kv_heads=1, dim=16, causal=True, at_end=True, lengths=(1100,)),
    Case(2, 20, 40, heads=2, kv_heads=2, bias=(0, 1, 1, 1)),
    Case(2, 20, 70, heads=4, kv_heads=2, bias=(1, 0, 0, 1), mask=(1, 0, 1, 1), causal=True),
    Case(2, 20, 40, heads=2, kv_heads=2, bias=(0, 1, 1, 0), heads_first=True),
    Case(1, 100, 200, heads=2, kv_heads=1, window=9),
    Case(1, 100, 200, heads=2, kv_heads=1, window=70, causal=True, at_end=True),
    Case(2, 12, 40, heads=2, kv_heads=2, soft_cap=1.5, size=3, bias=(1, 1, 1, 1)),
    Case(2, 50, 77, heads=2, kv_heads=1, dim=256, value_dim=200),
    Case(2, 30, 77, heads=4, kv_heads=2, dropout=0.3, causal=True),
    Case(2, 30, 77, heads=4, kv_heads=2, dropout=0.5, mask=(1, 0, 1, 1), lengths=(77, 50), heads_first=True),
]
