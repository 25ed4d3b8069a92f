"""Resizing: a table of neighbours or a small matrix of weights for every axis."""

import numpy as np

from maas import _core, ops
from maas.backend.known_sizes import NeedsKnownSizes
from maas.onnx.convert.common import axes_of, is_float, like
from maas.onnx.registry import converts


@converts("Upsample")
def upsample(call, x, scales=None):
    factors = call.known(1, "scales").reshape(-1) if scales is not None else np.array(call.need("scales"))
    settings = _Settings(call)
    settings.coordinates, settings.nearest = "asymmetric", "floor"
    return _resized(x, list(range(x.ndim)), [float(f) for f in factors], None, settings, None)


@converts("Resize", since=11)
def resize(call, x, roi=None, scales=None, sizes=None):
    axes = call.attr("axes")
    axes = list(range(x.ndim)) if axes is None else axes_of(axes, x.ndim)
    settings = _Settings(call)
    region = None
    if settings.coordinates == "tf_crop_and_resize":
        region = call.known(1, "roi").reshape(2, -1).astype("float64")
    if sizes is not None and sizes.shape != (0,):
        wanted = call.sizes(3, "sizes")
        return _to_sizes(call, x, axes, wanted, settings, region)
    factors = [float(f) for f in call.known(2, "scales").reshape(-1)]
    return _resized(x, axes, factors, None, settings, region)


@converts("Resize")
def old_resize(call, x, scales):
    settings = _Settings(call)
    settings.coordinates, settings.nearest = "asymmetric", "floor"
    factors = [float(f) for f in call.known(1, "scales").reshape(-1)]
    return _resized(x, list(range(x.ndim)), factors, None, settings, None)


class _Settings:
    def __init__(self, call):
        self.mode = call.attr("mode", "nearest")
        if self.mode not in ("nearest", "linear", "cubic"):
            raise ValueError(f"mode must be nearest, linear or cubic, received {self.mode!r}")
        self.coordinates = call.attr("coordinate_transformation_mode", "half_pixel")
        self.nearest = call.attr("nearest_mode", "round_prefer_floor")
        self.cubic = call.attr("cubic_coeff_a", -0.75)
        self.exclude, self.antialias = call.attr("exclude_outside", 0), call.attr("antialias", 0)
        self.outside = call.attr("extrapolation_value", 0.0)


def _to_sizes(call, x, axes, wanted, settings, region):
    policy = call.attr("keep_aspect_ratio_policy", "stretch")
    old = [x.dims[a] for a in axes]
    if policy != "stretch":
        _known(old + list(wanted), x)
        ratios = [w / o for w, o in zip(wanted, old)]
        ratio = min(ratios) if policy == "not_larger" else max(ratios)
        return _resized(x, axes, [ratio] * len(axes), [int(np.floor(ratio * o + 0.5)) for o in old], settings, region)
    factors = []
    for o, w in zip(old, wanted):
        same = (o == w) if isinstance(o, int) == isinstance(w, int) else False
        if not same:
            _known([o, w], x)
        factors.append(1.0 if same else w / o)
    return _resized(x, axes, factors, list(wanted), settings, region)


def _known(sizes, x):
    if not all(isinstance(s, int) for s in sizes):
        raise NeedsKnownSizes(f"resizing needs known sizes of the axes it changes, received x of shape {x.shape}")


def _resized(x, axes, factors, sizes, settings, region):
    dtype = x.dtype
    if settings.mode != "nearest":
        x = ops.cast(x, dtype if is_float(x) and not dtype.endswith("16") else "float32")
    masks = []
    for i, (axis, factor) in enumerate(zip(axes, factors)):
        if factor == 1 and region is None:
            continue
        _known([x.dims[axis]], x)
        old = int(x.dims[axis])
        new = int(sizes[i]) if sizes is not None else int(np.floor(factor * old))
        bounds = None if region is None else (region[0][i], region[1][i])
        place = _coordinates(settings, old, new, factor, bounds)
        x = _along(x, axis, place, old, factor, settings)
        if region is not None:
            shape = [1] * x.ndim
            shape[axis] = new
            masks.append(((place < 0) | (place > old - 1)).reshape(shape))
    for mask in masks:
        if mask.any():
            x = _core.where(ops.convert_to_tensor(mask), like(settings.outside, x), x)
    if x.dtype != dtype and not dtype.startswith("float"):
        return ops.saturate_cast(_core.round(x), dtype)
    return ops.cast(x, dtype)


def _coordinates(s, old, new, factor, bounds):
    """Where on the old axis every new element lies."""
    i = np.arange(new, dtype="float64")
    full = factor * old
    kind = s.coordinates
    if kind == "align_corners":
        return np.zeros(new) if full == 1 else i * (old - 1) / (full - 1)
    if kind == "asymmetric":
        return i / factor
    if kind == "tf_crop_and_resize":
        begin, end = bounds
        if new == 1:
            return np.full(1, 0.5 * (begin + end) * (old - 1))
        return begin * (old - 1) + i * (end - begin) * (old - 1) / (full - 1)
    if kind == "tf_half_pixel_for_nn":
        return (i + 0.5) / factor
    if kind == "pytorch_half_pixel" and new == 1:
        return np.full(1, -0.5)
    place = (i + 0.5) / factor - 0.5
    if kind == "half_pixel_symmetric":
        return old / 2 * (1 - new / full) + place
    if kind not in ("half_pixel", "pytorch_half_pixel"):
        raise ValueError(f"coordinate_transformation_mode is not known, received {kind!r}")
    return place


def _along(x, axis, place, old, factor, s):
    if s.mode == "nearest":
        index = {
            "round_prefer_floor": lambda p: np.ceil(p - 0.5),
            "round_prefer_ceil": lambda p: np.floor(p + 0.5),
            "floor": np.floor,
            "ceil": np.ceil,
        }[s.nearest](place)
        return _core.take(x, np.clip(index, 0, old - 1).astype("int32"), axis=axis)
    scale = min(factor, 1.0) if s.antialias else 1.0
    reach = 1 if s.mode == "linear" else 2
    start = int(np.floor(-reach / scale) + 1)
    taps = np.arange(start, 2 - start if s.antialias and scale < 1 else reach + 1)
    low = np.floor(place)
    distance = np.abs((taps[None] - (place - low)[:, None]) * scale)
    weights = np.clip(1 - distance, 0, 1) if s.mode == "linear" else _cubic(distance, s.cubic)
    at = (low[:, None] + taps[None]).astype("int64")
    if s.exclude:
        weights = np.where((at < 0) | (at >= old), 0, weights)
    if s.exclude or s.antialias:
        weights = weights / weights.sum(1, keepdims=True)
    matrix = np.zeros((len(place), old))
    np.add.at(matrix, (np.arange(len(place))[:, None], np.clip(at, 0, old - 1)), weights)
    from maas.ops.image import _along as multiplied

    return multiplied(x, axis, matrix)


def _cubic(d, a):
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))
