"""One step of a recurrent network: SimpleRNNCell, LSTMCell, GRUCell."""

import numpy as np

from maas.layers.layer import Layer
from maas.layers.options import check_positive, config_of, set_options

WEIGHT_OPTIONS = (
    "kernel_initializer", "recurrent_initializer", "bias_initializer", "kernel_regularizer", "recurrent_regularizer",
    "bias_regularizer",
    "kernel_constraint", "recurrent_constraint", "bias_constraint",
)  # fmt: skip


class Cell(Layer):
    """Base of cells: weights kernel (inputs, gates * units), recurrent_kernel (units, gates * units), bias; dropout
    of inputs and state.
    """

    gates = 1

    def __init__(self, units, activation, use_bias, dropout, recurrent_dropout, seed, options, **kwargs):
        implementation = kwargs.pop("implementation", 2)
        super().__init__(**kwargs)
        owner = self._label()
        self.units = check_positive(units, "units", owner)
        for name, rate in (("dropout", dropout), ("recurrent_dropout", recurrent_dropout)):
            if not 0 <= rate <= 1:
                raise ValueError(f"{owner}: `{name}` must be in [0, 1], received {name}={rate!r}")
        self.dropout, self.recurrent_dropout, self.seed = dropout, recurrent_dropout, seed
        # As in Keras: with dropout of the state every gate has masks of its own.
        self.implementation = 1 if recurrent_dropout and self.gates > 1 else implementation
        self.use_bias = use_bias
        set_options(self, activation=activation, **options)
        from maas.random import SeedGenerator

        self.seed_generator = SeedGenerator(seed)
        self.output_size = self.units

    @property
    def state_size(self):
        return self.units

    def _bias_shape(self):
        return (self.gates * self.units,)

    def _initial_bias(self):
        return self.bias_initializer

    def build(self, input_shape):
        add, wide = self.add_weight, self.gates * self.units
        if input_shape[-1] is None:
            raise ValueError(
                f"{self._label()}: the last axis of the input must be known, received {tuple(input_shape)}"
            )
        self.kernel = add(
            name="kernel", shape=(input_shape[-1], wide), initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )  # fmt: skip
        self.recurrent_kernel = add(
            name="recurrent_kernel", shape=(self.units, wide), initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer, constraint=self.recurrent_constraint,
        )  # fmt: skip
        self.bias = None
        if self.use_bias:
            self.bias = add(
                name="bias", shape=self._bias_shape(), initializer=self._initial_bias(),
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )  # fmt: skip

    def dropout_masks(self, x, states):
        """Masks of the inputs and of the state, one draw for all steps: None, a tensor, or a list with one per gate."""
        h = states[0] if isinstance(states, (list, tuple)) else states
        return self._draw(x, self.dropout), self._draw(h, self.recurrent_dropout)

    def _draw(self, like, rate):
        from maas import ops, random

        if not 0 < rate < 1:
            return None
        ones = ops.ones_like(like)
        if self.implementation == 1 and self.gates > 1:
            return [random.dropout(ones, rate, seed=self.seed_generator) for _ in range(self.gates)]
        return random.dropout(ones, rate, seed=self.seed_generator)

    def _masks(self, x, states, training, given):
        """`given` comes from the RNN layer, so that all steps share one draw."""
        if not training:
            return None, None
        return self.dropout_masks(x, states) if given is None else given

    def _project(self, x, kernel, mask, gates=None):
        """`(x mask) kernel` of every gate, as a list."""
        from maas import ops

        gates = gates or self.gates
        if isinstance(mask, list):
            kernels = ops.split(kernel, gates, axis=-1) if gates > 1 else [kernel]
            return [ops.matmul(ops.multiply(x, m), k) for m, k in zip(mask, kernels)]
        z = ops.matmul(x if mask is None else ops.multiply(x, mask), kernel)
        return ops.split(z, gates, axis=-1) if gates > 1 else [z]

    def get_initial_state(self, batch_size=None):
        from maas import ops

        sizes = self.state_size if isinstance(self.state_size, list) else [self.state_size]
        return [ops.zeros((batch_size, s), dtype=self.compute_dtype) for s in sizes]

    def get_config(self):
        own = config_of(
            self, "units", "activation", "use_bias", *WEIGHT_OPTIONS, "dropout", "recurrent_dropout", "seed"
        )
        return {**super().get_config(), **own}


def _options(values):
    return {k: values[k] for k in WEIGHT_OPTIONS}


class SimpleRNNCell(Cell):
    """`h' = activation(x kernel + h recurrent_kernel + bias)`.

    Args:
        units: int.
        activation, use_bias, dropout, recurrent_dropout, seed and weight options: as in `SimpleRNN`.
    """

    def __init__(
        self, units, activation="tanh", use_bias=True, kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros", kernel_regularizer=None, recurrent_regularizer=None, bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None, bias_constraint=None, dropout=0.0, recurrent_dropout=0.0, seed=None, **kwargs,
    ):  # fmt: skip
        super().__init__(units, activation, use_bias, dropout, recurrent_dropout, seed, _options(locals()), **kwargs)

    def call(self, sequence, states, training=False, dropout_masks=None):
        from maas import ops

        h = states[0] if isinstance(states, (list, tuple)) else states
        x_mask, h_mask = self._masks(sequence, h, training, dropout_masks)
        y = self._project(sequence, self.kernel, x_mask)[0]
        if self.bias is not None:
            y = ops.add(y, self.bias)
        y = ops.add(y, self._project(h, self.recurrent_kernel, h_mask)[0])
        y = self.activation(y)
        return y, ([y] if isinstance(states, (list, tuple)) else y)


class LSTMCell(Cell):
    """`c' = f c + i g`, `h' = o activation(c')`, gates in the order i f g o (Keras calls g the candidate c).

    Args:
        units: int.
        activation, recurrent_activation: of g and the output, and of the gates i, f, o.
        unit_forget_bias: bool, the bias of f starts at 1.
        use_bias, dropout, recurrent_dropout, seed and weight options: as in `LSTM`.
    Reference: Hochreiter and Schmidhuber, 1997, "Long Short-Term Memory".
    """

    gates = 4

    def __init__(
        self, units, activation="tanh", recurrent_activation="sigmoid", use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal", bias_initializer="zeros", unit_forget_bias=True, kernel_regularizer=None,
        recurrent_regularizer=None, bias_regularizer=None, kernel_constraint=None, recurrent_constraint=None,
        bias_constraint=None, dropout=0.0,
        recurrent_dropout=0.0, seed=None, **kwargs,
    ):  # fmt: skip
        super().__init__(units, activation, use_bias, dropout, recurrent_dropout, seed, _options(locals()), **kwargs)
        set_options(self, recurrent_activation=recurrent_activation)
        self.unit_forget_bias = unit_forget_bias

    @property
    def state_size(self):
        return [self.units, self.units]

    def _initial_bias(self):
        if not self.unit_forget_bias:
            return self.bias_initializer
        from maas.initializers import initial_value

        def bias(shape, dtype=None):
            sizes = self.units, 2 * self.units
            first, rest = (np.asarray(initial_value(self.bias_initializer, (n,), dtype)) for n in sizes)
            return np.concatenate([first, np.ones(self.units, first.dtype), rest])

        return bias

    def call(self, inputs, states, training=False, dropout_masks=None):
        from maas import ops

        h, c = states
        x_mask, h_mask = self._masks(inputs, h, training, dropout_masks)
        z = [
            ops.add(a, b)
            for a, b in zip(self._project(inputs, self.kernel, x_mask), self._project(h, self.recurrent_kernel, h_mask))
        ]
        if self.bias is not None:
            z = [ops.add(a, b) for a, b in zip(z, ops.split(self.bias, 4))]
        i, f, g, o = z
        gate = self.recurrent_activation
        c = ops.add(ops.multiply(gate(f), c), ops.multiply(gate(i), self.activation(g)))
        h = ops.multiply(gate(o), self.activation(c))
        return h, [h, c]

    def get_config(self):
        return {
            **super().get_config(),
            **config_of(self, "recurrent_activation"),
            "unit_forget_bias": self.unit_forget_bias,
        }


class GRUCell(Cell):
    """`h' = z h + (1 - z) activation(candidate)`, gates in the order z r h.

    Args:
        units: int.
        activation, recurrent_activation: of the candidate, and of the gates z and r.
        reset_after: bool, apply r after (default) or before the recurrent product.
        use_bias, dropout, recurrent_dropout, seed and weight options: as in `GRU`.
    Reference: Cho et al., 2014, arXiv:1406.1078.
    """

    gates = 3

    def __init__(
        self, units, activation="tanh", recurrent_activation="sigmoid", use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal", bias_initializer="zeros", kernel_regularizer=None,
        recurrent_regularizer=None, bias_regularizer=None,
        kernel_constraint=None, recurrent_constraint=None, bias_constraint=None, dropout=0.0, recurrent_dropout=0.0,
        reset_after=True, seed=None,
        **kwargs,
    ):  # fmt: skip
        super().__init__(units, activation, use_bias, dropout, recurrent_dropout, seed, _options(locals()), **kwargs)
        set_options(self, recurrent_activation=recurrent_activation)
        self.reset_after = bool(reset_after)

    def _bias_shape(self):
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def call(self, inputs, states, training=False, dropout_masks=None):
        from maas import ops

        h = states[0] if isinstance(states, (list, tuple)) else states
        x_mask, h_mask = self._masks(inputs, h, training, dropout_masks)
        xz, xr, xh = self._plus(self._project(inputs, self.kernel, x_mask), 0)
        gate, units = self.recurrent_activation, self.units
        if self.reset_after:
            hz, hr, hh = self._plus(self._project(h, self.recurrent_kernel, h_mask), 1)
            z, r = gate(ops.add(xz, hz)), gate(ops.add(xr, hr))
            candidate = self.activation(ops.add(xh, ops.multiply(r, hh)))
        else:
            kernel = self.recurrent_kernel
            hz, hr = self._project(h, kernel[:, : 2 * units], h_mask, gates=2)
            z, r = gate(ops.add(xz, hz)), gate(ops.add(xr, hr))
            kept = ops.multiply(h, h_mask[2]) if h_mask else h
            candidate = self.activation(ops.add(xh, ops.matmul(ops.multiply(r, kept), kernel[:, 2 * units :])))
        y = ops.add(ops.multiply(z, h), ops.multiply(ops.subtract(1.0, z), candidate))
        return y, ([y] if isinstance(states, (list, tuple)) else y)

    def _plus(self, parts, row):
        """Adds the bias of the input's (row 0) or of the state's product to the parts of the gates."""
        from maas import ops

        if self.bias is None or (row == 1 and not self.reset_after):
            return parts
        bias = self.bias[row] if self.reset_after else self.bias
        return [ops.add(x, b) for x, b in zip(parts, ops.split(bias, 3))]

    def get_config(self):
        return {**super().get_config(), **config_of(self, "recurrent_activation"), "reset_after": self.reset_after}
