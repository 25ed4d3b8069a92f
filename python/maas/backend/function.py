"""`Function`: the computation between KerasTensors as one operation, without layers' state."""

from maas import tree
from maas.backend import graph_map
from maas.backend.keras_tensor import KerasTensor
from maas.backend.node import KerasHistory
from maas.backend.operation import Operation
from maas.backend.shape_inference import compute_output_spec


class Function(Operation):
    """What leads from `inputs` to `outputs`, to be applied to new values.

    Args:
        inputs: KerasTensor, or a nest of them.
        outputs: KerasTensor, or a nest of them, computed from `inputs` alone.
        name: str.

    Raises:
        ValueError: if inputs or outputs are missing, are not KerasTensors, or are not connected.
    """

    def __init__(self, inputs, outputs, name=None):
        super().__init__(name=name)
        for what, structure in (("inputs", inputs), ("outputs", outputs)):
            flat = tree.flatten(structure)
            if not flat or not all(isinstance(x, KerasTensor) for x in flat):
                raise ValueError(f"Function '{self.name}': {what} must be KerasTensors, received {structure!r}")
            for x in flat:
                if not hasattr(x, "_keras_history"):
                    x._keras_history = KerasHistory(None, 0, 0)
        self._inputs_struct, self._outputs_struct = inputs, outputs
        self._inputs, self._outputs = tree.flatten(inputs), tree.flatten(outputs)
        _, self._nodes_by_depth, self._operations, _ = graph_map.map_graph(self._inputs, self._outputs)
        depths = sorted(self._nodes_by_depth, reverse=True)
        self._run_order = [n for d in depths for n in self._nodes_by_depth[d] if not n.is_input]
        # Held, so that nodes do not make their outputs anew.
        self._held = [n.outputs for n in self._run_order]
        reached = {id(x) for x in self._inputs}.union(*({id(x) for x in held} for held in self._held))
        for x in self._outputs:
            if id(x) not in reached:
                raise ValueError(f"Function '{self.name}': an output is not connected to the inputs, received {x!r}")

    @property
    def operations(self):
        """The operations, those nearest to the inputs first."""
        return list(self._operations)

    @property
    def inputs(self):
        """Flat list of the symbolic inputs."""
        return self._inputs

    @property
    def outputs(self):
        """Flat list of the symbolic outputs."""
        return self._outputs

    def call(self, inputs):
        flat = tree.flatten(inputs)
        self._check(inputs, flat)
        values = {id(x): v for x, v in zip(self._inputs, flat)}
        for node, outputs in zip(self._run_order, self._held):
            args, kwargs = node.arguments.fill_in(values)
            for x, y in zip(outputs, tree.flatten(node.operation(*args, **kwargs))):
                values[id(x)] = y
        return tree.pack_sequence_as(self._outputs_struct, [values[id(x)] for x in self._outputs])

    def compute_output_spec(self, inputs):
        """KerasTensors of the outputs for these inputs."""
        self._check(inputs, tree.flatten(inputs))
        return compute_output_spec(self.call, (inputs,), {})

    def compute_output_shape(self, input_shape):
        """Shapes of the outputs for shapes of the inputs."""
        shapes = tree.map_shape_structure(lambda s: KerasTensor(s), input_shape)
        like = iter(self._inputs)
        inputs = tree.map_structure(lambda x: KerasTensor(x.shape, dtype=next(like).dtype), shapes)
        return tree.map_structure(lambda x: x.shape, self.compute_output_spec(inputs))

    def _check(self, inputs, flat):
        try:
            tree.assert_same_structure(self._inputs_struct, inputs)
        except ValueError as e:
            raise ValueError(
                f"Function '{self.name}': inputs must be nested like {self._inputs_struct}, received {inputs!r}"
            ) from e
        for x, ref in zip(flat, self._inputs):
            shape = tuple(x.shape) if hasattr(x, "shape") else ()
            same = len(shape) == len(ref.shape)
            if not same or any(a != b for a, b in zip(ref.shape, shape) if a is not None and b is not None):
                raise ValueError(
                    f"Function '{self.name}': input '{ref.name}' must have shape {ref.shape}, received {shape}"
                )

    def get_config(self):
        raise NotImplementedError(f"Function '{self.name}' has no config; use a functional Model to save it")
