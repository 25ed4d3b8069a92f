"""Softmax and its relatives."""

from maas import _core, ops
from maas.onnx.convert.common import axis_of, like
from maas.onnx.registry import converts


def _flat(function):
    """Before opset 13 everything from the axis on is one axis."""

    def run(call, x):
        axis = axis_of(call, x.ndim, 1)
        rows = _rows(x, axis)
        return _core.reshape(function(rows, 1), shape=list(x.dims))

    return run


def _rows(x, axis):
    """`x` as a matrix: axes before `axis`, then the others."""
    before = after = 1
    for d in x.dims[:axis]:
        before = before * d
    for d in x.dims[axis:]:
        after = after * d
    return _core.reshape(x, shape=[before, after])


def _hardmax(x, axis):
    best = _core.argmax(x, axis=[axis], keepdims=True)
    places = ops.cast(ops.arange(x.dims[axis]), best.dtype)
    shape = [1] * x.ndim
    shape[axis] = x.dims[axis]
    return ops.cast(_core.equal(_core.reshape(places, shape=shape), best), x.dtype)


_FUNCTIONS = {
    "Softmax": lambda x, axis: ops.softmax(x, axis),
    "LogSoftmax": lambda x, axis: ops.log_softmax(x, axis),
    "Hardmax": _hardmax,
}


@converts(*_FUNCTIONS)
def old_softmax(call, x):
    return _flat(_FUNCTIONS[call.op])(call, x)


@converts(*_FUNCTIONS, since=13)
def softmax(call, x):
    return _FUNCTIONS[call.op](x, axis_of(call, x.ndim, -1))


@converts("LpNormalization")
def lp_normalization(call, x):
    axis, p = axis_of(call, x.ndim, -1), call.attr("p", 2)
    size = _core.absolute(x) if p == 1 else _core.square(x)
    norm = _core.sum(size, axis=[axis], keepdims=True)
    norm = norm if p == 1 else _core.sqrt(norm)
    return _core.where(_core.equal(norm, like(0, x)), like(0, x), _core.divide(x, norm))
