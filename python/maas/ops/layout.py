"""Elements in other places: diagonals, turns, grids, axes by name."""

import math
import re

import numpy as np

from maas import _core
from maas.backend.symbolic import op
from maas.ops.arrays import _at
from maas.ops.core import as_tensor

__all__ = [
    "diagonal",
    "kron",
    "meshgrid",
    "rearrange",
    "rot90",
    "trace",
]


@op
def diagonal(x, offset=0, axis1=0, axis2=1):
    """The elements with `j = i + offset` on two axes, which a last axis takes the place of.

    Args:
        x: Tensor with at least two axes; the two have known sizes.
        offset: int, above (positive) or below the main diagonal.
        axis1, axis2: int.
    """
    from maas.ops.views import moveaxis

    x = as_tensor(x)
    if x.ndim < 2:
        raise ValueError(f"diagonal: x must have at least two axes, received shape {x.shape}")
    a, b = _at("diagonal", axis1, x.ndim), _at("diagonal", axis2, x.ndim)
    if a == b:
        raise ValueError(f"diagonal: two different axes are needed, received axis1={axis1} and axis2={axis2}")
    rows, columns = x.shape[a], x.shape[b]
    if rows is None or columns is None:
        raise ValueError(f"diagonal: the sizes of both axes must be known, received x of shape {x.shape}")
    x = moveaxis(x, [a, b], [-2, -1])
    i = np.arange(max(min(rows + min(offset, 0), columns - max(offset, 0)), 0))
    places = (i - min(offset, 0)) * columns + i + max(offset, 0)
    flat = _core.reshape(x, shape=[*x.dims[:-2], rows * columns])
    return _core.take(flat, as_tensor(places.astype("int32")), axis=-1)


@op
def trace(x, offset=0, axis1=0, axis2=1):
    """Sum of a diagonal: `sum(diagonal(x, offset, axis1, axis2), -1)`."""
    return _core.sum(diagonal(x, offset, axis1, axis2), axis=[-1], keepdims=False)


@op
def rot90(array, k=1, axes=(0, 1)):
    """`array` turned by `k` quarters from the first of two axes to the second.

    Args:
        array: Tensor with at least two axes.
        k: int.
        axes: two different ints.
    """
    from maas.ops.shape import flip
    from maas.ops.views import swapaxes

    x = as_tensor(array)
    if x.ndim < 2:
        raise ValueError(f"rot90: array must have at least two axes, received shape {x.shape}")
    if len(axes) != 2:
        raise ValueError(f"rot90: axes must be two different axes, received axes={axes}")
    a, b = (_at("rot90", v, x.ndim) for v in axes)
    if a == b:
        raise ValueError(f"rot90: axes must be two different axes, received axes={axes}")
    k %= 4
    if k == 0:
        return x
    if k == 2:
        return flip(x, (a, b))
    return swapaxes(flip(x, b), a, b) if k == 1 else flip(swapaxes(x, a, b), b)


@op
def meshgrid(*x, indexing="xy"):
    """The coordinates of every point of a grid, one Tensor for each of the given axes.

    Args:
        *x: Tensors (n,).
        indexing: "xy" (the first two axes of the results are exchanged) or "ij".

    Returns:
        List of Tensors.
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij', received indexing={indexing!r}")
    xs = [_core.reshape(as_tensor(v), shape=[-1]) for v in x]
    order = list(range(len(xs)))
    if indexing == "xy" and len(xs) > 1:
        order[:2] = [1, 0]
    dims = [xs[i].dims[0] for i in order]
    results = []
    for i, v in enumerate(xs):
        shape = [1] * len(xs)
        shape[order.index(i)] = v.dims[0]
        results.append(_core.broadcast_to(_core.reshape(v, shape=shape), shape=dims))
    return results


@op
def kron(x1, x2):
    """Kronecker product: every element of `x1` times the whole of `x2`.

    Args:
        x1, x2: Tensors.

    Returns:
        Tensor whose sizes are the products of theirs.
    """
    a, b = as_tensor(x1), as_tensor(x2)
    rank = max(a.ndim, b.ndim)
    m, n = ([1] * (rank - t.ndim) + list(t.dims) for t in (a, b))
    wide = _core.reshape(a, shape=[s for d in m for s in (d, 1)])
    y = _core.multiply(wide, _core.reshape(b, shape=[s for d in n for s in (1, d)]))
    return _core.reshape(y, shape=[p * q for p, q in zip(m, n)])


def _terms(side):
    return [group.strip("()").split() for group in re.findall(r"\w+|\(.*?\)", side)]


@op
def rearrange(tensor, pattern, **axes_lengths):
    """`tensor` with its axes split, reordered and joined as the pattern says, such as "b (h p) c -> b h (p c)".

    Args:
        tensor: Tensor.
        pattern: str, axes by name; those in parentheses are one axis.
        **axes_lengths: sizes of axes that are split off; one per parenthesis may be left out.

    Raises:
        ValueError: if the pattern does not fit `tensor`.
    Reference: Rogozhnikov, 2022, "Einops", ICLR.
    """
    x = as_tensor(tensor)
    given, arrow, wanted = pattern.partition("->")
    given, wanted = _terms(given), _terms(wanted)
    names, result = [n for g in given for n in g], [n for g in wanted for n in g]
    if not arrow or len(given) != x.ndim or len(set(names)) != len(names) or sorted(names) != sorted(result):
        raise ValueError(f"rearrange: the pattern must name every axis of shape {x.shape} once, received {pattern!r}")
    sizes = {}
    for group, size in zip(given, x.dims):
        known = math.prod(axes_lengths[n] for n in group if n in axes_lengths)
        unknown = [n for n in group if n not in axes_lengths]
        if len(unknown) > 1 or (isinstance(size, int) and (size % known if unknown else size != known)):
            raise ValueError(
                f"rearrange: {group} of {pattern!r} does not fit size {size}, received lengths {axes_lengths}"
            )
        sizes.update({n: axes_lengths[n] for n in group if n in axes_lengths})
        sizes.update(dict.fromkeys(unknown, size if known == 1 else size // known))
    y = _core.reshape(x, shape=[sizes[n] for n in names])
    if names != result:
        y = _core.transpose(y, axes=[names.index(n) for n in result])
    return _core.reshape(y, shape=[math.prod(sizes[name] for name in group) for group in wanted])
