"""LSTM, GRU and RNN: one fused op each where the activations allow it, else a scan over the steps."""

from maas import _core, ops
from maas.onnx.convert.cells import CELLS, DEFAULTS, activation
from maas.onnx.registry import converts

_FUSED = {"Tanh": "tanh", "Sigmoid": "sigmoid", "Relu": "relu", "Softsign": "softsign"}


def _part(x, direction):
    return None if x is None else x[direction]


class _Direction:
    """The weights of one direction."""

    def __init__(self, call, index, inputs):
        self.w, self.r, self.b, self.h, self.c, self.p = (_part(v, index) for v in inputs)
        kinds = len(DEFAULTS[call.op])
        names = call.attr("activations") or DEFAULTS[call.op] * 2
        self.activations = names[index * kinds : (index + 1) * kinds]
        self.alphas = call.attr("activation_alpha", [])[index * kinds : (index + 1) * kinds]
        self.betas = call.attr("activation_beta", [])[index * kinds : (index + 1) * kinds]


@converts("LSTM", "GRU", "RNN")
def recurrent(call, x, w, r, b=None, lengths=None, h0=None, c0=None, p=None):
    rows_first = call.attr("layout", 0)
    x = x if rows_first else _core.transpose(x, axes=[1, 0, 2])
    n, units = x.dims[0], int(r.shape[-1])
    kind = call.attr("direction", "forward")
    if kind not in ("forward", "reverse", "bidirectional"):
        raise ValueError(f"direction must be forward, reverse or bidirectional, received {kind!r}")
    states = []
    for s in (h0, c0 if call.op == "LSTM" else None):
        if s is None:
            s = ops.zeros((w.shape[0], n, units), x.dtype)
        elif rows_first:
            s = _core.transpose(s, axes=[1, 0, 2])
        states.append(s)
    mask = None
    if lengths is not None:
        places = _core.reshape(_core.arange(size=[x.dims[1]]), shape=[1, x.dims[1]])
        mask = _core.less(places, _core.reshape(ops.cast(lengths, "int32"), shape=[n, 1]))
    results = []
    for index, reverse in enumerate({"forward": [False], "reverse": [True]}.get(kind, [False, True])):
        d = _Direction(call, index, (w, r, b, *states, p))
        results.append(_run(call, d, x, mask, units, reverse))
    # (directions, ...) of every output; steps come first or rows.
    sequence = _core.concatenate(*[_core.reshape(y[0], shape=[*y[0].dims[:2], 1, units]) for y in results], axis=2)
    sequence = sequence if rows_first else _core.transpose(sequence, axes=[1, 2, 0, 3])
    ends = [
        _core.concatenate(*[_core.reshape(y[k], shape=[n, 1, units]) for y in results], axis=1)
        for k in range(1, len(results[0]))
    ]
    ends = ends if rows_first else [_core.transpose(e, axes=[1, 0, 2]) for e in ends]
    return (sequence, *ends)[: call.count]


def _run(call, d, x, mask, units, reverse):
    """(outputs in the order of time (batch, time, units), last h[, last c])."""
    plain = not call.attr("clip") and d.p is None and not call.attr("input_forget", 0) and x.dtype != "float16"
    alike = len(set(d.activations[1:])) <= 1 if call.op == "LSTM" else True
    if plain and alike and all(a in _FUSED for a in d.activations):
        y, *ends = _fused(call, d, x, mask, units, reverse)
        return (ops.flip(y, 1) if reverse else y, *ends)
    return _scanned(call, d, x, mask, reverse)


def _reordered(matrix, units, order):
    """Rows of gates in another order, as columns."""
    parts = [matrix[i * units : (i + 1) * units] for i in order]
    y = _core.concatenate(*parts, axis=0) if len(parts) > 1 else parts[0]
    return _core.transpose(y, axes=[1, 0]) if y.ndim == 2 else y


def _fused(call, d, x, mask, units, reverse):
    options = {"mask": mask, "reverse": reverse, "return_sequences": True, "zero_output_for_mask": mask is not None}
    names = [_FUSED[a] for a in d.activations]
    gates = {"LSTM": [0, 2, 3, 1], "GRU": [0, 1, 2], "RNN": [0]}[call.op]  # ONNX: i o f c; z r h
    kernel, recurrent_kernel = _reordered(d.w, units, gates), _reordered(d.r, units, gates)
    wb = rb = None
    if d.b is not None:
        half = len(gates) * units
        wb, rb = (_reordered(v, units, gates) for v in (d.b[:half], d.b[half:]))
    if call.op == "LSTM":
        bias = None if wb is None else _core.add(wb, rb)
        return ops.lstm(
            x, d.h, d.c, kernel, recurrent_kernel, bias, activation=names[1], recurrent_activation=names[0], **options
        )
    if call.op == "RNN":
        bias = None if wb is None else _core.add(wb, rb)
        return ops.simple_rnn(x, d.h, kernel, recurrent_kernel, bias, activation=names[0], **options)
    after = bool(call.attr("linear_before_reset", 0))
    bias = None
    if wb is not None:
        bias = ops.stack([wb, rb]) if after else _core.add(wb, rb)
    return ops.gru(
        x, d.h, kernel, recurrent_kernel, bias, activation=names[1], recurrent_activation=names[0],
        reset_after=after, **options,
    )  # fmt: skip


def _scanned(call, d, x, mask, reverse):
    functions = [
        activation(name, *(v[i] if i < len(v) else None for v in (d.alphas, d.betas)))
        for i, name in enumerate(d.activations)
    ]
    clip = call.attr("clip")
    bound = (lambda v: _core.maximum(_core.minimum(v, clip), -clip)) if clip else (lambda v: v)
    step = CELLS[call.op](call, d, functions, bound)
    steps = _core.transpose(x, axes=[1, 0, 2])
    marks = None if mask is None else _core.transpose(mask, axes=[1, 0])

    def turn(state, item):
        now, mark = item
        new = step(state, now)
        if mark is None:
            return new, new[0]
        on = ops.expand_dims(mark, -1)
        new = tuple(_core.where(on, a, b) for a, b in zip(new, state))
        return new, _core.where(on, new[0], ops.zeros_like(new[0]))

    state = (d.h, d.c) if call.op == "LSTM" else (d.h,)
    ends, y = ops.scan(turn, state, (steps, marks), reverse=reverse)
    return (_core.transpose(y, axes=[1, 0, 2]), *ends)
