"""Images read at other places: coordinates, affine and perspective maps, patches."""

import itertools

import numpy as np

from maas import _core
from maas.backend import is_float_dtype
from maas.backend.symbolic import op
from maas.ops.core import as_tensor, cast, saturate_cast, wide
from maas.ops.elementwise import maximum, minimum, mod
from maas.ops.nn_conv import _channels_first
from maas.ops.shape import arange
from maas.ops.views import expand_dims, moveaxis, reshape, squeeze, transpose

__all__ = ["affine_transform", "extract_patches", "extract_patches_3d", "map_coordinates", "perspective_transform"]

_FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")
_ORDERS = {"nearest": 0, "bilinear": 1}


def _folded(i, size, mode):
    """(index within the axis, whether it was within, or None where every index is). `size` may be open in a trace."""
    if mode in ("constant", "nearest"):
        within = None
        if mode == "constant":
            within = _core.logical_and(_core.greater_equal(i, 0), _core.less(i, size))
        return maximum(minimum(i, size - 1), 0), within
    if mode == "wrap":
        return mod(i, size), None
    if mode == "mirror":  # d c b | a b c d | c b a
        span = max(2 * size - 2, 1) if isinstance(size, int) else maximum(2 * size - 2, 1)
        i = mod(i, span)
        return minimum(i, _core.absolute(span - i)), None
    i = mod(i, 2 * size)  # d c b a | a b c d | d c b a
    return minimum(i, 2 * size - 1 - i), None


def _sides(x, size, order, mode):
    """[(index, whether it was within or None, weight or None)] along one axis."""
    if order == 0:
        half = _core.floor(_core.add(_core.absolute(x), 0.5))  # halves away from 0
        return [
            (*_folded(cast(_core.where(_core.less(x, 0.0), _core.negative(half), half), "int32"), size, mode), None)
        ]
    low = _core.floor(x)
    share = expand_dims(_core.subtract(x, low), -1)
    index = cast(low, "int32")
    return [(*_folded(index, size, mode), 1.0 - share), (*_folded(_core.add(index, 1), size, mode), share)]


def sample(rows, sizes, coordinates, order, mode, value, start=None):
    """`rows` (places, k), a grid of `sizes` in its flat order, read at float coordinates, one tensor per axis.

    start: int32 tensor, the first row of the grid of every element; 0 if None.
    """
    total = None
    axes = [_sides(x, size, order, mode) for x, size in zip(coordinates, sizes)]
    for corner in itertools.product(*axes):
        place, within, weight = None, None, None
        for (i, ok, w), size in zip(corner, sizes):
            place = i if place is None else place * size + i
            within = ok if within is None else within if ok is None else _core.logical_and(within, ok)
            weight = w if weight is None else weight if w is None else _core.multiply(weight, w)
        part = _core.take(rows, place if start is None else _core.add(place, start), axis=0)
        if within is not None:
            part = _core.where(expand_dims(within, -1), part, cast(value, part.dtype))
        if weight is not None:
            part = _core.multiply(part, cast(weight, part.dtype))
        total = part if total is None else _core.add(total, part)
    return total


def _options(name, order, fill_mode):
    if fill_mode not in _FILL_MODES:
        raise ValueError(f"{name}: fill_mode must be one of {list(_FILL_MODES)}, received fill_mode={fill_mode!r}")
    if order not in (0, 1):
        raise ValueError(f"{name}: order must be 0 or 1, received order={order!r}")


def _order(name, interpolation):
    if interpolation not in _ORDERS:
        raise ValueError(
            f"{name}: interpolation must be one of {list(_ORDERS)}, received interpolation={interpolation!r}"
        )
    return _ORDERS[interpolation]


def _stored(y, dtype):
    if y.dtype == dtype:
        return y
    return cast(y, dtype) if is_float_dtype(dtype) else saturate_cast(_core.round(y), dtype)


@op
def map_coordinates(inputs, coordinates, order, fill_mode="constant", fill_value=0):
    """`inputs` read at places between its elements.

    Args:
        inputs: Tensor of any rank n.
        coordinates: Tensor (n, ...) of places.
        order: 0 (the nearest element) or 1 (linear).
        fill_mode: what lies outside: "constant", "nearest", "wrap", "mirror" (about the centres of the outer elements)
            or "reflect" (about their edges).
        fill_value: number for "constant".

    Returns:
        Tensor of the dtype of `inputs` and the shape `coordinates.shape[1:]`.

    Raises:
        ValueError: for unknown options, or if the rank does not fit.
    """
    _options("map_coordinates", order, fill_mode)
    x, at = as_tensor(inputs), as_tensor(coordinates)
    if at.ndim < 2 or at.shape[0] != x.ndim or None in x.shape:
        raise ValueError(
            f"map_coordinates: coordinates must be ({x.ndim}, ...) for inputs of shape {x.shape}, received {at.shape}"
        )
    at = wide(at)
    places = [_core.reshape(at[i], shape=[-1]) for i in range(x.ndim)]
    rows = _core.reshape(wide(x), shape=[-1, 1])
    y = sample(rows, x.shape, places, order, fill_mode, fill_value)
    return _stored(_core.reshape(y, shape=list(at.dims[1:])), x.dtype)


def _batched(name, images, data_format, open_sizes=False):
    """(images as a batch with the channels last, their dtype, function that undoes it)"""
    from maas.backend.config import image_data_format

    x, data_format = as_tensor(images), data_format or image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(
            f"{name}: data_format must be 'channels_last' or 'channels_first', received data_format={data_format!r}"
        )
    if x.ndim not in (3, 4):
        raise ValueError(f"{name}: images must have 3 or 4 axes, received images of shape {x.shape}")
    single, dtype = x.ndim == 3, x.dtype
    x = expand_dims(x, 0) if single else x
    x = transpose(x, (0, 2, 3, 1)) if data_format == "channels_first" else x
    if None in x.shape[1:3] and not open_sizes:
        raise ValueError(f"{name}: height and width must be known, received images of shape {x.shape}")

    def back(y):
        y = transpose(y, (0, 3, 1, 2)) if data_format == "channels_first" else y
        return squeeze(y, 0) if single else y

    return x, dtype, back


def _warped(x, y_at, x_at, order, fill_mode, fill_value):
    """A batch read at (batch or 1, height, width) coordinates."""
    batch, height, width, channels = x.dims
    rows = _core.reshape(wide(x), shape=[-1, channels])
    start = reshape(arange(batch, dtype="int32") * (height * width), (-1, 1, 1))
    return sample(rows, (height, width), [y_at, x_at], order, fill_mode, fill_value, start)


def _grid(x):
    """Row and column of every place of an image."""
    _, height, width, _ = x.dims
    return (
        reshape(cast(arange(n, dtype="int32"), "float32"), shape)
        for n, shape in ((height, (1, -1, 1)), (width, (1, 1, -1)))
    )


def _columns(parameters):
    return [reshape(parameters[:, i], (-1, 1, 1)) for i in range(parameters.shape[1])]


@op
def affine_transform(images, transform, interpolation="bilinear", fill_mode="constant", fill_value=0, data_format=None):
    """Images of which the place (x, y) shows what was at `(a0 x + a1 y + a2, b0 x + b1 y + b2)`.

    Args:
        images: Tensor (batch, height, width, channels) or without batch, or channels first.
        transform: Tensor (8,) or (batch, 8): `a0, a1, a2, b0, b1, b2, c0, c1`; the last two are not read.
        interpolation: "nearest" or "bilinear".
        fill_mode, fill_value: what lies outside, as for `map_coordinates`.
        data_format: str or None.

    Returns:
        Tensor of the shape and dtype of `images`.

    Raises:
        ValueError: for unknown options or shapes.
    """
    order = _order("affine_transform", interpolation)
    _options("affine_transform", order, fill_mode)
    x, dtype, back = _batched("affine_transform", images, data_format, open_sizes=True)
    t = cast(transform, "float32")
    if t.ndim not in (1, 2) or t.shape[-1] != 8:
        raise ValueError(f"affine_transform: transform must be (8,) or (batch, 8), received shape {t.shape}")
    t = _columns(expand_dims(t, 0) if t.ndim == 1 else t)
    rows, columns = _grid(x)

    def place(a, b, c):
        return _core.add(_core.add(_core.multiply(a, columns), _core.multiply(b, rows)), c)

    y = _warped(x, place(*t[3:6]), place(*t[0:3]), order, fill_mode, fill_value)
    return back(_stored(y, dtype))


def homography(start_points, end_points):
    """The map from `end_points` to `start_points`: `(h0 x + h1 y + h2, h3 x + h4 y + h5) / (h6 x + h7 y + 1)`.

    Args:
        start_points, end_points: Tensor (4, 2) or (batch, 4, 2) of (x, y).

    Returns:
        Tensor (batch, 8), float32; batch is 1 without one.
    """
    from maas.ops.linalg import solve
    from maas.ops.shape import concatenate, stack

    start, end = (cast(p, "float32") for p in (start_points, end_points))
    if start.shape != end.shape or start.ndim not in (2, 3) or start.shape[-2:] != (4, 2):
        raise ValueError(
            f"perspective_transform: both sets of points must be (4, 2) or (batch, 4, 2), received {start.shape} and "
            f"{end.shape}"
        )
    start, end = (expand_dims(p, 0) if p.ndim == 2 else p for p in (start, end))
    (sx, sy), (ex, ey) = ((p[..., 0], p[..., 1]) for p in (start, end))
    zero, one = _core.multiply(ex, 0.0), _core.add(_core.multiply(ex, 0.0), 1.0)

    def equations(s, left):
        own = [ex, ey, one] if left else [zero] * 3
        other = [zero] * 3 if left else [ex, ey, one]
        minus = _core.negative(s)
        return stack([*own, *other, _core.multiply(minus, ex), _core.multiply(minus, ey)], axis=-1)

    matrix = concatenate([equations(sx, True), equations(sy, False)], axis=1)
    return solve(matrix, concatenate([sx, sy], axis=1))


@op
def perspective_transform(images, start_points, end_points, interpolation="bilinear", fill_value=0, data_format=None):
    """Images whose four `start_points` are moved to `end_points`, and all others by the homography between them.

    Args:
        images: Tensor (batch, height, width, channels) or without batch, or channels first.
        start_points, end_points: Tensor (4, 2) or (batch, 4, 2) of (x, y).
        interpolation: "nearest" or "bilinear".
        fill_value: number for what lies outside.
        data_format: str or None.

    Returns:
        Tensor of the shape and dtype of `images`.
    """
    order = _order("perspective_transform", interpolation)
    x, dtype, back = _batched("perspective_transform", images, data_format, open_sizes=True)
    h = _columns(homography(start_points, end_points))
    rows, columns = _grid(x)

    def line(a, b, c):
        return _core.add(_core.add(_core.multiply(a, columns), _core.multiply(b, rows)), c)

    below = line(h[6], h[7], 1.0)
    y_at, x_at = _core.divide(line(*h[3:6]), below), _core.divide(line(*h[0:3]), below)
    return back(_stored(_warped(x, y_at, x_at, order, "constant", fill_value), dtype))


def _patches(name, x, size, strides, dilation_rate, padding, data_format, rank):
    x, first = as_tensor(x), _channels_first(name, data_format)
    size = (size,) * rank if hasattr(size, "__index__") else tuple(size)
    strides = size if strides is None else (strides,) * rank if hasattr(strides, "__index__") else tuple(strides)
    rate = (dilation_rate,) * rank if hasattr(dilation_rate, "__index__") else tuple(dilation_rate)
    if any(len(v) != rank or any(int(n) < 1 for n in v) for v in (size, strides, rate)):
        raise ValueError(
            f"{name}: size, strides and dilation_rate must be an int or {rank} positive ones, received {size}, "
            f"{strides} and {rate}"
        )
    if padding not in ("valid", "same") or x.ndim not in (rank + 1, rank + 2):
        raise ValueError(
            f"{name}: padding must be 'valid' or 'same' and images must have {rank + 1} or {rank + 2} axes, received "
            f"padding={padding!r} and images of shape {x.shape}"
        )
    from maas.ops.shape import pad

    single = x.ndim == rank + 1
    x = expand_dims(x, 0) if single else x
    x = moveaxis(x, 1, -1) if first else x
    if None in x.shape[1:-1]:
        raise ValueError(f"{name}: sizes of images must be known, received images of shape {x.shape}")
    widths, counts = [(0, 0)], []
    for old, k, s, d in zip(x.shape[1:-1], size, strides, rate):
        window = d * (k - 1) + 1
        count = -(-old // s) if padding == "same" else (old - window) // s + 1
        if count < 1:
            raise ValueError(f"{name}: the window {size} does not fit in images of shape {x.shape}")
        total = max((count - 1) * s + window - old, 0) if padding == "same" else 0
        widths.append((total // 2, total - total // 2))
        counts.append(count)
    x = pad(x, [*widths, (0, 0)]) if padding == "same" else x
    for axis, (count, k, s, d) in enumerate(zip(counts, size, strides, rate)):
        places = (np.arange(count)[:, None] * s + np.arange(k) * d).reshape(-1).astype("int32")
        x = _core.take(x, as_tensor(places), axis=1 + axis)
    batch, channels = x.dims[0], x.dims[-1]
    x = _core.reshape(x, shape=[batch, *(n for pair in zip(counts, size) for n in pair), channels])
    blocks, inner = [1 + 2 * i for i in range(rank)], [2 + 2 * i for i in range(rank)]
    x = transpose(x, [0, *blocks, *inner, 2 * rank + 1])
    y = _core.reshape(x, shape=[batch, *counts, int(np.prod(size)) * channels])
    y = moveaxis(y, -1, 1) if first else y
    return squeeze(y, 0) if single else y


@op
def extract_patches_3d(volumes, size, strides=None, dilation_rate=1, padding="valid", data_format=None):
    """Blocks of volumes as channels: (batch, depth, height, width, channels) to (batch, *blocks, size * channels).

    Args:
        volumes: Tensor, with or without batch, or channels first.
        size: int or three.
        strides: int or three, `size` by default.
        dilation_rate: int or three.
        padding: "valid" or "same".
        data_format: str or None.
    """
    return _patches("extract_patches_3d", volumes, size, strides, dilation_rate, padding, data_format, 3)


@op
def extract_patches(images, size, strides=None, dilation_rate=1, padding="valid", data_format=None):
    """Blocks of images as channels: (batch, height, width, channels) to (batch, *blocks, size * channels).

    Args:
        images: Tensor, with or without batch, or channels first.
        size: int or two; three take volumes, as `extract_patches_3d`.
        strides: int or two, `size` by default.
        dilation_rate: int or two.
        padding: "valid" or "same".
        data_format: str or None.
    """
    rank = 2 if hasattr(size, "__index__") else len(size)
    return _patches("extract_patches", images, size, strides, dilation_rate, padding, data_format, max(rank, 2))
