"""Ops that give elements another place or name. Most are views: they cost nothing when compiled."""

import numpy as np

from maas import _core
from maas.backend.symbolic import op
from maas.ops.core import as_size, as_sizes, as_tensor

__all__ = [
    "broadcast_to",
    "expand_dims",
    "get_item",
    "moveaxis",
    "ravel",
    "reshape",
    "slice",
    "split",
    "squeeze",
    "swapaxes",
    "transpose",
    "unstack",
]


def _axis(name, axis, rank):
    if not -rank <= axis < rank:
        raise ValueError(f"{name}: axis must be in [{-rank}, {rank}), received axis={axis}")
    return axis % rank


@op
def reshape(x, newshape):
    """The elements of `x`, in order, in another shape.

    Args:
        x: Tensor.
        newshape: int or tuple of sizes; one may be -1 (or None) and is worked out.

    Raises:
        ValueError: if the number of elements differs.
    """
    return _core.reshape(as_tensor(x), shape=[-1 if s is None else s for s in as_sizes(newshape, "reshape")])


@op
def ravel(x):
    """`x` with one axis."""
    return reshape(x, (-1,))


@op
def transpose(x, axes=None):
    """`x` with its axes in another order, reversed by default."""
    x = as_tensor(x)
    return x if x.ndim < 2 else _core.transpose(x, axes=list(axes) if axes is not None else list(range(x.ndim))[::-1])


@op
def swapaxes(x, axis1, axis2):
    """`x` with two axes exchanged."""
    x = as_tensor(x)
    axes = list(range(x.ndim))
    a, b = _axis("swapaxes", axis1, x.ndim), _axis("swapaxes", axis2, x.ndim)
    axes[a], axes[b] = b, a
    return transpose(x, axes)


@op
def moveaxis(x, source, destination):
    """`x` with axes moved to new places, the others keeping their order."""
    x = as_tensor(x)
    source = [_axis("moveaxis", s, x.ndim) for s in ([source] if isinstance(source, int) else source)]
    destination = [
        _axis("moveaxis", d, x.ndim) for d in ([destination] if isinstance(destination, int) else destination)
    ]
    order = [a for a in range(x.ndim) if a not in source]
    for d, s in sorted(zip(destination, source)):
        order.insert(d, s)
    return transpose(x, order)


@op
def expand_dims(x, axis):
    """`x` with axes of size 1 inserted at `axis` (int or tuple, places in the result)."""
    x = as_tensor(x)
    axes = [axis] if isinstance(axis, int) else list(axis)
    rank = x.ndim + len(axes)
    axes = {_axis("expand_dims", a, rank) for a in axes}
    sizes = iter(x.dims)
    return _core.reshape(x, shape=[1 if i in axes else next(sizes) for i in range(rank)])


@op
def squeeze(x, axis=None):
    """`x` without axes of size 1: all of them, or those named.

    Raises:
        ValueError: if a named axis has another size.
    """
    x = as_tensor(x)
    axes = [i for i, d in enumerate(x.shape) if d == 1] if axis is None else [axis] if isinstance(axis, int) else axis
    axes = {_axis("squeeze", a, x.ndim) for a in axes}
    for a in axes:
        if x.shape[a] not in (1, None):
            raise ValueError(f"squeeze: axis {a} must have size 1, received x of shape {x.shape}")
    return _core.reshape(x, shape=[d for i, d in enumerate(x.dims) if i not in axes])


@op
def broadcast_to(x, shape):
    """`x` repeated along axes of size 1 and new leading axes to fill `shape`."""
    return _core.broadcast_to(as_tensor(x), shape=as_sizes(shape, "broadcast_to"))


def _strided(x, begin, end, step):
    return _core.slice(x, begin=list(begin), end=list(end), step=list(step))


@op
def slice(inputs, start_indices, shape):
    """The block of `shape` that starts at `start_indices`."""
    x = as_tensor(inputs)
    sizes = as_sizes(shape, "slice")
    start_indices = list(unstack(start_indices)) if _moves(start_indices) else list(start_indices)
    for axis, (start, size) in enumerate(zip(start_indices, sizes)):
        if _moves(start):  # known only when the program runs: the nearest block inside x, as jax.lax.dynamic_slice
            rows = _core.add(_inside(start, x.dims[axis], size), _core.arange(size=[size]))
            x, start_indices[axis] = _core.take(x, rows, axis=axis), 0
    begin = [as_size(s, "slice") for s in start_indices]
    size = [n - b if s == -1 else s for s, n, b in zip(sizes, x.dims, begin)]
    return _strided(x, begin, [b + s for b, s in zip(begin, size)], [1] * x.ndim)


def _moves(index):
    """True for a tensor whose value is known only when the program runs."""
    return getattr(index, "is_symbolic", False) and index.size_values is None


def _inside(start, axis_size, size):
    """`start` moved so that [start, start + size) lies inside the axis; int32."""
    start, last = _core.cast(as_tensor(start), dtype="int32"), as_tensor(axis_size - size)
    return _core.maximum(_core.minimum(start, last), 0)


def _bound(value, size, default):
    if value is None:
        return default
    value = as_size(value, "an index")
    if isinstance(value, _core.Dim):
        return value
    if isinstance(size, _core.Dim):
        # The size is known when the model runs: clamp then.
        return (size + value).max(0) if value < 0 else size.min(value)
    return max(value + size, 0) if value < 0 else min(value, size)


def _largest(a, b):
    if isinstance(a, int) and isinstance(b, int):
        return max(a, b)
    return b.max(a) if isinstance(b, _core.Dim) else a.max(b)


def _smallest(a, b):
    if isinstance(a, int) and isinstance(b, int):
        return min(a, b)
    return b.min(a) if isinstance(b, _core.Dim) else a.min(b)


def _in_order(start, stop):
    """Whether a slice upwards ends behind its start, whatever the size."""
    start = 0 if start is None else start
    if not isinstance(start, int) or not (stop is None or isinstance(stop, int)):
        return False
    return (
        start == 0 or (stop is None and start < 0) or (stop is not None and (start < 0) == (stop < 0) and start <= stop)
    )


def _backwards(k, size, step):
    """(begin, end) of what a slice downwards takes, upwards with the same step."""

    def place(value, default):  # as slice.indices: clipped to [-1, size)
        if value is None:
            return default
        value = as_size(value, "an index")
        if isinstance(value, int) and value < 0:
            return _largest(-1, size + value)
        return _smallest(value, size - 1)

    top, low = place(k.start, size - 1), place(k.stop, -1)
    count = (top - low + (step - 1)) // step
    if not (k.start is None and k.stop is None):
        count = _largest(0, count)
    end = top + 1
    begin = top - (count - 1) * step
    return (begin if step == 1 else _smallest(begin, end)), end


def _without_mask(x, keys):
    """`x` and `keys` with boolean masks turned into positions on the axes that they cover, made one; True is an axis of
    size 1.
    """
    keys = [None if k is True or k is np.True_ else k for k in keys]
    if any(
        k is False or k is np.False_ or (isinstance(k, np.ndarray) and k.dtype == bool and not k.ndim) for k in keys
    ):
        raise NotImplementedError("an index of one bool takes everything or nothing: use `maas.ops.where`")
    from maas.ops.select import positions

    def axes(some):
        return sum(k is not None and k is not Ellipsis for k in some)

    for i, k in enumerate(keys):
        array = np.asarray(k) if isinstance(k, list) else k
        if str(getattr(array, "dtype", "")) != "bool" or len(array.shape) == 0:
            continue
        mask = as_tensor(array)
        rank = mask.ndim
        behind_ellipsis = any(other is Ellipsis for other in keys[:i])
        at = x.ndim - axes(keys[i + 1 :]) - rank if behind_ellipsis else axes(keys[:i])
        covered = x.shape[at : at + rank]
        if len(covered) != rank or any(a != b for a, b in zip(covered, mask.shape) if None not in (a, b)):
            raise IndexError(f"a mask must fit the axes it covers, {covered} of {x.shape}, received {mask.shape}")
        x = _core.reshape(x, shape=[*x.dims[:at], -1, *x.dims[at + rank :]])
        return _without_mask(x, [*keys[:i], positions(mask), *keys[i + 1 :]])
    return x, keys


@op
def get_item(x, key):
    """`x[key]` for ints, slices, None, Ellipsis, index arrays and boolean masks, by NumPy's rules: several arrays pick
    element by element, and where a slice lies between them, or between one and an int, their axes come first.

    A mask gives as many elements as it has True ones; a program with such a size runs in segments.

    Raises:
        IndexError: for too many indices or an index out of range, or a mask that does not fit.
    """
    x = as_tensor(x)
    x, keys = _without_mask(x, list(key) if isinstance(key, tuple) else [key])
    used = sum(k is not None and k is not Ellipsis for k in keys)
    if used > x.ndim:
        raise IndexError(f"too many indices for a tensor of shape {x.shape}, received {len(keys)}")
    if Ellipsis not in [k if k is None or k is Ellipsis else 0 for k in keys]:
        keys.append(Ellipsis)
    at = next(i for i, k in enumerate(keys) if k is Ellipsis)
    keys[at : at + 1] = [np.s_[:]] * (x.ndim - used)
    begin, end, step, shape, flips, gathers, picks = [], [], [], [], [], [], []
    dims, axis = x.dims, 0
    for place, k in enumerate(keys):
        if k is None:
            shape.append(1)
            continue
        size = dims[axis]
        if type(k) is type(np.s_[:]):
            stride = 1 if k.step is None else int(k.step)
            if stride == 0:
                raise ValueError(f"a slice's step must not be 0, received {k}")
            if stride > 0:
                b, e = _bound(k.start, size, 0), _bound(k.stop, size, size)
                e = e if _in_order(k.start, k.stop) else _largest(b, e)
            else:  # the same elements upwards, flipped afterwards
                b, e = _backwards(k, size, -stride)
                flips.append(len(shape))
            begin.append(b), end.append(e), step.append(abs(stride))
            length = e - b
            shape.append(length if abs(stride) == 1 else (length + abs(stride) - 1) // abs(stride))
        elif isinstance(k, _core.Dim):
            picks.append(place)
            begin.append(k), end.append(k + 1), step.append(1)
        elif hasattr(k, "__index__") and not (hasattr(k, "shape") and k.shape) and not _moves(k):
            picks.append(place)
            i = as_size(k, "an index")
            if isinstance(i, _core.Dim):
                begin.append(i), end.append(i + 1), step.append(1)
                axis += 1
                continue
            if isinstance(size, int) and not -size <= i < size:
                raise IndexError(
                    f"index {i} is out of range for axis {axis} of a tensor of shape {x.shape}, received {key!r}"
                )
            i = i + size if i < 0 else i
            begin.append(i), end.append(i + 1), step.append(1)
        else:
            picks.append(place)
            gathers.append((len(shape), as_tensor(np.asarray(k, "int32") if isinstance(k, list) and not k else k)))
            begin.append(0), end.append(size), step.append(1)
            shape.append(size)
        axis += 1
    whole = all(isinstance(b, int) and b == 0 and e is d and s == 1 for b, e, s, d in zip(begin, end, step, dims))
    if not whole:
        x = _strided(x, begin, end, step)
    x = _core.reshape(x, shape=shape)
    from maas import ops

    for a in flips:
        x = ops.flip(x, a)
    if all(index.ndim == 0 for _, index in gathers):
        for a, index in reversed(gathers):  # a scalar index takes its axis away
            x = ops.take(x, index, axis=a)
        return x
    apart = picks[-1] - picks[0] >= len(picks)
    return _gathered(x, [a for a, _ in gathers], [index for _, index in gathers], apart)


def _gathered(x, axes, indices, apart):
    """x[index of axes[0], index of axes[1], ...]; `apart`: the indices' axes come first, else where they stood."""
    from maas import ops

    if len(axes) == 1:
        y, rank = ops.take(x, indices[0], axis=axes[0]), indices[0].ndim
        at = axes[0]
    else:
        indices = [ops.cast(index, "int64") for index in indices]
        rank = max(index.ndim for index in indices)
        together = sum(ops.zeros_like(index) for index in indices)  # their common shape
        rest = [a for a in range(x.ndim) if a not in axes]
        y = _core.gather_nd(transpose(x, axes + rest), ops.stack([index + together for index in indices], axis=-1))
        at = 0
    to = 0 if apart else axes[0]
    if to == at:
        return y
    return moveaxis(y, list(range(at, at + rank)), list(range(to, to + rank)))


@op
def split(x, indices_or_sections, axis=0):
    """`x` cut along `axis`: into equal parts (int) or before the given places (list). A list of tensors."""
    x = as_tensor(x)
    axis = _axis("split", axis, x.ndim)
    size = x.dims[axis]
    if isinstance(indices_or_sections, int):
        n = indices_or_sections
        if isinstance(size, int) and size % n:
            raise ValueError(
                f"split: axis {axis} of x of shape {x.shape} must be divisible by {n}, received {n} sections"
            )
        cuts = [size // n * i for i in range(n + 1)]
    else:
        cuts = [0, *indices_or_sections, size]
    parts = []
    for low, high in zip(cuts, cuts[1:]):
        begin, end = [0] * x.ndim, list(x.dims)
        begin[axis], end[axis] = low, high
        parts.append(_strided(x, begin, end, [1] * x.ndim))
    return parts


@op
def unstack(x, num=None, axis=0):
    """The parts of `x` along one axis, without that axis. A list of tensors."""
    x = as_tensor(x)
    axis = _axis("unstack", axis, x.ndim)
    n = x.shape[axis] if num is None else num
    if n is None:
        raise ValueError(f"unstack: the size of axis {axis} must be known, received x of shape {x.shape}")
    return [squeeze(part, axis) for part in split(x, n, axis)]
