"""Non-maximum suppression: a loop that takes the best box that is left, until none is."""

from maas import _core, ops
from maas.onnx.convert.common import like
from maas.onnx.registry import converts
from maas.ops.select import positions

_NONE = float("-inf")


def _corners(boxes, centers):
    """(low y, low x, high y, high x), each (batch, boxes)."""
    a, b, c, d = (boxes[..., k] for k in range(4))
    if centers:  # x, y, width, height
        return b - d * 0.5, a - c * 0.5, b + d * 0.5, a + c * 0.5
    return _core.minimum(a, c), _core.minimum(b, d), _core.maximum(a, c), _core.maximum(b, d)


def _overlap(mine, others):
    """Intersection over union of one box (batch, classes) with all (batch, 1, boxes)."""
    low_y, low_x, high_y, high_x = (
        f(ops.expand_dims(m, -1), o)
        for f, m, o in zip((_core.maximum, _core.maximum, _core.minimum, _core.minimum), mine, others)
    )
    inner = _core.maximum(high_y - low_y, 0.0) * _core.maximum(high_x - low_x, 0.0)

    def area(box):
        return (box[2] - box[0]) * (box[3] - box[1])

    union = ops.expand_dims(area(mine), -1) + area(others) - inner
    return _core.where(_core.greater(union, 0.0), inner / union, 0.0)


@converts("NonMaxSuppression", since=10)
def non_max_suppression(call, boxes, scores, most=None, overlap=None, least=None):
    (rows, classes, n) = scores.dims
    zero = like(0.0, scores)
    limit = 0 if most is None else call.sizes(2, "max_output_boxes_per_class")[0]
    overlap = zero if overlap is None else _core.reshape(overlap, shape=[])
    size = _smaller(limit, n)
    if least is not None:
        scores = _core.where(_core.greater(scores, _core.reshape(least, shape=[])), scores, like(_NONE, scores))
    corners = [ops.expand_dims(c, 1) for c in _corners(boxes, call.attr("center_point_box", 0))]

    def left(i, scores, *_):
        best = _core.max(scores, axis=[0, 1, 2], keepdims=False)
        return _core.logical_and(_core.less(i, ops.convert_to_tensor(size)), _core.greater(best, like(_NONE, best)))

    def turn(i, scores, chosen, found):
        best = _core.argmax(scores, axis=[2], keepdims=True)
        value = _core.take_along_axis(scores, best, axis=2)
        mine = [
            _core.reshape(
                _core.take_along_axis(_core.broadcast_to(c, shape=list(scores.dims)), best, axis=2),
                shape=[rows, classes],
            )
            for c in corners
        ]
        gone = _core.greater(_overlap(mine, corners), overlap)
        places = _core.reshape(_core.arange(size=[n]), shape=[1, 1, n])
        gone = _core.logical_or(gone, _core.equal(ops.cast(places, best.dtype), best))
        on = _core.greater(value, like(_NONE, value))
        row = [_core.reshape(v, shape=[1, rows, classes]) for v in (ops.cast(best, "int32"), on)]
        at = _core.reshape(i, shape=[1, 1])
        return (
            _core.add(i, 1),
            _core.where(gone, like(_NONE, scores), scores),
            _core.scatter_update(chosen, at, row[0], mode="set"),
            _core.scatter_update(found, at, row[1], mode="set"),
        )

    start = (
        ops.convert_to_tensor(0),
        scores,
        ops.zeros((size, rows, classes), "int32"),
        ops.zeros((size, rows, classes), "bool"),
    )
    _, _, chosen, found = ops.while_loop(left, turn, start)
    chosen, found = (_core.transpose(v, axes=[1, 2, 0]) for v in (chosen, found))
    flat = positions(_core.reshape(found, shape=[-1]))
    box = _core.take(_core.reshape(chosen, shape=[-1]), flat, axis=0)
    group = _core.floor_divide(flat, ops.convert_to_tensor(size))
    batch = _core.floor_divide(group, ops.convert_to_tensor(classes))
    kind = _core.mod(group, ops.convert_to_tensor(classes))
    return ops.cast(ops.stack([batch, kind, box], axis=1), "int64")


def _smaller(a, b):
    if isinstance(a, int) and isinstance(b, int):
        return max(min(a, b), 0)
    return b if isinstance(a, int) and a >= 1 << 31 else b.min(a) if not isinstance(b, int) else a.min(b)
