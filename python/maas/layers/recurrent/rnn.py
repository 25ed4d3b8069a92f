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
        unroll: bool; the number of steps must be known then. Where no fused kernel serves the cell, a loop over a known
            number of steps without a mask is always unrolled; one with a mask ends with the longest sequence.
        zero_output_for_mask: bool, outputs of masked steps are 0 in place of the last real output.

    Raises:
        ValueError: for a wrong cell or input.
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
        if self.unroll or (mask is None and sequences.shape[1] is not None):
            return self._unrolled(sequences, states, mask, training)
        from maas import _core

        count = None if mask is None else _longest(mask)
        if not _core.is_tracing() or _core.has_values():
            return self._unrolled(sequences, states, mask, training, None if count is None else int(count))
        return self._scanned(sequences, states, mask, training, count)

    def _step(self, x, seen, states, last, kwargs):
        """One step: `(output that is shown, output that an unrolled loop goes on with, next states)`."""
        from maas import ops

        y, new = self.cell.call(x, states, **kwargs)
        new = tree.pack_sequence_as(states, tree.flatten(new))
        if seen is None:
            return y, y, new
        kept = _where(seen, y, last if self.unroll else self._output_before(states))
        new = tree.map_structure(lambda n, s: _where(seen, n, s), new, states)
        return (_where(seen, y, ops.zeros_like(y)) if self.zero_output_for_mask else kept), kept, new

    def _output_before(self, states):
        """Keras: the output of a masked step is the first state, of stacked cells the last one's."""
        old = states[-1] if isinstance(self.cell, StackedRNNCells) else states[0]
        return old[0] if tree.is_nested(old) else old

    def _unseen(self, states):
        """What steps show that no row sees."""
        from maas import ops

        old = self._output_before(states)
        return ops.zeros_like(old) if self.zero_output_for_mask else old

    def _unrolled(self, sequences, states, mask, training, count=None):
        from maas import ops

        steps = sequences.shape[1]
        count = steps if count is None else count
        kwargs = self._cell_arguments(sequences, states, training)
        last = None if mask is None else ops.zeros_like(self._output_before(states))
        outputs = [self._unseen(states)] * (steps - count) if self.go_backwards else []
        for t in range(count - 1, -1, -1) if self.go_backwards else range(count):
            seen = None if mask is None else mask[:, t]
            shown, last, states = self._step(sequences[:, t], seen, states, last, kwargs)
            outputs.append(shown)
        if not self.go_backwards:
            outputs += [self._unseen(states)] * (steps - count)  # nothing changes behind the longest sequence
        return outputs[-1], (ops.stack(outputs, axis=1) if self.return_sequences else None), states

    def _scanned(self, sequences, states, mask, training, count):
        """As a loop of the program, which ends with the longest sequence: one serves every number of steps."""
        from maas import ops
        from maas.ops.control import counted_scan

        before, shown = self._unseen(states), self._output_before(states)
        size = getattr(self.cell, "output_size", None)
        if isinstance(size, int) and size != shown.shape[-1]:
            shown = ops.zeros((*ops.shape(shown)[:-1], size), dtype=shown.dtype)
        kwargs = self._cell_arguments(sequences, states, training)

        def turn(carry, x):
            y, _, new = self._step(*x, carry[0], None, kwargs)
            return [[new, y], y if self.return_sequences else None]

        xs = [ops.swapaxes(sequences, 0, 1), None if mask is None else ops.transpose(mask)]
        (states, shown), outputs = counted_scan(turn, [states, shown], xs, count, self.go_backwards)
        if mask is not None:
            shown = _where(mask[:, 0 if self.go_backwards else -1], shown, self._unseen(states))
        if not self.return_sequences:
            return shown, None, states
        if mask is not None:
            reached = ops.less(ops.arange(ops.shape(sequences)[1]), count)
            outputs = _where(reached, outputs, before if self.go_backwards else self._unseen(states))
        outputs = ops.flip(outputs, axis=0) if self.go_backwards else outputs
        return shown, ops.swapaxes(outputs, 0, 1), states

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


def _longest(mask):
    """Steps up to the last one that any row of the mask (batch, time) holds, a scalar int32."""
    from maas import ops

    steps = ops.arange(1, ops.shape(mask)[1] + 1)
    return ops.max(ops.where(ops.any(mask, axis=0), steps, ops.zeros_like(steps)), initial=0)


def _where(seen, x, y):
    """Rows of `x` where `seen` (batch,), else of `y`."""
    from maas import ops

    return ops.where(ops.reshape(seen, (-1, *[1] * (len(x.shape) - 1))), x, y)
