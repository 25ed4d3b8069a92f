"""`RNN`: a cell run over the time axis."""

from maas import tree
from maas.backend.variable import Variable
from maas.layers.layer import Layer
from maas.layers.recurrent.cells import Cell


class RNN(Layer):
    """Runs `cell` step by step over sequences of shape (batch, time, ...).

    Args:
        cell: object with `state_size` and `call(inputs, states) -> (output, states)`.
        return_sequences: bool, return the output of every step.
        return_state: bool, return the last states too.
        go_backwards: bool, start at the last step; outputs come in the order they were made.
        stateful: bool, start each batch from the states the last one ended with (the batch size must be fixed).
        unroll: bool, accepted; the loop is always unrolled where no fused kernel serves it.
        zero_output_for_mask: bool, outputs of masked steps are 0 in place of the last real output.

    Raises:
        ValueError: for a wrong cell or input.
        NotImplementedError: if the number of steps is unknown and no fused kernel serves the cell.
    """

    def __init__(
        self,
        cell,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        zero_output_for_mask=False,
        **kwargs,
    ):
        kwargs.pop("time_major", None)
        super().__init__(**kwargs)
        if not callable(getattr(cell, "call", None)) or not hasattr(cell, "state_size"):
            raise ValueError(f"{self._label()}: `cell` must have `call` and `state_size`, received {cell!r}")
        self.cell = cell
        self.return_sequences, self.return_state, self.go_backwards = return_sequences, return_state, go_backwards
        self.stateful, self.unroll, self.zero_output_for_mask = stateful, unroll, zero_output_for_mask
        size = cell.state_size
        self.state_size = list(size) if isinstance(size, (list, tuple)) else [size]
        self.supports_masking = True
        object.__setattr__(self, "states", None)  # variables that are saved nowhere, as in Keras

    def build(self, sequences_shape, initial_state_shape=None):
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
        if self.stateful and self.states is None:
            if sequences_shape[0] is None:
                raise ValueError(
                    f"{self._label()}: stateful=True needs a fixed batch size, received {tuple(sequences_shape)}"
                )
            import numpy as np

            states = [
                Variable(
                    np.zeros((sequences_shape[0], s), self.variable_dtype),
                    dtype=self.variable_dtype,
                    trainable=False,
                    name="rnn_state",
                )
                for s in self.state_size
            ]
            object.__setattr__(self, "states", states)

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        batch, steps = sequences_shape[0], sequences_shape[1]
        size = getattr(self.cell, "output_size", None) or self.state_size[0]
        out = (batch, steps, size) if self.return_sequences else (batch, size)
        return (out, *((batch, s) for s in self.state_size)) if self.return_state else out

    def compute_mask(self, sequences, mask=None):
        mask = tree.flatten(mask)[0]
        out = mask if self.return_sequences else None
        return [out, *(None for _ in self.state_size)] if self.return_state else out

    def get_initial_state(self, batch_size):
        from maas import ops

        if hasattr(self.cell, "get_initial_state"):
            state = self.cell.get_initial_state(batch_size=batch_size)
            return list(state) if isinstance(state, (list, tuple)) else [state]
        return [ops.zeros((batch_size, s), dtype=self.compute_dtype) for s in self.state_size]

    def reset_state(self):
        """Set the states of a stateful layer to 0."""
        from maas import ops

        for v in self.states or ():
            v.assign(ops.zeros(v.shape, dtype=v.dtype))

    reset_states = reset_state

    def call(self, sequences, initial_state=None, mask=None, training=False):
        from maas import ops

        if initial_state is None:
            initial_state = self.states if self.stateful else self.get_initial_state(ops.shape(sequences)[0])
        states = list(initial_state) if isinstance(initial_state, (list, tuple)) else [initial_state]
        if len(states) != len(self.state_size):
            raise ValueError(
                f"{self._label()}: the cell has {len(self.state_size)} states, received {len(states)} initial states"
            )
        if isinstance(mask, (list, tuple)):
            mask = mask[0]
        if mask is not None:
            mask = ops.cast(mask, "bool")
        last, outputs, states = self.inner_loop(sequences, states, mask, bool(training))
        if self.stateful:
            for v, state in zip(self.states, states):
                v.assign(state)
        out = outputs if self.return_sequences else last
        return (out, *states) if self.return_state else out

    def inner_loop(self, sequences, states, mask, training):
        """The loop over time.

        Returns:
            `(last output, outputs of all steps or None, last states)`.
        """
        from maas import ops

        steps = sequences.shape[1]
        if steps is None:
            raise NotImplementedError(
                f"{self._label()}: a loop over an unknown number of steps does not exist yet for "
                f"{type(self.cell).__name__}; give `Input` a "
                f"fixed length, received {tuple(sequences.shape)}"
            )
        kwargs = self._cell_arguments(sequences, states, training)
        outputs, last = [], None
        for t in range(steps - 1, -1, -1) if self.go_backwards else range(steps):
            y, new = self.cell.call(sequences[:, t], states, **kwargs)
            new = list(new) if isinstance(new, (list, tuple)) else [new]
            if mask is not None:
                keep = ops.expand_dims(mask[:, t], -1)
                new = [ops.where(keep, n, s) for n, s in zip(new, states)]
                previous = ops.zeros_like(y) if last is None else last
                kept = ops.where(keep, y, previous)
                shown = ops.where(keep, y, ops.zeros_like(y)) if self.zero_output_for_mask else kept
                y = kept
            else:
                shown = y
            states, last = new, y
            outputs.append(shown)
        return last, (ops.stack(outputs, axis=1) if self.return_sequences else None), states

    def _cell_arguments(self, sequences, states, training):
        if not isinstance(self.cell, Layer):
            return {}
        from maas.layers.call_spec import call_signature

        names = call_signature(type(self.cell).call).parameters
        kwargs = {"training": training} if "training" in names else {}
        if isinstance(self.cell, Cell) and training:
            cell = self.cell
            # One draw for all steps.
            x = cell.input_mask(sequences[:, 0]) if cell.dropout else None
            h = cell.state_mask(states[0]) if cell.recurrent_dropout else None
            kwargs["dropout_masks"] = (x, h)
        return kwargs

    def _loop_config(self):
        names = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask")
        return {k: getattr(self, k) for k in names}

    def get_config(self):
        from maas.saving.serialization import serialize_keras_object

        return {**super().get_config(), **self._loop_config(), "cell": serialize_keras_object(self.cell)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        from maas.saving.serialization import deserialize_keras_object

        config = dict(config)
        return cls(deserialize_keras_object(config.pop("cell"), custom_objects=custom_objects), **config)
