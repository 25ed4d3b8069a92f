"""Cases of the recurrent layers, and what they mean, in float64 NumPy."""

from dataclasses import dataclass

import numpy as np


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


def reference(case, x, *rest):
    """States before the first step, kernels, bias and mask, in the order of the op's operands, to (h, [c], y)."""
    rest = list(rest)
    states = [np.asarray(rest.pop(0), np.float64) for _ in range(case.states)]
    kernel, recurrent = (np.asarray(rest.pop(0), np.float64) for _ in range(2))
    bias = rest.pop(0).astype(np.float64) if case.use_bias else 0.0
    mask = rest.pop(0) if case.use_mask else np.ones(x.shape[:2], bool)
    act, gate = ACTIVATIONS[case.activation], ACTIVATIONS[case.recurrent_activation]
    ys = []
    for step in range(case.steps):
        t = case.steps - 1 - step if case.reverse else step
        z = x[:, t].astype(np.float64) @ kernel + states[0] @ recurrent + (0 if case.cell == "gru" else bias)
        if case.cell == "lstm":
            i, f, g, o = np.split(z, 4, axis=-1)
            c = gate(f) * states[1] + gate(i) * act(g)
            new = [gate(o) * act(c), c]
        elif case.cell == "gru":
            new = [gru_step(case, x[:, t].astype(np.float64), states[0], kernel, recurrent, bias)]
        else:
            new = [act(z)]
        states = [np.where(mask[:, t, None], n, s) for n, s in zip(new, states)]
        ys.append(states[0])
    y = np.stack(ys, 1) if ys else np.zeros((case.batch, 0, case.units))
    return [*states, y]


def gru_step(case, x, h, kernel, recurrent, bias):
    """Gates z, r, candidate n."""
    units, act, gate = case.units, ACTIVATIONS[case.activation], ACTIVATIONS[case.recurrent_activation]
    inner = np.zeros((2, 3 * units))
    inner[: 2 if case.reset_after else 1] += bias
    xz, xr, xn = np.split(x @ kernel + inner[0], 3, axis=-1)
    hz, hr, hn = np.split(h @ recurrent + inner[1], 3, axis=-1)
    z, r = gate(xz + hz), gate(xr + hr)
    n = act(xn + (r * hn if case.reset_after else (r * h) @ recurrent[:, 2 * units :]))
    return z * h + (1 - z) * n


@dataclass(frozen=True)
class Case:
    cell: str
    batch: int
    steps: int
    features: int
    units: int
    use_mask: bool = False
    reverse: bool = False
    use_bias: bool = True
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    reset_after: bool = True
    mask: str = "random"  # or "right": rows of their own lengths, the first of length 0

    @property
    def states(self):
        return 2 if self.cell == "lstm" else 1

    @property
    def gates(self):
        return {"lstm": 4, "gru": 3, "simple_rnn": 1}[self.cell]

    @property
    def bias_shape(self):
        wide = self.gates * self.units
        return (2, wide) if self.cell == "gru" and self.reset_after else (wide,)

    @property
    def options(self):
        options = {"reverse": self.reverse, "use_bias": self.use_bias, "use_mask": self.use_mask}
        options["activation"] = self.activation
        if self.cell != "simple_rnn":
            options["recurrent_activation"] = self.recurrent_activation
        return {**options, "reset_after": self.reset_after} if self.cell == "gru" else options

    def operands(self, dtype=np.float32, seed=0):
        """x, states, kernel, recurrent kernel, [bias], [mask]."""
        rng = np.random.default_rng([seed, self.batch, self.steps, self.units])
        wide = self.gates * self.units
        shapes = [(self.batch, self.steps, self.features), *[(self.batch, self.units)] * self.states]
        shapes += [(self.features, wide), (self.units, wide), self.bias_shape][: 3 if self.use_bias else 2]
        arrays = [rng.standard_normal(s) for s in shapes]
        arrays[1 + self.states] /= np.sqrt(self.features)
        arrays[2 + self.states] *= 0.7 / np.sqrt(self.units)
        arrays = [a.astype(dtype) for a in arrays]
        if not self.use_mask:
            return arrays
        if self.mask == "right":
            return [*arrays, np.arange(self.steps) < (np.arange(self.batch) * 3 % (self.steps + 1))[:, None]]
        return [*arrays, rng.random((self.batch, self.steps)) > 0.4]

    def __str__(self):
        words = [self.cell, f"b{self.batch}t{self.steps}i{self.features}u{self.units}"]
        flags = {"mask": self.use_mask, "reverse": self.reverse, "nobias": not self.use_bias}
        words += [word for word, on in flags.items() if on]
        usual = ("tanh", "sigmoid")
        words += (
            []
            if (self.activation, self.recurrent_activation) == usual
            else [
                self.activation,
                self.recurrent_activation,
            ]
        )
        words += ["before"] if not self.reset_after else []
        return "-".join(words + ([self.mask] if self.mask != "random" else []))


CASES = [
    Case("lstm", 1, 1, 1, 1),
    Case("lstm", 2, 3, 4, 7, use_mask=True),
    Case("lstm", 3, 5, 2, 16, reverse=True),
    Case("lstm", 7, 6, 5, 33, use_mask=True, reverse=True),
    Case("lstm", 1, 80, 16, 128),
    Case("lstm", 13, 12, 8, 65, use_mask=True, use_bias=False),
    Case("lstm", 9, 20, 3, 128, use_mask=True),
    Case("lstm", 40, 4, 3, 20),
    Case("lstm", 0, 3, 2, 5),
    Case("lstm", 3, 0, 2, 5),
    Case("lstm", 14, 9, 4, 24, use_mask=True, mask="right"),
    *(
        Case("gru", *sizes, reset_after=after, **options)
        for after in (True, False)
        for sizes, options in [
            ((1, 1, 1, 1), {}),
            ((2, 3, 4, 7), {"use_mask": True}),
            ((3, 5, 2, 16), {"reverse": True}),
            ((7, 6, 5, 33), {"use_mask": True, "reverse": True}),
            ((13, 12, 8, 65), {"use_mask": True, "use_bias": False}),
            ((14, 9, 4, 80), {"use_mask": True, "mask": "right"}),
            ((1, 60, 6, 128), {}),
            ((40, 4, 3, 20), {}),
            ((0, 3, 2, 5), {}),
            ((3, 0, 2, 5), {}),
        ]
    ),
    Case("lstm", 3, 5, 4, 19, activation="relu", recurrent_activation="hard_sigmoid"),
    Case("lstm", 3, 5, 4, 19, use_mask=True, activation="softsign", recurrent_activation="relu6"),
    Case("gru", 3, 5, 4, 19, activation="elu", recurrent_activation="hard_sigmoid"),
    Case("gru", 3, 5, 4, 19, activation="linear", recurrent_activation="softsign", reset_after=False),
    Case("simple_rnn", 1, 1, 1, 1),
    Case("simple_rnn", 2, 3, 4, 7, use_mask=True, activation="relu"),
    Case("simple_rnn", 3, 5, 2, 16, reverse=True, activation="sigmoid"),
    Case("simple_rnn", 7, 6, 5, 33, use_mask=True, reverse=True),
    Case("simple_rnn", 8, 9, 5, 64, use_bias=False, activation="linear"),
    Case("simple_rnn", 8, 80, 16, 128, use_mask=True),
    Case("simple_rnn", 40, 5, 6, 75),
    Case("simple_rnn", 3, 0, 2, 5, use_mask=True),
]
