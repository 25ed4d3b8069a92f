"""Ops that relabel, cut, join and reorder elements."""

import numpy as np

from maas import _core, ops
from maas.onnx.convert.common import axes_of, axis_of, given_axes, like, mix
from maas.onnx.registry import converts


@converts("Reshape")
def reshape(call, x, shape=None):
    sizes = call.sizes(1, "shape") if shape is not None else list(call.need("shape"))
    if not call.attr("allowzero", 0):
        for i, s in enumerate(sizes):
            if isinstance(s, int) and s == 0:
                if i >= x.ndim:
                    raise ValueError(f"a size of 0 keeps a size of the input, received shape {sizes} for {x.shape}")
                sizes[i] = x.dims[i]
    return _core.reshape(x, shape=sizes)


def _product(dims):
    total = 1
    for d in dims:
        total = total * d
    return total


@converts("Flatten")
def flatten(call, x):
    axis = call.attr("axis", 1)
    if not -x.ndim <= axis <= x.ndim:
        raise ValueError(f"axis must be in [{-x.ndim}, {x.ndim}], received axis={axis}")
    axis = axis + x.ndim if axis < 0 else axis
    return _core.reshape(x, shape=[_product(x.dims[:axis]), _product(x.dims[axis:])])


@converts("Squeeze")
def squeeze(call, x, axes=None):
    axes = given_axes(call, 1, x.ndim)
    if axes is None:
        if None in x.shape:
            raise ValueError(f"axes must be given where sizes are open, received shape {x.shape}")
        axes = [i for i, n in enumerate(x.shape) if n == 1]
    if any(x.shape[a] not in (1, None) for a in axes):
        raise ValueError(f"axes must have size 1, received axes {axes} of shape {x.shape}")
    return _core.reshape(x, shape=[d for i, d in enumerate(x.dims) if i not in axes])


@converts("Unsqueeze")
def unsqueeze(call, x, axes=None):
    given = call.known(1, "axes").reshape(-1) if axes is not None else call.need("axes")
    rank = x.ndim + len(given)
    axes = axes_of(given, rank)
    if len(set(axes)) != len(axes):
        raise ValueError(f"axes must differ, received {axes}")
    sizes = iter(x.dims)
    return _core.reshape(x, shape=[1 if i in axes else next(sizes) for i in range(rank)])


@converts("Transpose")
def transpose(call, x):
    axes = call.attr("perm", list(range(x.ndim))[::-1])
    return _core.transpose(x, axes=axes) if x.ndim > 1 else x


@converts("Expand")
def expand(call, x, shape):
    return _core.broadcast_to(x, shape=mix(x.dims, call.sizes(1, "shape")))


@converts("Tile")
def tile(call, x, repeats):
    return ops.tile(x, call.sizes(1, "repeats"))


@converts("Concat")
def concat(call, *xs):
    xs = [x for x in xs if x is not None]
    if len({x.dtype for x in xs}) != 1:
        raise TypeError(f"inputs must have one dtype, received {[x.dtype for x in xs]}")
    return _core.concatenate(*xs, axis=axis_of(call, xs[0].ndim))


def cut(x, starts, ends, axes, steps):
    """ONNX's slices of some axes: Python's, but a start before the first element is the first, whatever the step."""
    key = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps):
        if step == 0:
            raise ValueError("a step must not be 0")
        n = x.dims[axis]
        known = isinstance(n, int) and isinstance(start, int) and isinstance(end, int)
        key[axis] = slice(*(_inside if known else _open)(start, end, step, n), int(step))
    return ops.get_item(x, tuple(key))


def _inside(start, end, step, n):
    """(start, end) within `n` elements, as Python's slices take them."""
    start, end = (v + n if v < 0 else v for v in (start, end))
    if step > 0 or not n:
        return min(max(start, 0), n), min(max(end, 0), n)
    end = min(max(end, -1), n - 1)
    return min(max(start, 0), n - 1), None if end < 0 else end


def _open(start, end, step, n):
    """The same of an open size, where numbers far away mean the ends."""
    far = 2**31 - 1
    if isinstance(end, int) and (end >= far or (step < 0 and end <= -far)):
        end = None
    if isinstance(start, int) and start <= -far:
        start = 0
    elif isinstance(start, int) and step < 0 and start >= far:
        start = None
    return start, end


@converts("Slice")
def old_slice(call, x):
    starts, ends = call.need("starts"), call.need("ends")
    axes = axes_of(call.attr("axes", range(len(starts))), x.ndim)
    return cut(x, starts, ends, axes, [1] * len(starts))


@converts("Slice", since=10)
def slice_(call, x, starts, ends, axes=None, steps=None):
    starts, ends = call.sizes(1, "starts"), call.sizes(2, "ends")
    axes = axes_of(call.known(3, "axes").reshape(-1) if axes is not None else range(len(starts)), x.ndim)
    steps = [int(s) for s in call.known(4, "steps").reshape(-1)] if steps is not None else [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise ValueError(f"starts, ends, axes and steps must be equally long, received {starts}, {ends}, {axes}")
    return cut(x, starts, ends, axes, steps)


@converts("Split")
def split(call, x, sizes=None):
    axis = axis_of(call, x.ndim, 0)
    if sizes is not None:
        parts = call.sizes(1, "split")
    elif call.attr("split") is not None:
        parts = list(call.attr("split"))
    else:
        count, n = call.attr("num_outputs", call.count), x.dims[axis]
        if not isinstance(n, int):
            parts = [n // count] * count
        else:
            size = -(-n // count)
            parts = [max(min(size, n - i * size), 0) for i in range(count)]
    results, at = [], 0
    for part in parts:
        begin, end = [0] * x.ndim, list(x.dims)
        begin[axis], end[axis] = at, at + part
        results.append(_core.slice(x, begin=begin, end=end, step=[1] * x.ndim))
        at = at + part
    if isinstance(at, int) and isinstance(x.dims[axis], int) and at != x.dims[axis]:
        raise ValueError(f"the parts must add up to {x.dims[axis]}, received {parts}")
    return tuple(results)


@converts("Shape")
def shape(call, x):
    start, end = call.attr("start", 0), call.attr("end")
    dims = list(x.dims)[slice(start, end)]
    return _sizes_tensor(dims)


def _sizes_tensor(dims):
    if all(isinstance(d, int) for d in dims):
        return _core.Tensor(np.array(dims, "int64"))
    return ops.cast(ops.convert_to_tensor(dims), "int64")


@converts("Size")
def size(call, x):
    total = _product(x.dims)
    if isinstance(total, int):
        return _core.Tensor(np.array(total, "int64"))
    return ops.reshape(_sizes_tensor([total]), ())


@converts("Pad")
def pad(call, x, pads=None, value=None, axes=None):
    mode = call.attr("mode", "constant")
    widths = call.sizes(1, "pads") if pads is not None else list(call.need("pads"))
    at = axes_of(call.known(3, "axes").reshape(-1), x.ndim) if axes is not None else list(range(x.ndim))
    if len(widths) != 2 * len(at):
        raise ValueError(f"pads must hold two numbers per axis, received {len(widths)} for {len(at)} axes")
    before, after = [0] * x.ndim, [0] * x.ndim
    for i, a in enumerate(at):
        before[a], after[a] = widths[i], widths[i + len(at)]
    # A negative width cuts off.
    if any(isinstance(w, int) and w < 0 for w in before + after):
        x = _core.slice(
            x,
            begin=[-w if isinstance(w, int) and w < 0 else 0 for w in before],
            end=[d + w if isinstance(w, int) and w < 0 else d for d, w in zip(x.dims, after)],
            step=[1] * x.ndim,
        )
        before = [0 if isinstance(w, int) and w < 0 else w for w in before]
        after = [0 if isinstance(w, int) and w < 0 else w for w in after]
    if mode == "constant":
        fill = call.known(2, "value").reshape(()) if value is not None else call.attr("value", 0.0)
        return _filled(x, before, after, fill)
    if mode == "wrap":
        for axis, (b, a) in enumerate(zip(before, after)):
            if b or a:
                n = x.shape[axis]
                x = _core.take(x, (np.arange(-b, n + a) % n).astype("int32"), axis=axis)
        return x
    return ops.pad(x, list(zip(before, after)), mode)


def _filled(x, before, after, fill):
    value = float(fill)
    if x.dtype.endswith("64") and int(value) != int(fill) if np.isfinite(value) else False:
        raise ValueError(f"the value of 64-bit borders must fit in a double, received {fill}")
    return _core.pad(x, before=before, after=after, value=value)


@converts("DepthToSpace")
def depth_to_space(call, x):
    b, (n, c, h, w) = call.need("blocksize"), x.dims
    if call.attr("mode", "DCR") == "DCR":
        y = _core.transpose(_core.reshape(x, shape=[n, b, b, c // (b * b), h, w]), axes=[0, 3, 4, 1, 5, 2])
    else:
        y = _core.transpose(_core.reshape(x, shape=[n, c // (b * b), b, b, h, w]), axes=[0, 1, 4, 2, 5, 3])
    return _core.reshape(y, shape=[n, c // (b * b), h * b, w * b])


@converts("SpaceToDepth")
def space_to_depth(call, x):
    b, (n, c, h, w) = call.need("blocksize"), x.dims
    y = _core.reshape(x, shape=[n, c, h // b, b, w // b, b])
    axes = [0, 3, 5, 1, 2, 4] if call.attr("mode", "DCR") == "DCR" else [0, 1, 3, 5, 2, 4]
    return _core.reshape(_core.transpose(y, axes=axes), shape=[n, c * b * b, h // b, w // b])


@converts("ReverseSequence")
def reverse_sequence(call, x, lengths):
    time, batch = call.attr("time_axis", 0), call.attr("batch_axis", 1)
    steps, rows = x.dims[time], x.dims[batch]
    place = ops.cast(ops.arange(steps), "int64")
    shape_t, shape_b = [1] * x.ndim, [1] * x.ndim
    shape_t[time], shape_b[batch] = steps, rows
    place = _core.reshape(place, shape=shape_t)
    length = _core.reshape(lengths, shape=shape_b)
    source = _core.where(
        _core.less(place, length), _core.subtract(_core.subtract(length, like(1, length)), place), place
    )
    return _core.take_along_axis(x, _core.broadcast_to(source, shape=list(x.dims)), axis=time)
