"""Cases of matrix products and what they mean, in float64 NumPy."""

import numpy as np

from tests.ops.case import Case, Op


def reference(a, b, transpose_a=False, transpose_b=False):
    return (a.swapaxes(-1, -2) if transpose_a else a) @ (b.swapaxes(-1, -2) if transpose_b else b)


def error(a, b, transpose_a=False, transpose_b=False):
    # One chain of k roundings: the error is at most k epsilons of the sum of sizes, and about sqrt(k) of them.
    k = a.shape[-2] if transpose_a else a.shape[-1]
    return (4 + 2 * max(k, 1) ** 0.5) * reference(np.abs(a), np.abs(b), transpose_a, transpose_b)


def product(m, k, n, batch_a=(), batch_b=(), transpose_a=False, transpose_b=False, **keywords):
    """A case: (*batch_a, m, k) times (*batch_b, k, n); either may be stored transposed."""
    a, b = (k, m) if transpose_a else (m, k), (n, k) if transpose_b else (k, n)
    params = {"transpose_a": transpose_a, "transpose_b": transpose_b}
    return Case((*batch_a, *a), (*batch_b, *b), gradient=m * k * n < 6000, **params, **keywords)


def own_rows(case):
    a, b = case.shapes
    if len(a) > 2:
        return (0, 1) if len(b) == len(a) and a[0] == b[0] else (0,) if len(b) < len(a) else ()
    return (0,) if len(b) == 2 and not case.params.get("transpose_a") else ()


def measured(m, k, n, *batch, **keywords):
    return Case((*batch, m, k), (*batch, k, n), bench=True, flops=2.0 * np.prod([*batch, m, k, n]), **keywords)


SIZES = [
    (1, 1, 1), (1, 16, 16), (1, 784, 512), (5, 7, 70), (6, 64, 64), (7, 3, 31), (13, 513, 65), (14, 600, 10),
    (33, 1000, 17), (100, 64, 129), (29, 1030, 48), (12, 5, 32), (16, 1100, 130), (3, 2100, 192),
]  # fmt: skip
CASES = [
    *(product(*s) for s in SIZES),
    *(product(*s, transpose_a=True) for s in SIZES),
    *(product(*s, transpose_b=True) for s in SIZES),
    product(9, 20, 33, transpose_a=True, transpose_b=True),
    product(5, 7, 18, (3,), (3,)),
    product(5, 7, 70, (2, 3), (3,)),
    product(5, 7, 9, (2, 1), (1, 4), transpose_b=True),
    product(4, 600, 65, (2,), (2,), transpose_a=True),
    product(4, 8, 12, (3, 2), ()),
    product(0, 4, 5),
    product(3, 0, 5),
    product(3, 4, 0),
    product(2, 3, 4, (0,), (0,)),
]
INTEGERS = [Case((7, 50), (50, 7), dtypes=("int32", "int64"), gradient=False)]
MEASURED = [
    *(measured(s, s, s) for s in (64, 256, 512, 1024)),
    *(measured(128, k, n) for k, n in ((768, 768), (768, 3072), (3072, 768))),
    measured(1, 768, 3072),
    measured(8, 1024, 1024),
    measured(128, 64, 128, 12, note="batched"),
]
OPS = [
    Op(
        "matmul", reference, CASES + INTEGERS + MEASURED, epsilons=1, error=error, gradient_epsilons=100, rows=own_rows,
        parts={
            "gemm": "what a product with one right matrix lowers to",
            "gemm_pack": "the right matrix as gemm reads it",
            "gemm_batched": "what products of many matrices lower to",
        },
    )
]  # fmt: skip
