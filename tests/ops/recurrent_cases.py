"""Cases of the recurrent layers, and what they mean, in float64 NumPy."""

from functools import partial

import numpy as np

from tests.ops.case import Case, Op, Operand, mask


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


ACTIVATIONS = {
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "relu6": lambda z: np.clip(z, 0, 6),
    "hard_sigmoid": lambda z: np.clip(z + 3, 0, 6) / 6,
    "softsign": lambda z: z / (1 + np.abs(z)),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
}
STATES = {"lstm": 2, "gru": 1, "simple_rnn": 1}
GATES = {"lstm": 4, "gru": 3, "simple_rnn": 1}


def reference(
    cell, x, *rest, reverse=False, use_bias=True, use_mask=False, activation="tanh", recurrent_activation="sigmoid",
    reset_after=True,
):  # fmt: skip
    """States before the first step, kernels, bias and mask, in the order of the op's operands, to (h, [c], y)."""
    rest = list(rest)
    states = [rest.pop(0) for _ in range(STATES[cell])]
    kernel, recurrent = rest.pop(0), rest.pop(0)
    bias = rest.pop(0) if use_bias else 0.0
    known = rest.pop(0) if use_mask else np.ones(x.shape[:2], bool)
    act, gate = ACTIVATIONS[activation], ACTIVATIONS[recurrent_activation]
    ys = []
    for step in range(x.shape[1]):
        t = x.shape[1] - 1 - step if reverse else step
        if cell == "gru":
            new = [gru_step(x[:, t], states[0], kernel, recurrent, bias, act, gate, reset_after)]
        else:
            z = x[:, t] @ kernel + states[0] @ recurrent + bias
            new = lstm_step(z, states[1], act, gate) if cell == "lstm" else [act(z)]
        states = [np.where(known[:, t, None], n, s) for n, s in zip(new, states)]
        ys.append(states[0])
    return *states, np.stack(ys, 1) if ys else np.zeros((*x.shape[:2], recurrent.shape[0]))


def lstm_step(z, c, act, gate):
    i, f, g, o = np.split(z, 4, axis=-1)
    c = gate(f) * c + gate(i) * act(g)
    return [gate(o) * act(c), c]


def gru_step(x, h, kernel, recurrent, bias, act, gate, reset_after):
    """Gates z, r, candidate n."""
    units = h.shape[1]
    inner = np.zeros((2, 3 * units))
    inner[: 2 if reset_after else 1] += bias
    xz, xr, xn = np.split(x @ kernel + inner[0], 3, axis=-1)
    hz, hr, hn = np.split(h @ recurrent + inner[1], 3, axis=-1)
    z, r = gate(xz + hz), gate(xr + hr)
    n = act(xn + (r * hn if reset_after else (r * h) @ recurrent[:, 2 * units :]))
    return z * h + (1 - z) * n


def error(cell, x, h, *rest, **params):
    # z sums units + features products; a step's error grows by less than 1 from step to step for these weights.
    terms = 8 + h.shape[1] + x.shape[2]
    return [terms * np.abs(y).max(initial=1) for y in reference(cell, x, h, *rest, **params)]


def gradient_error(x, h, *rest, **params):
    return 40 + 4 * h.shape[1] + x.shape[2] + x.shape[0] * x.shape[1]


def padded_right(rng, shape):
    """Rows of their own lengths, the first of length 0."""
    batch, steps = shape
    return np.arange(steps) < (np.arange(batch) * 3 % (steps + 1))[:, None]


def recurrent(
    cell, batch, steps, features, units, use_mask=False, reverse=False, use_bias=True, right=False, **params
):  # fmt: skip
    """A case: x, states, kernel, recurrent kernel, [bias], [mask]. right: the mask is of padding on the right."""
    wide = GATES[cell] * units
    bias = (2, wide) if cell == "gru" and params.get("reset_after", True) else (wide,)
    operands = [
        (batch, steps, features),
        *[(batch, units)] * STATES[cell],
        Operand((features, wide), lambda rng, s: rng.standard_normal(s) / features**0.5),
        Operand((units, wide), lambda rng, s: rng.standard_normal(s) * 0.7 / units**0.5),
        *[bias] * use_bias,
        *[Operand((batch, steps), padded_right, "bool") if right else mask((batch, steps))] * use_mask,
    ]
    params = {"reverse": reverse, "use_bias": use_bias, "use_mask": use_mask, **params}
    return Case(*operands, gradient=units <= 33 and batch < 10, **params)


def rows(cell):
    return lambda case: (*range(1 + STATES[cell]), *[len(case.shapes) - 1] * case.params["use_mask"])


LSTM = [
    recurrent("lstm", 1, 1, 1, 1),
    recurrent("lstm", 2, 3, 4, 7, use_mask=True),
    recurrent("lstm", 3, 5, 2, 16, reverse=True),
    recurrent("lstm", 7, 6, 5, 33, use_mask=True, reverse=True),
    recurrent("lstm", 1, 80, 16, 128),
    recurrent("lstm", 13, 12, 8, 65, use_mask=True, use_bias=False),
    recurrent("lstm", 9, 20, 3, 128, use_mask=True),
    recurrent("lstm", 40, 4, 3, 20),
    recurrent("lstm", 0, 3, 2, 5),
    recurrent("lstm", 3, 0, 2, 5),
    recurrent("lstm", 14, 9, 4, 24, use_mask=True, right=True),
    recurrent("lstm", 3, 5, 4, 19, activation="relu", recurrent_activation="hard_sigmoid"),
    recurrent("lstm", 3, 5, 4, 19, use_mask=True, activation="softsign", recurrent_activation="relu6"),
    recurrent("lstm", 9, 4, 3, 200, use_mask=True),
    recurrent("lstm", 17, 5, 3, 512, reverse=True),
    recurrent("lstm", 2, 3, 4, 600, use_mask=True),
]
GRU = [
    *(
        recurrent("gru", *sizes, reset_after=after, **options)
        for after in (True, False)
        for sizes, options in [
            ((1, 1, 1, 1), {}),
            ((2, 3, 4, 7), {"use_mask": True}),
            ((3, 5, 2, 16), {"reverse": True}),
            ((7, 6, 5, 33), {"use_mask": True, "reverse": True}),
            ((13, 12, 8, 65), {"use_mask": True, "use_bias": False}),
            ((14, 9, 4, 80), {"use_mask": True, "right": True}),
            ((1, 60, 6, 128), {}),
            ((40, 4, 3, 20), {}),
            ((0, 3, 2, 5), {}),
            ((3, 0, 2, 5), {}),
            ((9, 4, 3, 250), {"use_mask": True}),
            ((2, 5, 3, 390), {"reverse": True}),
        ]
    ),
    recurrent("gru", 3, 5, 4, 19, activation="elu", recurrent_activation="hard_sigmoid"),
    recurrent("gru", 3, 5, 4, 19, activation="linear", recurrent_activation="softsign", reset_after=False),
]
SIMPLE = [
    recurrent("simple_rnn", 1, 1, 1, 1),
    recurrent("simple_rnn", 2, 3, 4, 7, use_mask=True, activation="relu"),
    recurrent("simple_rnn", 3, 5, 2, 16, reverse=True, activation="sigmoid"),
    recurrent("simple_rnn", 7, 6, 5, 33, use_mask=True, reverse=True),
    recurrent("simple_rnn", 8, 9, 5, 64, use_bias=False, activation="linear"),
    recurrent("simple_rnn", 8, 80, 16, 128, use_mask=True),
    recurrent("simple_rnn", 40, 5, 6, 75),
    recurrent("simple_rnn", 3, 0, 2, 5, use_mask=True),
    recurrent("simple_rnn", 19, 4, 3, 256, use_mask=True),
    recurrent("simple_rnn", 2, 4, 3, 520),
]
LAYERS = {"lstm": LSTM, "gru": GRU, "simple_rnn": SIMPLE}
PARTS = {
    "recurrent_pack": "the recurrent kernel as the steps read it",
    "recurrence": "the steps, after the product of all inputs with the kernel",
    "recurrence_gradient": "the steps backwards",
}
OPS = [
    Op(
        cell, partial(reference, cell), cases, epsilons=1, error=partial(error, cell), rows=rows(cell),
        gradient_epsilons=gradient_error, parts=PARTS,
    )
    for cell, cases in LAYERS.items()
]  # fmt: skip
