"""Linear algebra against Keras, and what has no result. Cases are in linalg_cases.py."""

import numpy as np
import pytest

import maas
from maas import ops

RNG = np.random.default_rng(0)
A = (RNG.standard_normal((2, 4, 4)) + 4 * np.eye(4)).astype("float32")
SPD = (A @ np.swapaxes(A, 1, 2)).astype("float32")
WIDE = RNG.standard_normal((2, 3, 5)).astype("float32")
TALL = RNG.standard_normal((2, 5, 3)).astype("float32")
B = RNG.standard_normal((2, 4, 3)).astype("float32")

CALLS = {
    "cholesky": lambda o: o.cholesky(SPD),
    "cholesky_upper": lambda o: o.cholesky(SPD, upper=True),
    "cholesky_inverse": lambda o: o.cholesky_inverse(SPD[0]),
    "det": lambda o: o.det(A),
    "slogdet": lambda o: o.slogdet(A),
    "inv": lambda o: o.inv(A),
    "solve": lambda o: o.solve(A, B),
    "solve_vector": lambda o: o.solve(A[0], B[0, :, 0]),
    "solve_triangular": lambda o: o.solve_triangular(A, B, lower=True),
    "lu_factor": lambda o: o.lu_factor(A),
    "qr": lambda o: o.qr(TALL),
    "qr_complete": lambda o: o.qr(WIDE, mode="complete"),
    "singular_values": lambda o: o.svd(WIDE, compute_uv=False),
    "eigenvalues": lambda o: o.eigh(SPD)[0],
    "lstsq": lambda o: o.lstsq(TALL[0], TALL[0, :, 0]),
    "pinv": lambda o: o.pinv(WIDE),
    "matrix_rank": lambda o: o.matrix_rank(np.ones((2, 3, 3), "float32")),
    "norm": lambda o: o.norm(A),
    **{f"norm_{p}": lambda o, p=p: o.norm(WIDE, ord=p, axis=1) for p in (0, 1, 2, 3, np.inf, -np.inf)},
    **{f"norm_matrix_{p}": lambda o, p=p: o.norm(WIDE, ord=p, axis=(1, 2), keepdims=True)
       for p in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)},
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_as_keras(keras, name):
    ours, theirs = CALLS[name](ops), CALLS[name](keras.ops)
    if not isinstance(theirs, tuple):
        ours, theirs = (ours,), (theirs,)
    for a, b in zip(ours, theirs, strict=True):
        b = np.asarray(b)
        assert np.asarray(a).shape == b.shape and str(a.dtype) == str(b.dtype)
        np.testing.assert_allclose(np.asarray(a), b, rtol=2e-4, atol=2e-5)


def test_what_has_no_result():
    with pytest.raises(ValueError, match="positive definite"):
        ops.cholesky(-SPD)
    with pytest.raises(NotImplementedError, match="complex eigenvalues"):
        ops.eig(np.array([[0.0, 1.0], [-1.0, 0.0]], "float32"))
    with pytest.raises(ValueError, match="square"):
        ops.det(WIDE)
    with pytest.raises(ValueError, match="mode"):
        ops.qr(A, mode="raw")
    with pytest.raises(ValueError, match="a vector has no such norm"):
        ops.norm(A, ord="fro", axis=1)
    sign, log = ops.slogdet(np.zeros((2, 2), "float32"))
    assert float(sign) == 0 and float(log) == -np.inf
    assert np.isnan(np.asarray(ops.eigh(np.full((2, 2), np.nan, "float32"))[0])).all()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 0, 3), (0, 0)], ids=str)
@pytest.mark.parametrize("full", [True, False])
def test_svd_of_an_empty_matrix(shape, full):
    want = np.linalg.svd(np.zeros(shape), full_matrices=full)
    for a, b in zip(ops.svd(np.zeros(shape, "float32"), full_matrices=full), want):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("function", [ops.eigh, ops.eig])
def test_eigenvalues_of_an_empty_matrix(function):
    values, vectors = function(np.zeros((0, 0), "float32"))
    assert values.shape == (0,) and vectors.shape == (0, 0)


@pytest.mark.parametrize("name", ["one", "nested", "aux", "linalg"])
def test_jvp(keras, name):
    rng = np.random.default_rng(3)
    x, y, u, v = (rng.normal(size=(3, 4)).astype("float32") for _ in range(4))
    calls = {
        "one": lambda o: o.jvp(o.sin, (x,), (u,)),
        "nested": lambda o: o.jvp(lambda a, b: {"p": a * o.exp(b), "q": [o.sum(a), o.tanh(b)]}, (x, y), (u, v)),
        "aux": lambda o: o.linalg.jvp(lambda a: (o.square(a), o.cos(a)), [x], [u], has_aux=True),
        "linalg": lambda o: o.jvp(lambda a: o.logsumexp(o.matmul(a, o.transpose(a)), axis=0), (x,), (v,)),
    }
    found, expected = (lib.tree.flatten(calls[name](lib.ops)) for lib in (maas, keras))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-5)
    run = maas.jit(lambda a, b: ops.jvp(lambda z: ops.tanh(z) * z, (a,), (b,)))
    slope = 1 - np.tanh(x) ** 2
    np.testing.assert_allclose(run(x, u)[1], (slope * x + np.tanh(x)) * u, rtol=1e-4, atol=1e-5)


def test_jvp_errors():
    x = np.ones(3, "float32")
    with pytest.raises(TypeError, match="must be tuples of arguments, received ndarray and ndarray"):
        ops.jvp(ops.sin, x, x)
    with pytest.raises(ValueError, match=r"the shapes of primals, \[\(3,\)\], received \[\(2,\)\]"):
        ops.jvp(ops.sin, (x,), (x[:2],))
    with pytest.raises(ValueError, match="structure"):
        ops.jvp(lambda a: a["p"] * a["q"], ({"p": x, "q": x},), ([x, x],))
