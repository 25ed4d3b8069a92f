"""Ops whose results have as many elements as the data says: a program that uses them runs in segments."""

from maas import _core
from maas.backend.symbolic import op
from maas.ops.core import as_tensor

__all__ = ["nonzero", "unique"]


def trim(padded, count):
    """The first `count` rows of `padded`: a size of its own inside a trace."""
    if getattr(count, "has_value", False):
        n = int(count)
        begin, end = [0] * padded.ndim, [n, *padded.dims[1:]]
        return _core.slice(padded, begin=begin, end=end, step=[1] * padded.ndim)
    return _core.trim(padded, count, size=[_core.new_size("count")])


def positions(mask):
    """Flat positions (row-major) of the elements of `mask` that are not 0, as an int32 vector."""
    found, count = _core.nonzero(as_tensor(mask))
    return trim(found, count)


@op
def nonzero(x):
    """Indices of the elements that are not 0, in row-major order: one int32 vector for each axis of `x`.

    Args:
        x: Tensor of any dtype with at least one axis.

    Returns:
        Tuple of vectors, as long as there are such elements; no gradient flows through them.
    """
    x = as_tensor(x)
    if x.ndim == 0:
        raise ValueError("nonzero: x must have at least one axis, received a scalar")
    flat = positions(x)
    indices, dims = [], x.dims
    for size in reversed(dims[1:]):
        indices.append(_core.mod(flat, as_tensor(size)))
        flat = _core.floor_divide(flat, as_tensor(size))
    return tuple(reversed([*indices, flat]))


@op
def unique(
    x,
    sorted=True,
    return_index=False,
    return_inverse=False,
    return_counts=False,
    axis=None,
    size=None,
    fill_value=None,
):
    """The different elements of `x`, upwards; NaN is one element, the last.

    Args:
        x: Tensor; it is flattened.
        sorted: bool; they are always sorted.
        return_index: bool, also the place where each comes first.
        return_inverse: bool, also the place of every element of `x` among the results, in the shape of `x`.
        return_counts: bool, also how often each comes.
        axis: None; rows of an axis are not compared.
        size: int, the number of results: more are cut off, missing ones are `fill_value`.
        fill_value: number for missing results, default the smallest element.

    Returns:
        A vector, or a tuple of it and what else was asked for.
    """
    from maas import ops

    if axis is not None:
        raise NotImplementedError(f"unique: only axis=None is available, received axis={axis}")
    x = as_tensor(x)
    values, count, index, inverse, counts = _core.unique(x)
    parts = [values] + [p for p, wanted in ((index, return_index), (counts, return_counts)) if wanted]
    if size is None:
        parts = [trim(p, count) for p in parts]
    else:
        known = ops.arange(size) < count
        fills = [values[:1] if fill_value is None else as_tensor(fill_value), index[:1], 0][: 1 + return_index]
        fills += [0] * return_counts
        parts = [
            ops.where(known, ops.pad(p, [(0, max(int(size), 0))])[:size], ops.cast(f, p.dtype))
            for p, f in zip(parts, fills)
        ]
    out = [parts.pop(0)]
    if return_index:
        out.append(parts.pop(0))
    if return_inverse:
        out.append(ops.reshape(inverse, x.dims))
    if return_counts:
        out.append(parts.pop(0))
    return out[0] if len(out) == 1 else tuple(out)
