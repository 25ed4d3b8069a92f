"""`RNN`: a cell run over the time axis."""

from maas import tree
from maas.backend.standardize import numpy_dtype
from maas.backend.variable import Variable
from maas.layers.layer import Layer
from maas.layers.recurrent.stacked import StackedRNNCells


class RNN(Layer):
    """Runs `cell` step by step over sequences of shape (batch, time, ...).

    Args:
        cell: object with `state_size` and `call(inputs, states) -> (output, states)`, or a list of them, which become
            `StackedRNNCells`.
        return_sequences: bool, return the output of every step.
        return_state: bool, return the last states too.
        go_backwards: bool, start at the last step; outputs come in the order they were made.
        stateful: bool, start each batch from the states the last one ended with (the batch size must be fixed).
        unroll: bool; the number of steps must be known then. The loop is always unrolled where no fused kernel serves
            it.
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
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
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

            def variable(shape):
                zeros = np.zeros(shape, numpy_dtype(self.variable_dtype))
                return Variable(zeros, dtype=self.variable_dtype, trainable=False, name="rnn_state")

            shapes = self._state_shapes(sequences_shape)
            object.__setattr__(self, "states", tree.map_shape_structure(variable, shapes))

    def _state_shapes(self, sequences_shape):
        """Shapes of the states, nested as they are."""
        batch = sequences_shape[0]
        return [[(batch, n) for n in s] if isinstance(s, (list, tuple)) else (batch, s) for s in self.state_size]

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        batch, steps = sequences_shape[0], sequences_shape[1]
        size = getattr(self.cell, "output_size", None)
        size = self.state_size[0] if size is None else size
        if not isinstance(size, int):
            raise ValueError(f"{self._label()}: `output_size` of the cell must be an int, received {size!r}")
        out = (batch, steps, size) if self.return_sequences else (batch, size)
        return (out, *self._state_shapes(sequences_shape)) if self.return_state else out

    def compute_mask(self, sequences, mask=None):
        mask = tree.flatten(mask)[0]
        out = mask if self.return_sequences else None
        return [out, *(None for _ in self.state_size)] if self.return_state else out

    def get_initial_state(self, batch_size):
        from maas import ops

        if hasattr(self.cell, "get_initial_state"):
            state = self.cell.get_initial_state(batch_size=batch_size)
            return list(state) if isinstance(state, (list, tuple)) else [state]
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        return [ops.zeros((batch_size, s), dtype=dtype) for s in self.state_size]

    def reset_state(self):
        """Set the states of a stateful layer to 0."""
        from maas import ops

        for v in tree.flatten(self.states) if self.states else ():
            v.assign(ops.zeros(v.shape, dtype=v.dtype))

    reset_states = reset_state

    def _first_states(self, sequences, given):
        from maas import ops

        if given is None:
            given = self.states if self.stateful else self.get_initial_state(ops.shape(sequences)[0])
        states = list(given) if isinstance(given, (list, tuple)) else [given]
        if len(states) != len(self.state_size):
            raise ValueError(
                f"{self._label()}: the cell has {len(self.state_size)} states, received {len(states)} initial states"
            )
        batch = sequences.shape[0]
        if self.stateful and self.states and batch is not None:
            wanted = tree.flatten(self.states)[0].shape[0]
            if batch != wanted:
                raise ValueError(
                    f"{self._label()}: a stateful layer keeps {wanted} rows of state, received a batch of {batch}"
                )
        if self.stateful and batch is None:
            # Of a size that is known when the program runs; rows that are not there are then an IndexError.
            rows = ops.arange(ops.shape(sequences)[0])
            states = tree.map_structure(lambda x: ops.take(x, rows, axis=0), states)
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        return tree.map_structure(lambda x: ops.cast(x, dtype), states)

    def call(self, sequences, initial_state=None, mask=None, training=False):
        from maas import ops

        if self.unroll and sequences.shape[1] is None:
            raise ValueError(
                f"{self._label()}: unroll=True needs a known number of steps, received {tuple(sequences.shape)}"
            )
        states = self._first_states(sequences, initial_state)
        if isinstance(mask, (list, tuple)):
            mask = mask[0]
        if mask is not None:
            mask = ops.cast(mask, "bool")
        last, outputs, states = self.inner_loop(sequences, states, mask, bool(training))
        if self.stateful:
            for v, state in zip(tree.flatten(self.states), tree.flatten(states)):
                known = state.shape[0] is not None
                v.assign(state if known else ops.take(state, ops.arange(v.shape[0]), axis=0))
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
            if mask is None:
                shown = y
            else:
                seen = mask[:, t]
                if last is None:
                    # Keras: before any step the output is the first state, of stacked cells the last one's.
                    old = states[-1] if isinstance(self.cell, StackedRNNCells) else states[0]
                    old = old[0] if tree.is_nested(old) else old
                    last = ops.zeros_like(y) if self.unroll else old
                previous = last
                y = _where(seen, y, previous)
                new = tree.map_structure(lambda n, s, seen=seen: _where(seen, n, s), new, states)
                shown = _where(seen, y, ops.zeros_like(y)) if self.zero_output_for_mask else y
            states, last = new, y
            outputs.append(shown)
        return shown, (ops.stack(outputs, axis=1) if self.return_sequences else None), states

    def _cell_arguments(self, sequences, states, training):
        if not isinstance(self.cell, Layer):
            return {}
        from maas.layers.call_spec import call_signature

        names = call_signature(type(self.cell).call).parameters
        kwargs = {"training": training} if "training" in names else {}
        if training and hasattr(self.cell, "dropout_masks"):
            kwargs["dropout_masks"] = self.cell.dropout_masks(sequences[:, 0], states)  # one draw for all steps
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


def _where(seen, x, y):
    """Rows of `x` where `seen` (batch,), else of `y`."""
    from maas import ops

    return ops.where(ops.reshape(seen, (-1, *[1] * (len(x.shape) - 1))), x, y)
