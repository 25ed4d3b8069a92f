"""Reductions, positions of extremes, running sums."""

from maas import _core, ops
from maas.onnx.convert.common import axes_of, axis_of, given_axes, is_float, like
from maas.onnx.registry import converts


def _axes(call, x):
    """The axes to reduce; [] means that nothing is reduced."""
    axes = given_axes(call, 1, x.ndim)
    if axes:
        return axes
    return [] if call.attr("noop_with_empty_axes", 0) else list(range(x.ndim))


def _sum(x, axes, keepdims):
    return ops.cast(_core.sum(x, axis=axes, keepdims=keepdims), x.dtype)


def _log_sum_exp(x, axes, keepdims):
    if any(x.shape[a] == 0 for a in axes):
        return _core.log(_sum(x, axes, keepdims))
    top = _core.max(x, axis=axes, keepdims=True)
    top = _core.where(_core.isfinite(top), top, like(0, x))
    y = _core.add(_core.log(_sum(_core.exp(_core.subtract(x, top)), axes, True)), top)
    return y if keepdims else _core.reshape(y, shape=[d for i, d in enumerate(x.dims) if i not in axes])


_REDUCTIONS = {
    "ReduceSum": _sum,
    "ReduceMean": lambda x, a, k: _core.mean(x, axis=a, keepdims=k) if is_float(x) else _integer_mean(x, a, k),
    "ReduceProd": lambda x, a, k: ops.cast(_core.prod(x, axis=a, keepdims=k), x.dtype),
    "ReduceMax": lambda x, a, k: _core.max(x, axis=a, keepdims=k),
    "ReduceMin": lambda x, a, k: _core.min(x, axis=a, keepdims=k),
    "ReduceL1": lambda x, a, k: _sum(_core.absolute(x), a, k),
    "ReduceL2": lambda x, a, k: _root(_sum(_core.square(x), a, k)),
    "ReduceLogSum": lambda x, a, k: _core.log(_sum(x, a, k)),
    "ReduceLogSumExp": _log_sum_exp,
    "ReduceSumSquare": lambda x, a, k: _sum(_core.square(x), a, k),
}
# What a reduction does to single values where no axis is named.
_ALONE = {
    "ReduceL1": _core.absolute,
    "ReduceL2": _core.absolute,
    "ReduceLogSum": _core.log,
    "ReduceSumSquare": _core.square,
}


def _root(x):
    return _core.sqrt(x) if is_float(x) else ops.cast(_core.sqrt(ops.cast(x, "float64")), x.dtype)


def _integer_mean(x, axes, keepdims):
    return ops.cast(_core.mean(ops.cast(x, "float64"), axis=axes, keepdims=keepdims), x.dtype)


@converts(*_REDUCTIONS)
def reduce(call, x, *rest):
    axes, keep = _axes(call, x), bool(call.attr("keepdims", 1))
    if x.ndim == 0 or not axes:
        return _ALONE.get(call.op, lambda v: v)(x)
    if call.op in ("ReduceMax", "ReduceMin") and any(x.shape[a] == 0 for a in axes):
        return _empty_extreme(call.op == "ReduceMax", x, axes, keep)
    return _REDUCTIONS[call.op](x, axes, keep)


def _empty_extreme(is_max, x, axes, keep):
    from maas.ops.core import _LIMITS

    low, high = (float("-inf"), float("inf")) if is_float(x) else _LIMITS[x.dtype]
    dims = [1 if i in axes else d for i, d in enumerate(x.dims) if keep or i not in axes]
    return ops.full(dims, like(low if is_max else high, x))


@converts("ArgMax", "ArgMin")
def arg(call, x):
    axis = axis_of(call, x.ndim, 0)
    function = _core.argmax if call.op == "ArgMax" else _core.argmin
    if call.attr("select_last_index", 0):
        place = function(_core.flip(x, axis=[axis]), axis=[axis], keepdims=bool(call.attr("keepdims", 1)))
        place = ops.cast(place, "int64")
        return _core.subtract(like(ops.convert_to_tensor(x.dims[axis]) - 1, place), place)
    return ops.cast(function(x, axis=[axis], keepdims=bool(call.attr("keepdims", 1))), "int64")


@converts("CumSum", "CumProd")
def running(call, x, axis):
    at = axes_of(call.known(1, "axis").reshape(-1), x.ndim)[0]
    back, dtype = call.attr("reverse", 0), x.dtype
    y = _core.flip(x, axis=[at]) if back else x
    if call.attr("exclusive", 0):
        # One step later: what comes first is the sum (product) of nothing.
        n = x.dims[at]
        begin, end = [0] * x.ndim, list(x.dims)
        end[at] = n - 1
        before, after = [0] * x.ndim, [0] * x.ndim
        before[at] = 1
        y = _core.slice(y, begin=begin, end=end, step=[1] * x.ndim)
        y = _core.pad(y, before=before, after=after, value=0.0 if call.op == "CumSum" else 1.0)
    y = _core.cumsum(y, axis=at) if call.op == "CumSum" else _product(y, at)
    y = ops.cast(y, dtype)
    return _core.flip(y, axis=[at]) if back else y


def _product(x, axis):
    return ops.associative_scan(lambda a, b: _core.multiply(a, b), x, axis=axis)
