"""Linear algebra on the last two axes; leading axes are a batch. Computed in float64, stored in the tensor's dtype."""

import numpy as np

from maas import _core
from maas.backend.symbolic import op
from maas.ops.core import as_tensor, cast, wide
from maas.ops.linear import _same_dtype, matmul
from maas.ops.shape import eye
from maas.ops.views import broadcast_to, expand_dims, moveaxis, squeeze, swapaxes

__all__ = [
    "cholesky",
    "cholesky_inverse",
    "det",
    "eig",
    "eigh",
    "inv",
    "jvp",
    "logdet",
    "lstsq",
    "lu_factor",
    "matrix_rank",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
]


def _concrete_nan(x):
    """Whether `x` has values, and a NaN is among them; in a trace there are none to look at."""
    return not x.is_symbolic and bool(np.isnan(np.asarray(x)).any())


def _matrix(name, x):
    x = wide(x)
    if x.ndim < 2:
        raise ValueError(f"{name}: x must have at least two axes, received x of shape {x.shape}")
    return x


@op
def cholesky(x, upper=False):
    """The triangular `L` with `(x + x^T) / 2 = L L^T`, or with `upper` its transpose.

    Args:
        x: Tensor (..., n, n), symmetric and positive definite.
        upper: bool.

    Raises:
        ValueError: if `x` is not square or, outside a compiled function, not positive definite; inside, the result is
            NaN.
    """
    y = _core.cholesky(_matrix("cholesky", x), upper=bool(upper))
    if _concrete_nan(y):
        raise ValueError("cholesky: x must be symmetric and positive definite, received a matrix that is not")
    return y


@op
def cholesky_inverse(x, upper=False):
    """The inverse of `L L^T` from its factor `x = L`, or of `U^T U` from `x = U` with `upper`."""
    x = _matrix("cholesky_inverse", x)
    y = _core.triangular_solve(x, _eye_like(x), lower=not upper)
    other = swapaxes(y, -1, -2)
    return matmul(y, other) if upper else matmul(other, y)


def _eye_like(x):
    return broadcast_to(eye(x.shape[-1], dtype=x.dtype), [*x.dims[:-1], x.dims[-1]])


def _square(name, x):
    x = _matrix(name, x)
    if x.shape[-1] != x.shape[-2] or x.shape[-1] is None:
        raise ValueError(f"{name}: x must be square in its last two axes, received x of shape {x.shape}")
    return x


@op
def det(x):
    """Determinants, (..., n, n) -> (...)."""
    return _core.det(_matrix("det", x))


@op
def slogdet(x):
    """`(sign, log |det(x)|)`; of a singular matrix `(0, -inf)`."""
    return _core.slogdet(_matrix("slogdet", x))


@op
def logdet(x):
    """`log det(x)` of matrices (..., n, n) whose determinant is positive; of others that of its size."""
    return slogdet(x)[1]


@op
def inv(x):
    """The inverse of each matrix (..., n, n); of a singular one infinities or NaN."""
    x = _square("inv", x)
    return _core.solve(x, _eye_like(x))


def _operands(name, a, b):
    a, b = _same_dtype(wide(a), wide(b))
    a = _square(name, a)
    if b.ndim < 1:
        raise ValueError(f"{name}: b must have at least one axis, received b of shape {b.shape}")
    vector = b.ndim == 1 or b.ndim == a.ndim - 1
    b = expand_dims(b, -1) if vector else b
    rank = max(a.ndim, b.ndim)
    if a.shape[:-2] != b.shape[:-2]:
        shapes = [[1] * (rank - x.ndim) + list(x.dims) for x in (a, b)]
        batch = [q if isinstance(p, int) and p == 1 else p for p, q in zip(shapes[0][:-2], shapes[1][:-2])]
        a, b = broadcast_to(a, batch + shapes[0][-2:]), broadcast_to(b, batch + shapes[1][-2:])
    return a, b, vector


@op
def solve(a, b):
    """`x` with `a x = b`.

    Args:
        a: Tensor (..., n, n).
        b: Tensor (..., n, k), or (..., n) with one axis less than `a`.

    Raises:
        ValueError: if the shapes do not fit.
    """
    a, b, vector = _operands("solve", a, b)
    y = _core.solve(a, b)
    return squeeze(y, -1) if vector else y


@op
def solve_triangular(a, b, lower=False):
    """`x` with `a x = b`, reading the upper triangle of `a` only, or with `lower` the lower one."""
    a, b, vector = _operands("solve_triangular", a, b)
    y = _core.triangular_solve(a, b, lower=bool(lower))
    return squeeze(y, -1) if vector else y


@op
def lu_factor(x):
    """`(lu, pivots)` of `x = P L U` with partial pivoting: both factors in one matrix, row i was swapped with row
    `pivots[i]` (int32). Without gradient.
    """
    return _core.lu(_matrix("lu_factor", x))


@op
def qr(x, mode="reduced"):
    """`(q, r)` with `x = q r`, orthonormal columns and an upper triangle.

    Args:
        x: Tensor (..., m, n).
        mode: "reduced": (m, min(m, n)) and (min(m, n), n); "complete": (m, m) and (m, n).

    Raises:
        ValueError: for another `mode`.
    """
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: mode must be 'reduced' or 'complete', received mode={mode!r}")
    return _core.qr(_matrix("qr", x), complete=mode == "complete")


@op
def svd(x, full_matrices=True, compute_uv=True):
    """`(u, s, v^T)` with `x = u diag(s) v^T` and falling s; only `s` without `compute_uv`.

    Args:
        x: Tensor (..., m, n).
        full_matrices: bool, whether u and v are square; else they have min(m, n) columns.
        compute_uv: bool.
    """
    x = _matrix("svd", x)
    if not compute_uv:
        return _core.svd(x, full_matrices=False)[0]
    s, u, v = _core.svd(x, full_matrices=bool(full_matrices))
    return u, s, v


@op
def eigh(x):
    """`(eigenvalues, eigenvectors)` of symmetric matrices, rising, one vector a column; `(x + x^T) / 2` is taken."""
    return _core.eigh(_matrix("eigh", x))


@op
def eig(x):
    """`(eigenvalues, eigenvectors)` of square matrices whose eigenvalues are real. Without gradient.

    Raises:
        NotImplementedError: if eigenvalues are complex; inside a compiled function they are NaN.
    """
    x = _matrix("eig", x)
    w, v = _core.eig(x)
    if _concrete_nan(w) and bool(np.isfinite(np.asarray(x)).all()):
        raise NotImplementedError("eig: complex eigenvalues do not exist here, received a matrix that has some")
    return w, v


def _cutoff(s, rcond, m, n):
    """Which singular values count."""
    if rcond is None:
        rcond = float(np.finfo(s.dtype).eps) * max(m, n)
    return _core.greater(s, _core.multiply(_core.max(s, axis=[-1], keepdims=True), float(rcond)))


def _pinv(x, rcond):
    u, s, v = svd(x, full_matrices=False)
    kept = _cutoff(s, rcond, x.shape[-2], x.shape[-1])
    inverse = _core.where(kept, _core.divide(1.0, _core.where(kept, s, 1.0)), 0.0)
    return matmul(_core.multiply(swapaxes(v, -1, -2), expand_dims(inverse, -2)), swapaxes(u, -1, -2))


@op
def pinv(x, rcond=None):
    """The Moore-Penrose inverse (..., n, m); singular values up to `rcond` times the largest count as 0.

    rcond: float; default 10 max(m, n) epsilons.
    """
    x = _matrix("pinv", x)
    if rcond is None:
        rcond = 10.0 * max(x.shape[-2:]) * float(np.finfo(x.dtype).eps)
    return _pinv(x, rcond)


@op
def lstsq(a, b, rcond=None):
    """The `x` of least norm that minimises `|a x - b|`.

    Args:
        a: Tensor (m, n).
        b: Tensor (m,) or (m, k).
        rcond: float, singular values up to this part of the largest count as 0; default max(m, n) epsilons.
    """
    a, b = _same_dtype(wide(a), wide(b))
    if a.ndim != 2 or b.ndim not in (1, 2) or a.shape[0] != b.shape[0]:
        raise ValueError(f"lstsq: a must be (m, n) and b (m,) or (m, k), received a {a.shape} and b {b.shape}")
    return matmul(_pinv(a, rcond), b)


@op
def matrix_rank(x, tol=None):
    """How many singular values exceed `tol`, int32; default the largest times max(m, n) epsilons."""
    x = _matrix("matrix_rank", x)
    s = svd(x, compute_uv=False)
    kept = _cutoff(s, None, x.shape[-2], x.shape[-1]) if tol is None else _core.greater(s, float(tol))
    return _core.sum(cast(kept, "int32"), axis=[-1])


@op
def norm(x, ord=None, axis=None, keepdims=False):
    """Vector norms along one axis, matrix norms over two, as `numpy.linalg.norm`.

    Args:
        x: Tensor; integers are taken as floats.
        ord: None (2, or Frobenius), a number, "fro" or "nuc".
        axis: int, a pair of ints, or None: all of `x`.
        keepdims: bool.

    Raises:
        ValueError: if there is no such norm.
    """
    from maas.backend.config import floatx

    x = as_tensor(x)
    if not x.dtype.startswith(("float", "bfloat")):
        x = cast(x, floatx())
    rank = x.ndim
    if axis is None and ord is None:
        y = _core.sqrt(_core.sum(_core.square(x), axis=list(range(rank))))
        return _core.reshape(y, shape=[1] * rank) if keepdims else y
    axes = list(range(rank)) if axis is None else [axis] if isinstance(axis, int) else list(axis)
    if any(not -rank <= a < rank for a in axes) or len(axes) not in (1, 2):
        raise ValueError(f"norm: axis must name one or two axes of x, received axis={axis} for x of shape {x.shape}")
    axes = [a % rank for a in axes]
    if len(axes) == 1:
        return _vector_norm(x, ord, axes, keepdims)
    return _matrix_norm(x, ord, axes, keepdims)


def _vector_norm(x, ord, axes, keepdims):
    if isinstance(ord, str):
        raise ValueError(f"norm: a vector has no such norm, received ord={ord!r}")
    options = {"axis": axes, "keepdims": keepdims}
    if ord is None or ord == 2:
        return _core.sqrt(_core.sum(_core.square(x), **options))
    size = _core.absolute(x)
    if ord == np.inf:
        return _core.max(size, **options)
    if ord == -np.inf:
        return _core.min(size, **options)
    if ord == 0:
        return _core.sum(cast(_core.not_equal(x, 0), x.dtype), **options)
    if ord == 1:
        return _core.sum(size, **options)
    return _core.power(_core.sum(_core.power(size, float(ord)), **options), 1.0 / ord)


def _matrix_norm(x, ord, axes, keepdims):
    if ord in (None, "fro"):
        return _core.sqrt(_core.sum(_core.square(x), axis=axes, keepdims=keepdims))
    if ord in (1, -1, np.inf, -np.inf):
        rows, columns = axes
        summed, over = (rows, columns) if abs(ord) == 1 else (columns, rows)
        sums = _core.sum(_core.absolute(x), axis=[summed], keepdims=True)
        y = (_core.max if ord > 0 else _core.min)(sums, axis=[over], keepdims=True)
    elif ord in (2, -2, "nuc"):
        s = svd(moveaxis(x, tuple(axes), (-2, -1)), compute_uv=False)
        y = {2: _core.max, -2: _core.min, "nuc": _core.sum}[ord](s, axis=[-1])
        for a in sorted(axes):
            y = expand_dims(y, a)
    else:
        raise ValueError(f"norm: a matrix has no such norm, received ord={ord!r}")
    return y if keepdims else squeeze(y, tuple(axes))


def jvp(fun, primals, tangents, has_aux=False):
    """A function's values and how they move when its arguments move along `tangents`: `(f(x), df/dx v)`.

    Args:
        fun: function of nested float tensors that returns nested float tensors (and something else, with `has_aux`).
        primals: tuple or list, its arguments.
        tangents: tuple or list of the structure and shapes of `primals`.
        has_aux: bool, whether `fun` returns `(value, aux)`.

    Returns:
        `(values, moves)`, nested as what `fun` returns; with `has_aux` `(values, moves, aux)`.

    Raises:
        TypeError: if `primals` or `tangents` is no tuple or list, or for integers.
        ValueError: if they differ in structure or shapes.
    """
    from maas import tree
    from maas.ops.core import ones_like
    from maas.ops.reduction import sum as sum_
    from maas.transforms import grad

    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise TypeError(
            f"jvp: primals and tangents must be tuples of arguments, received {type(primals).__name__} and "
            f"{type(tangents).__name__}"
        )
    tree.assert_same_structure(list(primals), list(tangents))
    xs, vs = (tree.map_structure(as_tensor, list(t)) for t in (primals, tangents))
    shapes = [[tuple(x.shape) for x in tree.flatten(t)] for t in (xs, vs)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"jvp: tangents must have the shapes of primals, {shapes[0]}, received {shapes[1]}")
    out = fun(*xs)
    values, aux = out if has_aux else (out, None)

    def dot(a, b):
        total = None
        for x, y in zip(tree.flatten(a), tree.flatten(b)):
            part = sum_(_core.multiply(x, y))
            total = part if total is None else _core.add(total, part)
        return total

    def along(weights):
        """`<v, J^T w>`, which is linear in w: its gradient is `J v`."""

        def weighed(*args):
            found = fun(*args)
            return dot(found[0] if has_aux else found, weights)

        return dot(list(grad(weighed, argnums=tuple(range(len(xs))))(*xs)), vs)

    moves = grad(along)(tree.map_structure(lambda y: ones_like(as_tensor(y)), values))
    return (values, moves, aux) if has_aux else (values, moves)
