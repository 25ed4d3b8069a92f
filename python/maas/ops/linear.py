"""Products of matrices and tensors."""

from maas import _core
from maas.backend.symbolic import op
from maas.ops.core import as_tensor, cast
from maas.ops.views import expand_dims, reshape, squeeze, transpose

__all__ = ["dot", "einsum", "inner", "matmul", "outer", "tensordot", "vdot"]


def _same_dtype(*tensors, sums=False):
    """The tensors in their common dtype; with `sums`, int8 alone becomes int32, which holds sums of its products."""
    from maas.backend import result_type

    tensors = [as_tensor(t) for t in tensors]
    dtype = result_type(*(t.dtype for t in tensors))
    if sums and dtype == "int8" and all(t.dtype == "int8" for t in tensors):
        dtype = "int32"
    return [cast(t, dtype) for t in tensors]


@op
def matmul(x1, x2):
    """Matrix product over the last axis of `x1` and the second to last of `x2`; leading axes broadcast.

    Args:
        x1: Tensor (..., m, k), or (k,).
        x2: Tensor (..., k, n), or (k,).

    Returns:
        Tensor (..., m, n) of the common dtype. Two int8 operands give int32; integers wrap.

    Raises:
        ValueError: if the inner sizes differ or an operand is a scalar.
    """
    a, b = _same_dtype(x1, x2, sums=True)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"matmul: operands must have at least one axis, received shapes {a.shape} and {b.shape}")
    a2 = expand_dims(a, 0) if a.ndim == 1 else a
    b2 = expand_dims(b, 1) if b.ndim == 1 else b
    y = _core.matmul(a2, b2)
    if b.ndim == 1:
        y = squeeze(y, -1)
    return squeeze(y, -1 if b.ndim == 1 else -2) if a.ndim == 1 else y


@op
def tensordot(x1, x2, axes=2):
    """Sum of products over pairs of axes: the last `axes` of `x1` with the first of `x2`, or two lists of axes."""
    a, b = _same_dtype(x1, x2)
    if isinstance(axes, int):
        ax, bx = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        ax, bx = ([v] if isinstance(v, int) else list(v) for v in axes)
    ax, bx = [v % a.ndim for v in ax], [v % b.ndim for v in bx]
    af, bf = [i for i in range(a.ndim) if i not in ax], [i for i in range(b.ndim) if i not in bx]
    left = reshape(transpose(a, af + ax), (_product(a.dims[i] for i in af), _product(a.dims[i] for i in ax)))
    right = reshape(transpose(b, bx + bf), (_product(b.dims[i] for i in bx), _product(b.dims[i] for i in bf)))
    return reshape(_core.matmul(left, right), [a.dims[i] for i in af] + [b.dims[i] for i in bf])


def _product(sizes):
    p = 1
    for s in sizes:
        p = s * p if isinstance(s, _core.Dim) else p * s
    return p


@op
def dot(x1, x2):
    """NumPy's dot: the last axis of `x1` with the second to last of `x2` (its only one if it has one)."""
    a, b = _same_dtype(x1, x2)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return tensordot(a, b, [[-1], [-2 if b.ndim > 1 else 0]])


@op
def inner(x1, x2):
    """Sum of products over the last axes."""
    return tensordot(x1, x2, [[-1], [-1]])


@op
def vdot(x1, x2):
    """Sum of products of all elements."""
    return dot(reshape(x1, (-1,)), reshape(x2, (-1,)))


@op
def outer(x1, x2):
    """All products of an element of `x1` with one of `x2`."""
    a, b = _same_dtype(x1, x2)
    return reshape(a, (-1, 1)) * reshape(b, (1, -1))


@op
def einsum(subscripts, *operands):
    """Sum of products in Einstein's notation, such as "abc,cd->abd".

    Args:
        subscripts: str; "..." stands for any leading axes, the same in every operand.
        *operands: Tensors, one per comma-separated term; several are combined from the left.

    Raises:
        ValueError: for subscripts that do not fit the operands.
    """
    terms, _, result = subscripts.replace(" ", "").partition("->")
    _check_subscripts(subscripts, terms, result)
    terms = terms.split(",")
    tensors = _same_dtype(*operands, sums=True)
    if len(terms) != len(tensors):
        raise ValueError(f"einsum: '{subscripts}' has {len(terms)} terms, received {len(tensors)} operands")
    if "..." in subscripts:
        extra = max(t.ndim - len(s.replace("...", "")) for s, t in zip(terms, tensors) if "..." in s)
        free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in subscripts][:extra]
        terms = [
            s.replace("...", "".join(free[extra - (t.ndim - len(s) + 3) :]) if "..." in s else "")
            for s, t in zip(terms, tensors)
        ]
        if "->" in subscripts and extra and "..." not in result:
            raise ValueError(f"einsum: the axes of '...' must be in the result, received '{subscripts}'")
        result = result.replace("...", "".join(free))
    else:
        free = []
    if "->" not in subscripts:
        letters = "".join(terms)
        once = sorted(c for c in set(letters) if letters.count(c) == 1 and c not in free)
        result = "".join([*free, *once])
    for s, t in zip(terms, tensors):
        if len(s) != t.ndim:
            raise ValueError(f"einsum: term '{s}' of '{subscripts}' needs {len(s)} axes, received shape {t.shape}")
    terms, tensors = zip(*map(_diagonals, terms, tensors))
    names, x = terms[0], tensors[0]
    for i in range(1, len(tensors)):
        keep = set(result).union(*terms[i + 1 :])
        names, x = _contract(names, x, terms[i], tensors[i], keep, subscripts)
    return _finish(names, x, result)


def _check_subscripts(subscripts, terms, result):
    letters = list(terms.replace("...", "").replace(",", ""))
    out = list(result.replace("...", "", 1))
    if not all(c.isalpha() for c in letters) or len(set(out)) != len(out) or not set(out) <= set(letters):
        raise ValueError(
            f"einsum: subscripts are letters, and each letter of the result stands there once and in a term, "
            f"received '{subscripts}'"
        )


def _diagonals(names, x):
    """A letter that a term has twice walks along the diagonal."""
    from maas import ops

    for c in dict.fromkeys(names):
        while names.count(c) > 1:
            i = names.index(c)
            j = names.index(c, i + 1)
            if None not in (x.shape[i], x.shape[j]) and x.shape[i] != x.shape[j]:
                raise ValueError(f"einsum: '{c}' is two sizes in one term, received shape {x.shape}")
            x = ops.diagonal(x, axis1=i, axis2=j)
            names = names[:i] + names[i + 1 : j] + names[j + 1 :] + c
    return names, x


def _contract(an, a, bn, b, keep, subscripts):
    an, a = _without_ones(an, a, bn, b)
    bn, b = _without_ones(bn, b, an, a)
    # What only one operand has and nobody wants is summed first.
    an, a = _sum_unwanted(an, a, keep.union(bn))
    bn, b = _sum_unwanted(bn, b, keep.union(an))
    shared = [c for c in an if c in bn]
    batch = [c for c in shared if c in keep]
    inner_ = [c for c in shared if c not in keep]
    left, right = [c for c in an if c not in shared], [c for c in bn if c not in shared]
    size = dict(zip(bn, b.dims)) | dict(zip(an, a.dims)) | {c: d for c, d in zip(bn, b.dims) if d != 1}
    dims = lambda cs: [size[c] for c in cs]  # noqa: E731
    a = transpose(a, [an.index(c) for c in batch + left + inner_])
    b = transpose(b, [bn.index(c) for c in batch + inner_ + right])
    a = reshape(a, [*dims(batch), _product(dims(left)), _product(dims(inner_))])
    b = reshape(b, [*dims(batch), _product(dims(inner_)), _product(dims(right))])
    y = reshape(_core.matmul(a, b), dims(batch) + dims(left) + dims(right))
    return "".join(batch + left + right), y


def _without_ones(names, x, other_names, other):
    """An axis of size 1 broadcasts along the other operand's."""
    size = dict(zip(other_names, other.dims))
    kept = [i for i, c in enumerate(names) if not (c in size and x.dims[i] == 1 and size[c] != 1)]
    if len(kept) == len(names):
        return names, x
    return "".join(names[i] for i in kept), reshape(x, [x.dims[i] for i in kept])


def _sum_unwanted(names, x, wanted):
    from maas import ops

    gone = [i for i, c in enumerate(names) if c not in wanted]
    if gone:
        x = ops.sum(x, axis=tuple(gone))
        names = "".join(c for c in names if c in wanted)
    return names, x


def _finish(names, x, result):
    names, x = _sum_unwanted(names, x, result)
    return transpose(x, [names.index(c) for c in result]) if names != result else x
