"""Branches and loops: sub-graphs become bodies of `cond`, `scan` and `while_loop`."""

import numpy as np

from maas import _core, ops
from maas.onnx.convert.common import axes_of
from maas.onnx.registry import converts
from maas.onnx.trace import is_known
from maas.ops.select import trim

_UNROLL = 64  # turns that are written out where a carried value changes its shape


@converts("If")
def if_(call, condition):
    branches = [call.body(name, []) for name in ("then_branch", "else_branch")]
    if is_known(condition):
        results = branches[not call.known(0, "the condition").reshape(())].run()
    else:
        try:
            results = ops.cond(_core.reshape(condition, shape=[]), *(lambda b=b: _tensors(b.run()) for b in branches))
        except (ValueError, TypeError):
            # Branches of different shapes: only one of them can be in the program.
            results = call.body("then_branch" if bool(call.known(0, "the condition")) else "else_branch", []).run()
    return tuple(results)


def _tensors(values):
    return [ops.convert_to_tensor(v) for v in values]


def _is_true(graph, name, given):
    """Whether output `name` of a body is always true, or its input `given`."""
    while name not in graph.constants and name != given:
        node = graph.maker.get(name)
        if node is None or node.op not in ("Identity", "Cast", "Constant"):
            return False
        if node.op == "Constant":
            value = node.attributes.get("value")
            return value is not None and bool(np.all(value.numpy()))
        name = node.inputs[0]
    return name == given or bool(np.all(graph.constants[name].numpy()))


@converts("Loop")
def loop(call, limit=None, condition=None, *carried):
    graph = call.need("body")
    carried = list(carried) + [None] * (len(graph.inputs) - 2 - len(carried))
    n = len(carried)
    always = _is_true(graph, graph.outputs[0].name, graph.inputs[1].name if len(graph.inputs) > 1 else "")
    if condition is not None and is_known(condition):
        if not call.known(1, "the condition").reshape(()):
            limit, always = _core.Tensor(np.array(0, "int64")), True
    elif condition is not None and always:
        try:
            go = bool(call.known(1, "the condition").reshape(()))
            limit = limit if go else _core.Tensor(np.array(0, "int64"))
        except ValueError:
            always = False

    def turn(i, go, values):
        results = call.body("body", [i, go, *values]).run()
        return results[0], results[1 : n + 1], results[n + 1 :]

    if always and limit is None:
        raise ValueError("a loop needs a trip count or a condition that can become false, received neither")
    if always:
        return _counted(call, turn, carried, graph)
    return _conditional(call, turn, limit, condition, carried, graph)


def _counted(call, turn, carried, graph):
    stacked = len(graph.outputs) - 1 - len(carried)
    size = call.sizes(0, "the trip count")[0]
    true = _core.Tensor(np.array(True))
    places = ops.cast(_core.arange(size=[size]), "int64")

    def step(values, i):
        _, values, rows = turn(i, true, values)
        return list(values), list(rows)

    if any(isinstance(v, list) for v in carried) or (isinstance(size, int) and size == 0 and not stacked):
        return _unrolled(call, turn, carried, size, stacked)
    try:
        ends, rows = ops.scan(step, carried, places)
        return (*ends, *rows)
    except (ValueError, TypeError, NotImplementedError):
        # A value changes its shape, or an option follows from the turn.
        if isinstance(size, int) and 0 < size <= _UNROLL:
            return _unrolled(call, turn, carried, size, stacked)
        raise


def _unrolled(call, turn, carried, size, stacked):
    if not isinstance(size, int) or size > _UNROLL:
        raise NotImplementedError(
            f"a loop that changes shapes or carries sequences may have {_UNROLL} known turns, received {size}"
        )
    rows = [[] for _ in range(stacked)]
    for i in range(size):
        _, carried, more = turn(_core.Tensor(np.array(i, "int64")), _core.Tensor(np.array(True)), carried)
        for row, y in zip(rows, more):
            row.append(y)
    if stacked and not size:
        raise NotImplementedError("a loop without turns that stacks results says no shape for them")
    return (*carried, *(ops.stack(r) for r in rows))


def _conditional(call, turn, limit, condition, carried, graph):
    """A loop that its own results end: rows go to buffers of the most turns, which are cut to those that ran."""
    n, stacked = len(carried), len(graph.outputs) - 1 - len(carried)
    go = _core.Tensor(np.array(True)) if condition is None else _core.reshape(condition, shape=[])
    start = _core.Tensor(np.array(0, "int64"))
    most = None
    if stacked:
        if limit is None:
            raise NotImplementedError("a loop that stacks results needs a trip count, received none")
        most = int(call.known(0, "the trip count").reshape(-1)[0])
        if most > 1 << 20:
            raise NotImplementedError(f"a loop that stacks results may have 2^20 turns, received {most}")
    elif limit is not None:
        limit = _core.reshape(limit, shape=[])
    buffers = []
    if stacked:
        with _core.Trace(body=True) as trace:
            inputs = [trace.input(v.dims, dtype=v.dtype, name="") for v in (start, go, *carried)]
            samples = [(y.dims, y.dtype) for y in turn(inputs[0], inputs[1], inputs[2:])[2]]
        buffers = [ops.zeros((most, *dims), dtype) for dims, dtype in samples]

    def going_on(i, go, *values):
        if limit is None:
            return go
        return _core.logical_and(go, _core.less(i, limit if most is None else most))

    def body(i, go, *values):
        again, new, rows = turn(i, go, list(values[:n]))
        buffers = [
            _core.scatter_update(b, _core.reshape(i, shape=[1, 1]), _core.reshape(y, shape=[1, *y.dims]), mode="set")
            for b, y in zip(values[n:], rows)
        ]
        return (_core.add(i, 1), _core.reshape(ops.cast(again, "bool"), shape=[]), *new, *buffers)

    count, _, *results = ops.while_loop(going_on, body, (start, go, *carried, *buffers))
    return (*results[:n], *(trim(b, ops.cast(count, "int32")) for b in results[n:]))


@converts("Scan")
def old_scan(call, lengths, *values):
    """Before opset 9 every row of a batch is a scan of its own."""
    if lengths is not None or any(call.attr("directions", [])):
        raise NotImplementedError("sequence_lens and directions of opset 8 are not available, received some")
    rows = values[0].shape[0]
    if rows is None or rows > _UNROLL:
        raise NotImplementedError(f"up to {_UNROLL} rows are available, received {rows}")
    results = [scan(call, *(v[i] for v in values)) for i in range(rows)]
    return tuple(ops.stack(list(r)) for r in zip(*results))


@converts("Scan", since=9)
def scan(call, *values):
    graph, count = call.need("body"), call.need("num_scan_inputs")
    states, xs = list(values[: len(values) - count]), list(values[len(values) - count :])
    n = len(states)
    stacked = len(graph.outputs) - n
    turned = call.attr("scan_input_directions", [0] * count)
    axes = call.attr("scan_input_axes", [0] * count)
    for i, x in enumerate(xs):
        axis = axes_of([axes[i]], x.ndim)[0]
        xs[i] = ops.moveaxis(x, axis, 0) if axis else x
        xs[i] = _core.flip(xs[i], axis=[0]) if turned[i] else xs[i]

    def step(state, items):
        results = call.body("body", [*state, *items]).run()
        return results[:n], results[n:]

    ends, rows = ops.scan(step, states, xs)
    backwards = call.attr("scan_output_directions", [0] * stacked)
    places = call.attr("scan_output_axes", [0] * stacked)
    for i, y in enumerate(rows):
        y = _core.flip(y, axis=[0]) if backwards[i] else y
        axis = axes_of([places[i]], y.ndim)[0]
        rows[i] = ops.moveaxis(y, 0, axis) if axis else y
    return (*ends, *rows)
