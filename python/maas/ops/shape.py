"""Ops that join, repeat and make tensors. Those that only relabel elements are in `views`."""

import math

import numpy as np

from maas import _core
from maas.backend.known_sizes import NeedsKnownSizes
from maas.backend.standardize import standardize_dtype
from maas.backend.symbolic import op
from maas.ops.core import as_size, as_sizes, as_tensor, cast

__all__ = [
    "append",
    "arange",
    "concatenate",
    "diag",
    "eye",
    "flip",
    "fliplr",
    "flipud",
    "hstack",
    "identity",
    "linspace",
    "one_hot",
    "pad",
    "repeat",
    "roll",
    "stack",
    "tile",
    "tri",
    "tril",
    "triu",
    "vstack",
]


def _common(xs):
    from maas.backend import result_type

    xs = [as_tensor(x) for x in xs]
    dtype = result_type(*(x.dtype for x in xs)) if len({x.dtype for x in xs}) > 1 else xs[0].dtype
    return [cast(x, dtype) for x in xs]


def _axis(name, axis, rank):
    if not -rank <= axis < rank:
        raise ValueError(f"{name}: axis must be in [{-rank}, {rank}), received axis={axis}")
    return axis % rank


@op
def concatenate(xs, axis=0):
    """Tensors one after the other along `axis`.

    Args:
        xs: list of Tensors, equal on every other axis. They meet in the promoted dtype.
        axis: int, or None to join the flattened tensors.

    Raises:
        ValueError: if the shapes do not fit or the list is empty.
    """
    if len(xs) == 0:
        raise ValueError("concatenate: at least one tensor is needed, received an empty list")
    xs = _common(xs)
    if axis is None:
        xs, axis = [_core.reshape(x, shape=[-1]) for x in xs], 0
    return _core.concatenate(*xs, axis=axis)


@op
def stack(x, axis=0):
    """Tensors of one shape joined along a new axis.

    Args:
        x: list of Tensors.
        axis: int, place of the new axis in the result.
    """
    if len(x) == 0:
        raise ValueError("stack: at least one tensor is needed, received an empty list")
    xs = _common(x)
    at = _axis("stack", axis, xs[0].ndim + 1)
    return _core.concatenate(*[_core.reshape(t, shape=[*t.dims[:at], 1, *t.dims[at:]]) for t in xs], axis=at)


@op
def append(x1, x2, axis=None):
    """`x2` after `x1` along `axis`; None flattens both."""
    return concatenate([x1, x2], axis)


@op
def vstack(xs):
    """Tensors joined along the first axis; one-dimensional ones become rows."""
    return concatenate([_core.reshape(t, shape=[1, -1]) if t.ndim < 2 else t for t in map(as_tensor, xs)], 0)


@op
def hstack(xs):
    """Tensors joined along the second axis; one-dimensional ones along the first."""
    xs = [_core.reshape(t, shape=[-1]) if t.ndim == 0 else t for t in map(as_tensor, xs)]
    return concatenate(xs, 0 if xs[0].ndim == 1 else 1)


def _mirror(x, axis, before, after, skip):
    """Mirrored borders: `skip` 1 leaves the edge out (reflect), 0 repeats it (symmetric)."""
    size = x.shape[axis]
    if size is None:
        raise ValueError(f"pad: mirroring needs a known size of axis {axis}, received x of shape {x.shape}")
    period = 2 * size - 2 if skip else 2 * size
    places = np.arange(-before, size + after) % max(period, 1)
    places = np.where(places >= size, (period - places) if skip else (period - 1 - places), places)
    return _core.take(x, places.astype("int32"), axis=axis)


@op
def pad(x, pad_width, mode="constant", constant_values=None):
    """`x` with a border.

    Args:
        x: Tensor.
        pad_width: (before, after) for every axis, one pair or one int for all.
        mode: "constant", "reflect", "symmetric" or "edge".
        constant_values: number of the border, default 0; "constant" only.

    Raises:
        ValueError: for negative widths, another mode, or `constant_values` with another mode than "constant".
    """
    x = as_tensor(x)
    if mode != "constant" and constant_values is not None:
        raise ValueError(f"pad: constant_values needs mode='constant', received mode={mode!r}")

    def is_size(w):
        return isinstance(w, _core.Dim) or (hasattr(w, "__index__") and not getattr(w, "shape", ()))

    if is_size(pad_width):
        pad_width = [(pad_width, pad_width)] * x.ndim
    widths = [(w, w) if is_size(w) else tuple(as_sizes(w, "pad")) for w in pad_width]
    if len(widths) == 2 and x.ndim != 2 and all(is_size(w) for w in pad_width):
        widths = [tuple(pad_width)] * x.ndim
    elif len(widths) == 1:
        widths = widths * x.ndim
    if len(widths) != x.ndim:
        raise ValueError(f"pad: pad_width needs one pair per axis of x of shape {x.shape}, received {pad_width}")
    if mode == "constant":
        value = float(0 if constant_values is None else constant_values)
        return _core.pad(x, before=[b for b, _ in widths], after=[a for _, a in widths], value=value)
    if mode not in ("reflect", "symmetric", "edge"):
        raise ValueError(f"pad: mode must be 'constant', 'reflect', 'symmetric' or 'edge', received {mode!r}")
    for axis, (before, after) in enumerate(widths):
        if not before and not after:
            continue
        if mode == "edge":
            size = x.shape[axis]
            if size is None:
                raise ValueError(f"pad: mode 'edge' needs a known size of axis {axis}, received x of shape {x.shape}")
            x = _core.take(x, np.clip(np.arange(-before, size + after), 0, size - 1).astype("int32"), axis=axis)
        else:
            x = _mirror(x, axis, before, after, mode == "reflect")
    return x


@op
def flip(x, axis=None):
    """`x` with the order of elements turned round along `axis` (int, list, or None for all)."""
    x = as_tensor(x)
    if x.ndim == 0:
        return x
    return _core.flip(x, axis=[] if axis is None else [axis] if isinstance(axis, int) else list(axis))


@op
def fliplr(x):
    """`x` with its columns in reverse order."""
    return flip(x, 1)


@op
def flipud(x):
    """`x` with its rows in reverse order."""
    return flip(x, 0)


@op
def tile(x, repeats):
    """`x` repeated as a whole.

    Args:
        x: Tensor.
        repeats: int or list, how often along each axis (the last ones if it is shorter).
    """
    x = as_tensor(x)
    repeats = as_sizes(repeats, "tile")
    rank = max(x.ndim, len(repeats))
    repeats = [1] * (rank - len(repeats)) + repeats
    dims = [1] * (rank - x.ndim) + list(x.dims)
    split = [s for d in dims for s in (1, d)]
    wide = [s for r, d in zip(repeats, dims) for s in (r, d)]
    y = _core.broadcast_to(_core.reshape(x, shape=split), shape=wide)
    return _core.reshape(y, shape=[d * r for r, d in zip(repeats, dims)])


@op
def repeat(x, repeats, axis=None):
    """Every element repeated in place.

    Args:
        x: Tensor.
        repeats: int, or a list of ints, one per element along `axis`.
        axis: int, or None for the flattened `x`.
    """
    x = as_tensor(x)
    if axis is None:
        x, axis = _core.reshape(x, shape=[-1]), 0
    axis = _axis("repeat", axis, x.ndim)
    counts = np.asarray(repeats)
    if counts.size == 1:
        n, dims = int(counts.reshape(())), list(x.dims)
        y = _core.reshape(x, shape=[*dims[: axis + 1], 1, *dims[axis + 1 :]])
        y = _core.broadcast_to(y, shape=[*dims[: axis + 1], n, *dims[axis + 1 :]])
        return _core.reshape(y, shape=[*dims[:axis], dims[axis] * n, *dims[axis + 1 :]])
    if x.shape[axis] != counts.size:
        raise ValueError(
            f"repeat: one count per element of axis {axis} of x of shape {x.shape} is needed, received {repeats}"
        )
    return _core.take(x, np.repeat(np.arange(counts.size, dtype="int32"), counts), axis=axis)


@op
def roll(x, shift, axis=None):
    """`x` with elements moved by `shift` places; what falls off the end comes back at the start.

    Args:
        x: Tensor.
        shift: int or list, one per axis.
        axis: int, list, or None for the flattened `x`.
    """
    x = as_tensor(x)
    if axis is None:
        return _core.reshape(roll(_core.reshape(x, shape=[-1]), shift, 0), shape=list(x.dims))
    axes = [axis] if isinstance(axis, int) else list(axis)
    shifts = [shift] * len(axes) if hasattr(shift, "__index__") else list(shift)
    for s, a in zip(shifts, axes):
        a = _axis("roll", a, x.ndim)
        size = x.shape[a]
        if size is None:
            raise ValueError(f"roll: the size of axis {a} must be known, received x of shape {x.shape}")
        cut = (size - s) % size if size else 0
        if cut:
            begin, end = [0] * x.ndim, list(x.dims)
            begin[a], end[a] = cut, cut
            tail = _core.slice(x, begin=begin, end=list(x.dims), step=[1] * x.ndim)
            head = _core.slice(x, begin=[0] * x.ndim, end=end, step=[1] * x.ndim)
            x = _core.concatenate(tail, head, axis=a)
    return x


@op
def arange(start, stop=None, step=None, dtype=None):
    """`start, start + step, ...` below `stop`.

    Args:
        start: number or symbolic size; the end if `stop` is None.
        stop: number or symbolic size.
        step: number, default 1.
        dtype: str, default int32 for ints and float32 for floats.
    """
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    if dtype is None:
        dtype = "float32" if any(isinstance(v, (float, np.floating)) for v in (start, stop, step)) else "int32"
    start, stop, step = (
        as_size(v, "arange") if hasattr(v, "size_values") and "float" not in v.dtype else v for v in (start, stop, step)
    )
    if any(isinstance(v, _core.Dim) for v in (start, stop, step)):
        if isinstance(step, _core.Dim) or int(step) != step or step == 0:
            raise NeedsKnownSizes(f"arange: with unknown sizes, step must be a known integer, received {step}")
        distance = stop - start if step > 0 else start - stop
        size = ((distance + (abs(int(step)) - 1)) // abs(int(step))).max(0) if isinstance(distance, _core.Dim) else None
        size = max(-(-distance // abs(int(step))), 0) if size is None else size
        if isinstance(start, _core.Dim):
            y = _core.arange(size=[size], start=0.0, step=float(step), dtype=dtype)
            return _core.add(y, as_tensor(start, dtype))
        return _core.arange(size=[size], start=float(start), step=float(step), dtype=dtype)
    start, stop, step = (float(v) if isinstance(v, (float, np.floating)) else int(v) for v in (start, stop, step))
    if step == 0:
        raise ValueError("arange: step must not be 0, received step=0")
    size = max(math.ceil((stop - start) / step), 0)
    return _core.arange(size=[size], start=float(start), step=float(step), dtype=dtype)


@op
def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0):
    """`num` numbers from `start` to `stop` at equal distances.

    Args:
        start, stop: numbers.
        num: int.
        endpoint: bool, whether `stop` is the last one.
        retstep: bool, also return the distance.
        dtype: str, default float32.
        axis: must be 0.
    """
    if axis != 0:
        raise NotImplementedError(f"linspace: axis must be 0, received {axis}")
    values, step = np.linspace(float(start), float(stop), num, endpoint, True)
    dtype = standardize_dtype(dtype)
    y = _core.Tensor(values, dtype)
    return (y, _core.Tensor(step, dtype)) if retstep else y


@op
def eye(N, M=None, k=0, dtype=None):
    """Ones on the `k`-th diagonal of an N x M matrix, zeros elsewhere."""
    from maas.backend.config import floatx

    return (
        as_tensor(np.eye(int(N), None if M is None else int(M), int(k), dtype=np.float64))
        if dtype == "float64"
        else cast(as_tensor(np.eye(int(N), None if M is None else int(M), int(k), dtype=np.float32)), dtype or floatx())
    )


@op
def identity(n, dtype=None):
    """Ones on the diagonal of an n x n matrix."""
    return eye(n, dtype=dtype)


def _triangle(rows, columns, k):
    """Whether row i, column j lies at or below the `k`-th diagonal; sizes may be symbolic."""
    i = _core.reshape(arange(rows), shape=[-1, 1])
    return _core.less_equal(_core.reshape(arange(columns), shape=[1, -1]), _core.add(i, int(k)))


@op
def tri(N, M=None, k=0, dtype=None):
    """Ones at and below the `k`-th diagonal of an N x M matrix, zeros above."""
    from maas.backend.config import floatx

    return cast(_triangle(N, N if M is None else M, k), dtype or floatx())


@op
def tril(x, k=0):
    """`x` with zeros above the `k`-th diagonal of its last two axes."""
    x = as_tensor(x)
    return _core.where(_triangle(x.dims[-2], x.dims[-1], k), x, cast(0, x.dtype))


@op
def triu(x, k=0):
    """`x` with zeros below the `k`-th diagonal of its last two axes."""
    x = as_tensor(x)
    return _core.where(_triangle(x.dims[-2], x.dims[-1], int(k) - 1), cast(0, x.dtype), x)


@op
def diag(x, k=0):
    """A matrix with `x` on its `k`-th diagonal, or that diagonal of a matrix `x`."""
    x = as_tensor(x)
    if None in x.shape or x.ndim not in (1, 2):
        raise ValueError(f"diag: x must have one or two known axes, received x of shape {x.shape}")
    if x.ndim == 1:
        n = x.shape[0] + abs(k)
        wide = _core.broadcast_to(_core.reshape(x, shape=[-1, 1]), shape=[x.shape[0], n])
        wide = pad(wide, [(0, abs(k)), (0, 0)] if k >= 0 else [(-k, 0), (0, 0)])
        return _core.where(as_tensor(np.eye(n, k=k, dtype=bool)), wide, cast(0, x.dtype))
    rows, columns = x.shape
    low, n = max(-k, 0), max(min(rows - max(-k, 0), columns - max(k, 0)), 0)
    places = (np.arange(n) + low) * columns + np.arange(n) + max(k, 0)
    return _core.take(_core.reshape(x, shape=[-1]), places.astype("int32"), axis=0)


@op
def one_hot(x, num_classes, axis=-1, dtype=None, sparse=False):
    """1 at the place that `x` names along a new axis, 0 elsewhere; an index out of range gives zeros only.

    Args:
        x: Tensor of integers.
        num_classes: int, size of the new axis.
        axis: int, place of the new axis in the result.
        dtype: str, default float32.
        sparse: must be False.

    Raises:
        NotImplementedError: for `sparse=True`.
    """
    from maas.backend.config import floatx

    if sparse:
        raise NotImplementedError("one_hot: sparse tensors are not available, received sparse=True")
    x = as_tensor(x)
    if x.dtype == "bool":
        x = cast(x, "int32")
    y = _core.one_hot(x, num_classes=int(num_classes), dtype=dtype or floatx())
    at = _axis("one_hot", axis, y.ndim)
    if at == y.ndim - 1:
        return y
    order = list(range(y.ndim - 1))
    order.insert(at, y.ndim - 1)
    return _core.transpose(y, axes=order)
