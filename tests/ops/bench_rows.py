"""Rows of `python -m benchmarks.ops`: what to run, on which shapes, and what it costs."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Row:
    """One op on float32 operands of these shapes (integers below `classes` where a shape is marked "int")."""

    op: str
    shapes: tuple
    params: dict = field(default_factory=dict)
    flops: float = 0.0  # 0: the row is judged by bytes
    note: str = ""

    @property
    def label(self):
        sizes = " ".join("x".join(map(str, s)) for s in self.shapes)
        return f"{self.op}{' ' + self.note if self.note else ''} {sizes}"

    def operands(self):
        rng = np.random.default_rng(0)
        return [rng.standard_normal(s).astype("float32") for s in self.shapes]


def _conv(n, size, ic, oc, k=3, stride=1):
    out = -(-size // stride)
    flops = 2.0 * n * out * out * k * k * ic * oc
    return Row("conv", ((n, size, size, ic), (k, k, ic, oc)), {"strides": [stride, stride], "padding": "same"}, flops)


def _matmul(m, k, n):
    return Row("matmul", ((m, k), (k, n)), flops=2.0 * m * k * n)


ROWS = [
    *(_matmul(s, s, s) for s in (64, 256, 512, 1024)),
    *(_matmul(128, k, n) for k, n in ((768, 768), (768, 3072), (3072, 768))),
    _matmul(1, 768, 3072),
    _matmul(8, 1024, 1024),
    Row("matmul", ((12, 128, 64), (12, 64, 128)), flops=2.0 * 12 * 128 * 64 * 128, note="batched"),
    _conv(1, 56, 64, 64),
    _conv(1, 28, 128, 128),
    _conv(1, 14, 256, 256),
    _conv(1, 7, 512, 512),
    _conv(1, 56, 64, 256, k=1),
    _conv(1, 56, 128, 128, stride=2),
    _conv(32, 28, 1, 32),
    _conv(32, 14, 32, 64),
    Row("max_pool", ((32, 28, 28, 32),), {"pool_size": [2, 2], "strides": [2, 2]}),
    Row("softmax", ((128 * 12, 128),)),
    Row("softmax", ((64, 50257),)),
    Row("layer_norm", ((128, 768), (768,), (768,)), {"axis": [-1]}),
    Row("gelu_erf", ((128, 3072),)),
    Row("tanh", ((1024, 1024),)),
    Row("exp", ((1024, 1024),)),
    Row("add", ((1024, 1024), (1024, 1024))),
    Row("sum", ((4096, 1000),), {"axis": [1]}),
    Row("sum", ((64 * 56 * 56, 64),), {"axis": [0]}),
    Row("cumsum", ((4096, 1000),), {"axis": 1}),
    Row("cumsum", ((64, 1000, 64),), {"axis": 1}),
    Row("attention", ((1, 512, 12, 64),) * 3, flops=4.0 * 12 * 512 * 512 * 64),
    Row("attention", ((1, 1024, 12, 64),) * 3, {"causal": True}, flops=2.0 * 12 * 1024 * 1024 * 64, note="causal"),
]
