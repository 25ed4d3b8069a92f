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

    @property
    def options(self):
        return {
            "scale": self.scale,
            "causal": self.causal,
            "heads_first": self.heads_first,
            "masked": self.mask is not None,
        }

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
        return out


def reference(case, q, k, v, mask=None):
    q, k, v = (a.astype(np.float64) if case.heads_first else a.astype(np.float64).swapaxes(1, 2) for a in (q, k, v))
    groups = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, groups, 1), np.repeat(v, groups, 1)
    s = q @ k.swapaxes(2, 3) * (case.scale or q.shape[-1] ** -0.5)
    keep = np.ones(s.shape[2:], bool)
    if case.causal:
        keep = np.tril(keep)
    if mask is not None:
        keep = keep & mask
    s = np.where(keep, s, -1e300)
    p = np.exp(s - s.max(-1, keepdims=True))
    y = p / p.sum(-1, keepdims=True) @ v
    return y if case.heads_first else y.swapaxes(1, 2)


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
]
