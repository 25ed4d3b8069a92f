"""Recurrent cells with everything ONNX allows: any activation, clipping, peepholes."""

from maas import _core, ops

DEFAULTS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


def activation(name, alpha, beta):
    """The function of an ONNX name."""

    def value(given, default):
        return default if given is None else given

    functions = {
        "relu": _core.relu,
        "tanh": _core.tanh,
        "sigmoid": _core.sigmoid,
        "softsign": _core.softsign,
        "softplus": _core.softplus,
        "affine": lambda x: x * value(alpha, 1.0) + value(beta, 0.0),
        "leakyrelu": lambda x: _core.leaky_relu(x, value(alpha, 0.01)),
        "thresholdedrelu": lambda x: _core.where(_core.greater(x, value(alpha, 1.0)), x, 0.0),
        "scaledtanh": lambda x: _core.tanh(x * value(beta, 1.0)) * value(alpha, 1.0),
        "hardsigmoid": lambda x: _core.minimum(_core.maximum(x * value(alpha, 0.2) + value(beta, 0.5), 0.0), 1.0),
        "elu": lambda x: _core.elu(x, value(alpha, 1.0)),
    }
    if name.lower() not in functions:
        raise ValueError(f"activations must be among {sorted(functions)}, received {name!r}")
    return functions[name.lower()]


def _sums(d, count):
    """Bias of the products with the input and with the state."""
    units = d.r.dims[-1]
    if d.b is None:
        return None, None, units
    return d.b[: count * units], d.b[count * units :], units


def _product(x, w, b):
    y = _core.matmul(x, w, transpose_b=True)
    return y if b is None else _core.add(y, b)


def _split(x, units):
    return ops.split(x, x.shape[-1] // units, axis=-1)


def lstm(call, d, functions, bound):
    wb, rb, units = _sums(d, 4)
    f, g, h = functions
    p = [None] * 3 if d.p is None else [d.p[k * units : (k + 1) * units] for k in range(3)]

    def step(state, x):
        before, cell = state
        i, o, forget, c = _split(_core.add(_product(x, d.w, wb), _product(before, d.r, rb)), units)
        i = f(bound(i if p[0] is None else i + p[0] * cell))
        forget = 1.0 - i if call.attr("input_forget", 0) else f(bound(forget if p[2] is None else forget + p[2] * cell))
        new = forget * cell + i * g(bound(c))
        return f(bound(o if p[1] is None else o + p[1] * new)) * h(new), new

    return step


def gru(call, d, functions, bound):
    wb, rb, units = _sums(d, 3)
    f, g = functions

    def step(state, x):
        (before,) = state
        xz, xr, xh = _split(_product(x, d.w, wb), units)
        gates = _product(before, d.r[: 2 * units], None if rb is None else rb[: 2 * units])
        hz, hr = _split(gates, units)
        z, r = f(bound(xz + hz)), f(bound(xr + hr))
        last = None if rb is None else rb[2 * units :]
        if call.attr("linear_before_reset", 0):
            new = g(bound(xh + r * _product(before, d.r[2 * units :], last)))
        else:
            new = g(bound(xh + _product(r * before, d.r[2 * units :], last)))
        return ((1.0 - z) * new + z * before,)

    return step


def rnn(call, d, functions, bound):
    wb, rb, _ = _sums(d, 1)

    def step(state, x):
        return (functions[0](bound(_core.add(_product(x, d.w, wb), _product(state[0], d.r, rb)))),)

    return step


CELLS = {"LSTM": lstm, "GRU": gru, "RNN": rnn}
