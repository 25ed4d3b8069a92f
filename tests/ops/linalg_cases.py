"""Cases of linear algebra and what it means, by NumPy in float64. What has a free sign is made unique by `call`."""

import numpy as np

from maas import _core
from tests.ops.case import Case, Op, Operand


def _spd(rng, shape):
    a = rng.standard_normal(shape)
    return a @ np.swapaxes(a, -1, -2) + np.eye(shape[-1])


def _regular(rng, shape):
    return rng.standard_normal(shape) + 2 * np.sqrt(shape[-1]) * np.eye(shape[-1])


def _real_spectrum(rng, shape):
    v = _regular(rng, shape)
    return v @ (np.arange(1.0, shape[-1] + 1)[:, None] * np.linalg.inv(v))


def _distinct_spectrum(rng, shape):
    """Symmetric; eigenvalues a half apart at least, because eigenvectors are only as certain as that."""
    q = np.linalg.qr(rng.standard_normal(shape))[0]
    w = np.arange(1.0, shape[-1] + 1) + rng.uniform(0, 0.5, (*shape[:-2], shape[-1]))
    return q @ (w[..., :, None] * np.swapaxes(q, -1, -2))


def distinct(*shape):
    return Operand(shape, _distinct_spectrum)


def spd(*shape):
    return Operand(shape, _spd)


def regular(*shape):
    return Operand(shape, _regular)


def _symmetric(a):
    return (a + np.swapaxes(a, -1, -2)) / 2


def cholesky(a, upper=False):
    return np.swapaxes(np.linalg.cholesky(_symmetric(a)), -1, -2) if upper else np.linalg.cholesky(_symmetric(a))


def solve(a, b, transpose=False):
    return np.linalg.solve(np.swapaxes(a, -1, -2) if transpose else a, b)


def triangular_solve(a, b, lower=False, transpose=False):
    return solve(np.tril(a) if lower else np.triu(a), b, transpose)


def lu(a):
    a, pivots = a.copy(), np.zeros((*a.shape[:-2], min(a.shape[-2:])), "int32")
    for index in np.ndindex(a.shape[:-2]):
        x = a[index]
        for i in range(min(x.shape)):
            p = i + int(np.argmax(np.abs(x[i:, i])))
            pivots[(*index, i)] = p
            x[[i, p]] = x[[p, i]]
            x[i + 1 :, i] /= x[i, i]
            x[i + 1 :, i + 1 :] -= np.outer(x[i + 1 :, i], x[i, i + 1 :])
    return a, pivots


def qr(a, complete=False):
    return np.linalg.qr(a, "complete" if complete else "reduced")


def _svd_parts(s, u, v, k):
    """s, u diag(s) v, and the products that no sign of a vector changes."""
    return s, u[..., :k], v[..., :k, :]


def svd(a, full_matrices=True):
    u, s, v = np.linalg.svd(a, full_matrices)
    k = s.shape[-1]
    u, v = u[..., :k], v[..., :k, :]
    return s, u * u * s[..., None, :], u @ v


def svd_call(a, full_matrices=True):
    s, u, v = _core.svd(a, full_matrices=full_matrices)
    k, rank = s.shape[-1], len(u.shape)
    begin = [0] * rank
    u = _core.slice(u, begin=begin, end=[*u.dims[:-1], k]) if u.shape[-1] != k else u
    v = _core.slice(v, begin=begin, end=[*v.dims[:-2], k, v.dims[-1]]) if v.shape[-2] != k else v
    row = _core.reshape(s, shape=[*s.dims[:-1], 1, k])
    return s, _core.multiply(_core.multiply(u, u), row), _core.matmul(u, v)


def eigh(a):
    w, v = np.linalg.eigh(_symmetric(a))
    return w, v * v


def eigh_call(a):
    w, v = _core.eigh(a)
    return w, _core.multiply(v, v)


def eig(a):
    w, v = np.linalg.eig(a)
    return np.sum(w.real, -1), (v @ (w[..., None] * np.swapaxes(v, -1, -2))).real


def eig_call(a):
    w, v = _core.eig(a)
    column = _core.reshape(w, shape=[*w.dims, 1])
    scaled = _core.multiply(column, _core.transpose(v, axes=[*range(v.ndim - 2), v.ndim - 1, v.ndim - 2]))
    return _core.sum(w, axis=[-1]), _core.matmul(v, scaled)


def largest(reference):
    """Errors are counted in the largest element of each result, and in a condition number of about 30."""

    def error(*operands, **params):
        ys = reference(*operands, **params)
        ys = ys if isinstance(ys, tuple) else (ys,)
        return [np.full(np.shape(y), 30 * max(1, np.abs(y).max(initial=0))) for y in ys]

    return error


def op(name, reference, cases, **keywords):
    keywords = {"error": largest(reference), "epsilons": 8, "gradient_epsilons": 3000, "rows": (0,)} | keywords
    return Op(name, reference, cases, **keywords)


RECTANGLES = [(3, 5, 4), (4, 3, 6), (2, 2, 7, 7), (2, 1, 1)]
OPS = [
    op("cholesky", cholesky, [Case(spd(2, 1, 1)), Case(spd(3, 5, 5), upper=True), Case(spd(2, 40, 40))], gradient=True),
    op("solve", solve, [
        Case(regular(3, 4, 4), (3, 4, 2)), Case(regular(2, 3, 7, 7), (2, 3, 7, 1), transpose=True),
        Case(regular(2, 33, 33), (2, 33, 5)),
    ], rows=(0, 1)),
    op("triangular_solve", triangular_solve, [
        Case(regular(2, 4, 4), (2, 4, 3), lower=low, transpose=t) for low in (False, True) for t in (False, True)
    ], rows=(0, 1)),
    op("det", np.linalg.det, [Case(regular(4, 1, 1)), Case(regular(3, 4, 4)), Case(regular(2, 2, 6, 6))]),
    op("slogdet", lambda a: tuple(np.linalg.slogdet(a)),
       [Case(regular(4, 1, 1)), Case((5, 4, 4)), Case(regular(2, 60, 60))]),
    op("lu", lu, [Case(s) for s in RECTANGLES], gradient=False),
    op("qr", qr, [Case(s, gradient=s[-2] >= s[-1]) for s in [(3, 5, 4), (2, 2, 7, 7), (2, 1, 1)]]
       + [Case((2, 3, 3), complete=True)]),
    op("svd", svd, [Case(s, full_matrices=False) for s in RECTANGLES] + [Case((2, 4, 4))], call=svd_call),
    op("eigh", eigh, [Case(distinct(2, 1, 1)), Case(distinct(3, 5, 5)), Case(distinct(2, 30, 30), gradient=False)],
       call=eigh_call),
    op("eig", eig, [Case(Operand((2, 4, 4), _real_spectrum)), Case(Operand((3, 1, 1), _real_spectrum))], call=eig_call,
       gradient=False),
]  # fmt: skip
