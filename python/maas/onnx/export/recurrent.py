"""Recurrent layers."""

from maas.onnx.export.writer import writes

_ACTIVATIONS = {
    "tanh": ("Tanh", 0.0, 0.0), "sigmoid": ("Sigmoid", 0.0, 0.0), "relu": ("Relu", 0.0, 0.0),
    "softsign": ("Softsign", 0.0, 0.0), "linear": ("Affine", 1.0, 0.0), "hard_sigmoid": ("HardSigmoid", 1 / 6, 0.5),
    "elu": ("Elu", 1.0, 0.0),
}  # fmt: skip
# Our gates' places in ONNX's order: i o f c of i f g o; z r h of z r n.
_GATES = {"lstm": [0, 3, 1, 2], "gru": [0, 1, 2], "simple_rnn": [0]}


@writes("lstm", "gru", "simple_rnn")
def recurrent(w, n):
    p = n.params
    if p["use_mask"]:
        raise NotImplementedError(
            f"{w.model}: a recurrent layer with a mask has no writer to ONNX, whose layers know lengths only"
        )
    is_lstm = n.op == "lstm"
    values = iter(n.inputs)
    x, h0 = next(values), next(values)
    c0 = next(values) if is_lstm else None
    kernel, recurrent_kernel = next(values), next(values)
    bias = next(values) if p["use_bias"] else None
    units = int(recurrent_kernel.shape[0])
    names = [p["activation"]] if n.op == "simple_rnn" else [p["recurrent_activation"], p["activation"]]
    names += [p["activation"]] if is_lstm else []
    unknown = [a for a in names if a not in _ACTIVATIONS]
    if unknown:
        raise NotImplementedError(f"{w.model}: a recurrent layer with activation {unknown[0]} has no writer to ONNX")
    chosen = [_ACTIVATIONS[a] for a in names]
    inputs = [
        w.emit("Transpose", [x], perm=[1, 0, 2]),
        _directed(w, _gates(w, n.op, w.transposed(kernel, [1, 0]), units)),
        _directed(w, _gates(w, n.op, w.transposed(recurrent_kernel, [1, 0]), units)),
        _bias(w, n.op, bias, units) if bias is not None else "",
        "",
        w.emit("Unsqueeze", [h0, w.constant([0])]),
    ]
    if is_lstm:
        inputs.append(w.emit("Unsqueeze", [c0, w.constant([0])]))
    options = {"linear_before_reset": int(p["reset_after"])} if n.op == "gru" else {}
    steps, *ends = w.emit(
        {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "RNN"}[n.op], inputs, 3 if is_lstm else 2, hidden_size=units,
        direction="reverse" if p["reverse"] else "forward", activations=[c[0] for c in chosen],
        activation_alpha=[c[1] for c in chosen], activation_beta=[c[2] for c in chosen], **options,
    )  # fmt: skip
    ends = [w.emit("Squeeze", [e, w.constant([0])]) for e in ends]
    if not p["return_sequences"]:
        return ends
    y = w.emit("Transpose", [w.emit("Squeeze", [steps, w.constant([1])])], perm=[1, 0, 2])
    if p["reverse"]:
        back = w.constant([-1])
        y = w.emit("Slice", [y, back, w.constant([-(2**62)]), w.constant([1]), back])
    return [*ends, y]


def _directed(w, name):
    return w.emit("Unsqueeze", [name, w.constant([0])])


def _gates(w, op, name, units):
    """Rows of the gates in ONNX's order."""
    order = _GATES[op]
    if order == list(range(len(order))):
        return name
    places = [g * units + i for g in order for i in range(units)]
    return w.emit("Gather", [name, w.constant(places)], axis=0)


def _bias(w, op, bias, units):
    """(1, 2 gates): of the product with the input, then of that with the state."""
    if bias.ndim == 2:
        parts = [w.emit("Gather", [bias, w.constant(k)], axis=0) for k in range(2)]
    else:
        zero = w.constant([0.0] * bias.shape[0], bias.dtype)
        parts = [w.name(bias), zero]
    return _directed(w, w.emit("Concat", [_gates(w, op, part, units) for part in parts], axis=0))
