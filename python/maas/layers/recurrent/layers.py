"""`SimpleRNN`, `LSTM`, `GRU`: a cell of one kind run over the time axis, as one fused operation wherever it can be.

The loop over the cell is the fallback: activations of other kinds, dropout of the state in training. It needs a known
number of steps.
"""

from maas import activations
from maas.layers.input_spec import InputSpec
from maas.layers.layer import Layer
from maas.layers.options import config_of
from maas.layers.recurrent.cells import WEIGHT_OPTIONS, GRUCell, LSTMCell, SimpleRNNCell
from maas.layers.recurrent.rnn import RNN

_CELL_OPTIONS = ("units", "activation", "use_bias", *WEIGHT_OPTIONS, "dropout", "recurrent_dropout")


class _CellRNN(RNN):
    """Base: the layer's constructor makes the cell, and its attributes (`units`, `kernel_initializer`, ...) are the
    cell's.
    """

    def __init__(self, cell_class, cell_name, options, activity_regularizer, loop, kwargs):
        cell_kwargs = {k: kwargs[k] for k in ("dtype", "trainable") if k in kwargs}
        if "implementation" in kwargs:
            cell_kwargs["implementation"] = kwargs.pop("implementation")
        cell = cell_class(**options, name=cell_name, **cell_kwargs)
        super().__init__(cell, activity_regularizer=activity_regularizer, **loop, **kwargs)
        self.input_spec = InputSpec(ndim=3)

    def __getattr__(self, name):
        # Only reached for names the layer itself does not have.
        if name in _CELL_OPTIONS or name in (
            "recurrent_activation",
            "unit_forget_bias",
            "reset_after",
            "seed",
            "implementation",
        ):
            cell = self.__dict__.get("cell")
            if cell is not None:
                return getattr(cell, name)
        raise AttributeError(f"'{type(self).__name__}' has no attribute '{name}'")

    def _fused_activations(self, training):
        """Arguments for the activations, or None where the cell has to run step by step."""
        from maas.ops.recurrent import FUSED_ACTIVATIONS

        cell = self.cell
        masked_gates = cell.recurrent_dropout or (cell.dropout and cell.implementation == 1 and cell.gates > 1)
        if training and masked_gates:
            return None
        found = {}
        for name in ("activation", "recurrent_activation")[: 2 if cell.gates > 1 else 1]:
            known = [n for n in FUSED_ACTIVATIONS if getattr(cell, name) is getattr(activations, n)]
            if not known:
                return None
            found[name] = known[0]
        return found

    def _fused_arguments(self, sequences, states, mask, training):
        """Arguments that the fused operations share."""
        cell = self.cell
        args = (self._dropped_sequences(sequences, training), *states, cell.kernel, cell.recurrent_kernel, cell.bias)
        loop = {"reverse": self.go_backwards, "return_sequences": self.return_sequences}
        return args, {"mask": mask, "zero_output_for_mask": self.zero_output_for_mask, **loop}

    def _result(self, output, *states):
        return (None, output, list(states)) if self.return_sequences else (output, None, list(states))

    def _dropped_sequences(self, sequences, training):
        from maas import ops

        if not training or not self.cell.dropout:
            return sequences
        mask, _ = self.cell.dropout_masks(sequences[:, 0], None)
        return sequences if mask is None else ops.multiply(sequences, ops.expand_dims(mask, 1))

    def get_config(self):
        config = {**Layer.get_config(self), **self._loop_config()}
        return {**config, **config_of(self, *_CELL_OPTIONS, "activity_regularizer")}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        # Written by Keras for every RNN, but not an argument of these layers' constructors there.
        zero = config.pop("zero_output_for_mask", False)
        layer = super(RNN, cls).from_config(config)
        layer.zero_output_for_mask = zero
        return layer


def _loop(values):
    return {k: values[k] for k in ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")}


class SimpleRNN(_CellRNN):
    """`h_t = activation(x_t kernel + h_{t-1} recurrent_kernel + bias)` over the steps of (batch, time, features).

    Args:
        units: int, size of h.
        activation: name or callable.
        use_bias: bool.
        dropout, recurrent_dropout: numbers in [0, 1], of the inputs and of the state.
        return_sequences, return_state, go_backwards, stateful, unroll: see `RNN`.
        seed: int or None, of the dropout.
        weight options: of kernel (features, units), recurrent_kernel (units, units) and bias (units,).

    Raises:
        ValueError: for a wrong argument or an input that is not of rank 3.
    """

    def __init__(
        self, units, activation="tanh", use_bias=True, kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros", kernel_regularizer=None, recurrent_regularizer=None, bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None, recurrent_constraint=None, bias_constraint=None, dropout=0.0, recurrent_dropout=0.0,
        return_sequences=False,
        return_state=False, go_backwards=False, stateful=False, unroll=False, seed=None, **kwargs,
    ):  # fmt: skip
        values = locals()
        options = {k: values[k] for k in (*_CELL_OPTIONS, "seed")}
        super().__init__(SimpleRNNCell, "simple_rnn_cell", options, activity_regularizer, _loop(values), kwargs)

    def inner_loop(self, sequences, states, mask, training):
        fused = self._fused_activations(training)
        if fused is None:
            return super().inner_loop(sequences, states, mask, training)
        from maas import ops

        args, kwargs = self._fused_arguments(sequences, states, mask, training)
        return self._result(*ops.simple_rnn(*args, **fused, **kwargs))


class LSTM(_CellRNN):
    """Long short-term memory over the steps of (batch, time, features); the step is in `LSTMCell`.

    Args:
        units: int, size of the states h and c.
        activation, recurrent_activation: names or callables, of candidate and output, and of the gates.
        unit_forget_bias: bool, the forget gate's bias starts at 1.
        use_bias: bool.
        dropout, recurrent_dropout: numbers in [0, 1], of the inputs and of the state.
        return_sequences, return_state, go_backwards, stateful, unroll: see `RNN`.
        use_cudnn: accepted; the kernel is chosen by the engine.
        seed: int or None, of the dropout.
        weight options: of kernel (features, 4 units), recurrent_kernel (units, 4 units) and bias (4 units,), gates i f
            g o.

    Raises:
        ValueError: for a wrong argument or an input that is not of rank 3.
    """

    def __init__(
        self, units, activation="tanh", recurrent_activation="sigmoid", use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal", bias_initializer="zeros", unit_forget_bias=True, kernel_regularizer=None,
        recurrent_regularizer=None, bias_regularizer=None, activity_regularizer=None, kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None, dropout=0.0, recurrent_dropout=0.0, seed=None, return_sequences=False,
        return_state=False, go_backwards=False,
        stateful=False, unroll=False, use_cudnn="auto", **kwargs,
    ):  # fmt: skip
        values = locals()
        options = {k: values[k] for k in (*_CELL_OPTIONS, "recurrent_activation", "unit_forget_bias", "seed")}
        super().__init__(LSTMCell, "lstm_cell", options, activity_regularizer, _loop(values), kwargs)

    def inner_loop(self, sequences, states, mask, training):
        fused = self._fused_activations(training)
        if fused is None:
            return super().inner_loop(sequences, states, mask, training)
        from maas import ops

        args, kwargs = self._fused_arguments(sequences, states, mask, training)
        return self._result(*ops.lstm(*args, **fused, **kwargs))

    def get_config(self):
        return {**super().get_config(), **config_of(self, "recurrent_activation", "unit_forget_bias", "seed")}


class GRU(_CellRNN):
    """Gated recurrent unit over the steps of (batch, time, features); the step is in `GRUCell`.

    Args:
        units: int, size of h.
        activation, recurrent_activation: names or callables, of the candidate and of the gates.
        reset_after: bool, see `GRUCell`.
        use_bias: bool.
        dropout, recurrent_dropout: numbers in [0, 1], of the inputs and of the state.
        return_sequences, return_state, go_backwards, stateful, unroll: see `RNN`.
        use_cudnn: accepted; the kernel is chosen by the engine.
        seed: int or None, of the dropout.
        weight options: of kernel (features, 3 units), recurrent_kernel (units, 3 units) and bias, gates z r h.

    Raises:
        ValueError: for a wrong argument or an input that is not of rank 3.
    """

    def __init__(
        self, units, activation="tanh", recurrent_activation="sigmoid", use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal", bias_initializer="zeros", kernel_regularizer=None,
        recurrent_regularizer=None, bias_regularizer=None,
        activity_regularizer=None, kernel_constraint=None, recurrent_constraint=None, bias_constraint=None,
        dropout=0.0, recurrent_dropout=0.0,
        seed=None, return_sequences=False, return_state=False, go_backwards=False, stateful=False, unroll=False,
        reset_after=True,
        use_cudnn="auto", **kwargs,
    ):  # fmt: skip
        values = locals()
        options = {k: values[k] for k in (*_CELL_OPTIONS, "recurrent_activation", "reset_after", "seed")}
        super().__init__(GRUCell, "gru_cell", options, activity_regularizer, _loop(values), kwargs)

    def inner_loop(self, sequences, states, mask, training):
        fused = self._fused_activations(training)
        if fused is None:
            return super().inner_loop(sequences, states, mask, training)
        from maas import ops

        args, kwargs = self._fused_arguments(sequences, states, mask, training)
        return self._result(*ops.gru(*args, reset_after=self.cell.reset_after, **fused, **kwargs))

    def get_config(self):
        return {**super().get_config(), **config_of(self, "recurrent_activation", "reset_after", "seed")}
