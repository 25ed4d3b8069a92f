"""Reading elements by index."""

from maas import _core
from maas.backend.symbolic import op
from maas.ops.core import as_tensor, cast

__all__ = ["take", "take_along_axis"]


def _indices(indices):
    indices = as_tensor(indices)
    return cast(indices, "int32") if indices.dtype == "bool" else indices


@op
def take(x, indices, axis=None):
    """Elements or blocks of `x` that `indices` name along `axis`; an embedding lookup is `take(table, ids, axis=0)`.

    Args:
        x: Tensor of any dtype.
        indices: Tensor of integers of any shape; a negative one counts from the end.
        axis: int, or None to read the flattened `x`.

    Returns:
        Tensor of `x`'s shape with the axis replaced by the shape of `indices`.

    Raises:
        IndexError: if an index is outside [-size, size), naming its position.
        TypeError: if `indices` are not integers.
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = _core.reshape(x, shape=[-1]), 0
    return _core.take(x, _indices(indices), axis=axis)


def lookup(table, ids, owner):
    """Rows of `table`; the error for a bad id names `owner`.

    Args:
        table: Tensor (rows, size).
        ids: Tensor of integers of any shape.
        owner: str, such as "Embedding 'words'".
    """
    rows = table.shape[0]
    return _core.take(as_tensor(table), as_tensor(ids), axis=0, rule=f"{owner}: ids must be in [-{rows}, {rows})")


@op
def take_along_axis(x, indices, axis=None):
    """Elements of `x` along `axis`, one index for each: `y[i, j] = x[indices[i, j], j]` for axis 0.

    Args:
        x: Tensor of any dtype.
        indices: Tensor of integers with `x`'s number of axes, broadcast with it on every axis but `axis`.
        axis: int, or None to read the flattened `x` with flat indices.

    Raises:
        IndexError: if an index is outside [-size, size), naming its position.
        ValueError: if the shapes do not fit.
    """
    x, indices = as_tensor(x), _indices(indices)
    if axis is None:
        x, indices, axis = _core.reshape(x, shape=[-1]), _core.reshape(indices, shape=[-1]), 0
    if x.ndim != indices.ndim:
        raise ValueError(
            f"take_along_axis: x and indices need equally many axes, received {x.shape} and {indices.shape}"
        )
    at = axis % x.ndim
    sizes = [i if n == 1 else n for n, i in zip(x.shape, indices.shape)]
    if any(s != n for a, (s, n) in enumerate(zip(sizes, x.shape)) if a != at):
        x = _core.broadcast_to(
            x, shape=[n if a == at or n != 1 else i for a, (n, i) in enumerate(zip(x.dims, indices.dims))]
        )
    if any(n == 1 and s != 1 for a, (s, n) in enumerate(zip(x.shape, indices.shape)) if a != at):
        indices = _core.broadcast_to(
            indices, shape=[i if a == at else n for a, (n, i) in enumerate(zip(x.dims, indices.dims))]
        )
    return _core.take_along_axis(x, indices, axis=axis)
