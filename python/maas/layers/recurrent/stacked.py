"""`StackedRNNCells`: several cells that step as one."""

from maas.layers.call_spec import call_signature
from maas.layers.layer import Layer


class StackedRNNCells(Layer):
    """Cells one after the other: the output of one is the input of the next.

    Args:
        cells: list of cells, objects with `state_size` and `call(inputs, states) -> (output, states)`.

    Raises:
        ValueError: for a wrong cell.
    """

    def __init__(self, cells, **kwargs):
        super().__init__(**kwargs)
        for cell in cells:
            if not callable(getattr(cell, "call", None)) or not hasattr(cell, "state_size"):
                raise ValueError(f"{self._label()}: every cell needs `call` and `state_size`, received {cell!r}")
        self.cells = list(cells)

    @property
    def state_size(self):
        return [c.state_size for c in self.cells]

    @property
    def output_size(self):
        return _output_size(self.cells[-1])

    def get_initial_state(self, batch_size=None):
        from maas import ops

        states = []
        for cell in self.cells:
            if hasattr(cell, "get_initial_state"):
                state = cell.get_initial_state(batch_size=batch_size)
                one = isinstance(state, (list, tuple)) and not isinstance(cell.state_size, (list, tuple))
                states.append(state[0] if one else state)
            elif isinstance(cell.state_size, (list, tuple)):
                states.append([ops.zeros((batch_size, s), dtype=self.compute_dtype) for s in cell.state_size])
            else:
                states.append(ops.zeros((batch_size, cell.state_size), dtype=self.compute_dtype))
        return states

    def build(self, input_shape):
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(input_shape)
                cell.built = True
            input_shape = (input_shape[0], _output_size(cell))

    def dropout_masks(self, x, states):
        """Masks of every cell, for all steps."""
        from maas import ops

        masks = []
        for cell, state in zip(self.cells, states):
            masks.append(cell.dropout_masks(x, state) if hasattr(cell, "dropout_masks") else None)
            first = state[0] if isinstance(state, (list, tuple)) else state
            x = ops.zeros((ops.shape(first)[0], _output_size(cell)), dtype=self.compute_dtype)
        return masks

    def call(self, inputs, states, training=False, dropout_masks=None, **kwargs):
        new_states = []
        for cell, state, masks in zip(self.cells, states, dropout_masks or [None] * len(self.cells)):
            nested = isinstance(state, (list, tuple))
            given = dict(kwargs)
            if isinstance(cell, Layer):
                names = call_signature(type(cell).call).parameters
                if "training" in names:
                    given["training"] = training
                if masks is not None:
                    given["dropout_masks"] = masks
            inputs, new = cell.call(inputs, list(state) if nested else [state], **given)
            new = list(new) if isinstance(new, (list, tuple)) else [new]
            new_states.append(new if nested else new[0])
        return inputs, new_states

    def get_config(self):
        from maas.saving.serialization import serialize_keras_object

        return {**super().get_config(), "cells": [serialize_keras_object(c) for c in self.cells]}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        from maas.saving.serialization import deserialize_keras_object

        config = dict(config)
        cells = [deserialize_keras_object(c, custom_objects=custom_objects) for c in config.pop("cells")]
        return cls(cells, **config)


def _output_size(cell):
    size = getattr(cell, "output_size", None)
    if size is not None:
        return size
    return cell.state_size[0] if isinstance(cell.state_size, (list, tuple)) else cell.state_size
