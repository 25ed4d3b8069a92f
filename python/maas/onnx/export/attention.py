"""Scaled dot-product attention by its formula."""

import math

from maas.onnx.export.writer import writes


@writes("attention")
def attention(w, n):
    p = n.params
    if p["dropout"] or p["with_lengths"] or p["window"]:
        raise NotImplementedError(f"{w.model}: attention with lengths, a window or dropout has no writer to ONNX")
    q, k, v = n.inputs[:3]
    rest = iter(n.inputs[3:])
    names = [x if p["heads_first"] else w.emit("Transpose", [x], perm=[0, 2, 1, 3]) for x in (q, k, v)]
    heads_axis = 1 if p["heads_first"] else 2
    heads, kv_heads, dtype = q.shape[heads_axis], k.shape[heads_axis], q.dtype
    if heads != kv_heads:
        names[1:] = [_repeated(w, name, heads // kv_heads, kv_heads) for name in names[1:]]
    scale = p["scale"] or 1 / math.sqrt(q.shape[-1])
    q_name = w.emit("Mul", [names[0], w.constant(scale, dtype)])
    scores = w.emit("MatMul", [q_name, w.emit("Transpose", [names[1]], perm=[0, 1, 3, 2])])
    if p["soft_cap"]:
        cap = w.constant(p["soft_cap"], dtype)
        scores = w.emit("Mul", [w.emit("Tanh", [w.emit("Div", [scores, cap])]), cap])
    # Far below every score, but no infinity: a row that sees nothing is the mean of all values.
    low = w.constant(-6e4 if dtype == "float16" else -1e30, dtype)
    if p["masked"]:
        scores = w.emit("Where", [next(rest), scores, low])
    if p["biased"]:
        scores = w.emit("Add", [scores, next(rest)])
    if p["causal"]:
        scores = w.emit("Where", [_earlier(w, names[0], names[1], p["at_end"]), scores, low])
    y = w.emit("MatMul", [w.emit("Softmax", [scores], axis=-1), names[2]])
    return y if p["heads_first"] else w.emit("Transpose", [y], perm=[0, 2, 1, 3])


def _earlier(w, q, k, at_end):
    """(queries, keys): the keys that do not come after a query."""
    rows, columns = (
        w.emit("Range", [w.constant(0), w.emit("Squeeze", [size, w.constant([0])]), w.constant(1)])
        for size in (w.emit("Shape", [q], start=2, end=3), w.emit("Shape", [k], start=2, end=3))
    )
    if at_end:
        ahead = w.emit("Sub", [w.emit("Shape", [k], start=2, end=3), w.emit("Shape", [q], start=2, end=3)])
        rows = w.emit("Add", [rows, ahead])
    return w.emit("GreaterOrEqual", [w.emit("Unsqueeze", [rows, w.constant([1])]), columns])


def _repeated(w, name, times, heads):
    """Every head of keys or values for several heads of queries."""
    wide = w.emit("Unsqueeze", [name, w.constant([2])])
    wide = w.emit("Expand", [wide, w.constant([1, 1, times, 1, 1])])
    sizes = [w.emit("Shape", [name], end=1), w.constant([heads * times]), w.emit("Shape", [name], start=2)]
    return w.emit("Reshape", [wide, w.emit("Concat", sizes, axis=0)])
