"""`Functional`: a model given by the graph between input and output KerasTensors."""

import warnings

from maas import tree
from maas.backend import graph_map
from maas.backend.keras_tensor import KerasTensor
from maas.backend.masks import get_keras_mask, set_keras_mask
from maas.backend.node import Node
from maas.layers.core.input_layer import Input, InputLayer
from maas.layers.input_spec import InputSpec
from maas.layers.layer import Layer
from maas.models.model import Model, _functional_like
from maas.models.trainer import Trainer


class Functional(Model):
    """Model from `inputs` to `outputs`.

    Args:
        inputs: KerasTensor or a list, tuple or dict of them, from `Input` or from the middle of another graph.
        outputs: KerasTensor or a nest of them, computed from `inputs`.
        name: str.
        trainable: bool.

    Raises:
        ValueError: if something is not a KerasTensor, the graph is not connected, or two layers share a name.
    """

    def __init__(self, inputs, outputs, name=None, **kwargs):
        trainable = kwargs.pop("trainable", None)
        Layer.__init__(self, name=name, **kwargs)
        Trainer.__init__(self)
        for what, structure in (("inputs", inputs), ("outputs", outputs)):
            flat = tree.flatten(structure)
            if not flat:
                raise ValueError(f"{self._label()}: `{what}` must not be empty, received {structure}")
            for x in flat:
                if not isinstance(x, KerasTensor):
                    raise ValueError(
                        f"{self._label()}: all `{what}` must be KerasTensors (made by Input and layers), received {x!r}"
                    )
        if isinstance(inputs, dict):
            for key, x in inputs.items():
                if isinstance(x, KerasTensor) and key != x.name:
                    warnings.warn(
                        f"{self._label()}: keys of dict inputs should be the names of the tensors, received key "
                        f"'{key}' for '{x.name}'",
                        stacklevel=2,
                    )
        if not all(_is_graph_input(x) for x in tree.flatten(inputs)):
            inputs, outputs = clone_graph(inputs, outputs)
        # Kept past the tracker: the layers in the graph are tracked below, in the graph's order.
        put = object.__setattr__
        put(self, "_inputs_struct", tree.map_structure(lambda x: x, inputs))
        put(self, "_outputs_struct", tree.map_structure(lambda x: x, outputs))
        put(self, "_inputs", tree.flatten(inputs))
        put(self, "_outputs", tree.flatten(outputs))
        keys, nodes_by_depth, operations, by_depth = graph_map.map_graph(self._inputs, self._outputs)
        put(self, "_nodes", keys)
        put(self, "_nodes_by_depth", nodes_by_depth)
        put(self, "_operations", operations)
        put(self, "_operations_by_depth", by_depth)
        put(
            self,
            "_run_order",
            [n for d in sorted(nodes_by_depth, reverse=True) for n in nodes_by_depth[d] if not n.is_input],
        )
        if trainable is not None:
            self.trainable = trainable
        for layer in self.layers:
            self._tracker.track(layer)
        self.built = True
        self._build_shapes_dict = {"input_shape": None}
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        put(self, "output_names", [x._keras_history.operation.name for x in self._outputs])
        put(self, "input_names", [x._keras_history.operation.name for x in self._inputs])

    @property
    def layers(self):
        """All layers of the graph, inputs first."""
        return [op for op in self._operations if isinstance(op, Layer)]

    @layers.setter
    def layers(self, _):
        raise AttributeError(f"{self._label()}: `layers` is reserved, use another name for the attribute")

    @property
    def operations(self):
        return list(self._operations)

    @property
    def inputs(self):
        """Flat list of the symbolic inputs."""
        return self._inputs

    @property
    def outputs(self):
        """Flat list of the symbolic outputs."""
        return self._outputs

    @property
    def input(self):
        return self._inputs_struct

    @property
    def output(self):
        return self._outputs_struct

    @property
    def input_shape(self):
        return _single([x.shape for x in self._inputs])

    @property
    def output_shape(self):
        return _single([x.shape for x in self._outputs])

    def build(self, input_shape=None):
        self.built = True

    def call(self, inputs, training=None, mask=None, **kwargs):
        flat = self._standardize_inputs(inputs)
        if mask is not None:
            for x, m in zip(flat, tree.flatten(mask)):
                if m is not None:
                    set_keras_mask(x, m)

        def run(operation, args, call_kwargs):
            names = getattr(operation, "_call_context_args", ())
            for key, value in {"training": training, **kwargs}.items():
                if value is not None and key in names:
                    call_kwargs = {**call_kwargs, key: value}
            return operation(*args, **call_kwargs)

        outputs = self._run_through_graph(flat, run)
        return outputs[0] if isinstance(outputs, (list, tuple)) and len(outputs) == 1 else outputs

    def _run_through_graph(self, flat_inputs, run):
        """Run every node in order.

        Args:
            flat_inputs: list of values, one per input.
            run: callable `(operation, args, kwargs) -> outputs`.
        """
        values = {id(x): v for x, v in zip(self._inputs, flat_inputs)}
        for node in self._run_order:
            if any(id(x) not in values for x in node.input_tensors):
                continue
            args, kwargs = node.arguments.fill_in(values)
            for x, y in zip(node.live_outputs(), tree.flatten(run(node.operation, args, kwargs))):
                if x is not None:
                    values[id(x)] = y
        for (path, _), x in zip(tree.flatten_with_path(self._outputs_struct), self._outputs):
            if id(x) not in values:
                where = ".".join(map(str, path))
                raise ValueError(f"{self._label()}: output '{where}' is not connected to the inputs, received {x}")
        return tree.pack_sequence_as(self._outputs_struct, [values[id(x)] for x in self._outputs])

    def compute_output_spec(self, inputs, training=None, mask=None):
        flat = self._match_structure(inputs)
        if all(x.shape == ref.shape for x, ref in zip(flat, self._inputs)):
            spec = tree.map_structure(lambda x: KerasTensor(x.shape, dtype=x.dtype), self._outputs_struct)
        else:
            spec = self._run_through_graph(flat, lambda op, args, kwargs: op.compute_output_spec(*args, **kwargs))
        return spec[0] if isinstance(spec, (list, tuple)) and len(spec) == 1 else spec

    def compute_output_shape(self, input_shape):
        inputs = tree.map_shape_structure(lambda s: KerasTensor(s), input_shape)
        flat = [KerasTensor(x.shape, dtype=ref.dtype) for x, ref in zip(tree.flatten(inputs), self._inputs)]
        spec = self.compute_output_spec(tree.pack_sequence_as(inputs, flat))
        return tree.map_structure(lambda x: x.shape, spec)

    # ---- inputs

    def _match_structure(self, inputs):
        """Inputs as a flat list in the order of the model's inputs; a dict may be given by the inputs' names.

        Raises:
            ValueError: if inputs are missing or the structure differs.
        """
        expected = self._inputs_struct
        if isinstance(inputs, dict) and not isinstance(expected, dict):
            names = [x.name for x in self._inputs]
            missing = [n for n in names if n not in inputs]
            if missing:
                raise ValueError(f"{self._label()}: expected inputs named {names}, received the keys {list(inputs)}")
            return [inputs[n] for n in names]
        if isinstance(expected, dict) and isinstance(inputs, dict):
            missing = [k for k in expected if k not in inputs]
            if missing:
                raise ValueError(
                    f"{self._label()}: missing data for input {missing[0]!r}; expected {list(expected)}, received "
                    f"{list(inputs)}"
                )
            inputs = {k: inputs[k] for k in expected}
        flat = tree.flatten(inputs)
        if isinstance(expected, dict) and isinstance(inputs, (list, tuple)) and list(expected) != sorted(expected):
            # A list is matched to the dict's own order, which flattening by sorted keys would change.
            raise ValueError(
                f"{self._label()}: pass inputs as a dict with the keys {list(expected)}, received a "
                f"{type(inputs).__name__}"
            )
        if len(flat) != len(self._inputs):
            names = [x.name for x in self._inputs]
            raise ValueError(f"{self._label()}: expected {len(names)} inputs {names}, received {len(flat)}")
        return flat

    def _standardize_inputs(self, inputs):
        from maas import ops

        flat = self._match_structure(inputs)
        out = []
        for x, ref in zip(flat, self._inputs):
            if x is None:
                self._check_optional(ref)
                out.append(None)
                continue
            y = x
            if not ops.is_tensor(x):
                y = ops.convert_to_tensor(x, dtype=ref.dtype)
            elif x.dtype != ref.dtype:
                y = ops.cast(x, ref.dtype)
            y = self._adjust_rank(y, ref)
            if y is not x and get_keras_mask(x) is not None:
                set_keras_mask(y, get_keras_mask(x))
            out.append(y)
        return out

    def _check_optional(self, ref):
        layer = ref._keras_history.operation
        if isinstance(layer, InputLayer) and not layer.optional:
            raise ValueError(f"{self._label()}: input '{ref.name}' is not optional, received None")

    def _adjust_rank(self, x, ref):
        """A last axis of size 1 may be missing or added."""
        from maas import ops

        rank, wanted = len(x.shape), len(ref.shape)
        if rank == wanted:
            return x
        if rank == wanted + 1 and x.shape[-1] == 1:
            return ops.squeeze(x, axis=-1)
        if rank == wanted - 1 and ref.shape[-1] == 1:
            return ops.expand_dims(x, axis=-1)
        which = f"input '{ref.name}'" if len(self._inputs) > 1 else "the input"
        hint = "; a single sample needs a batch axis, x[None]" if rank == wanted - 1 else ""
        raise ValueError(f"{self._label()}: {which} must have shape {ref.shape}{hint}, received {tuple(x.shape)}")

    def _label(self):
        return self.__dict__.get("_shown_as") or super()._label()

    def _assert_input_compatibility(self, first):
        for x, ref in zip(tree.flatten(first), self._inputs):
            if x is None:
                self._check_optional(ref)
        super()._assert_input_compatibility(first)

    @property
    def input_spec(self):
        given = self.__dict__.get("_manual_input_spec")
        if given is not None:
            return given

        def spec(x, name=None):
            layer = x._keras_history.operation
            optional = isinstance(layer, InputLayer) and layer.optional
            return InputSpec(
                shape=(None, *x.shape[1:]), allow_last_axis_squeeze=True, name=name or layer.name, optional=optional
            )

        if isinstance(self._inputs_struct, dict):
            if not all(isinstance(x, KerasTensor) for x in self._inputs_struct.values()):
                return None
            return [spec(self._inputs_struct[k], k) for k in sorted(self._inputs_struct)]
        return [spec(x) for x in self._inputs]

    @input_spec.setter
    def input_spec(self, value):
        object.__setattr__(self, "_manual_input_spec", value)

    # ---- config

    def get_config(self):
        if not _functional_like(type(self)):
            return Model.get_config(self)
        from maas.models.functional_config import functional_config

        return functional_config(self)


def _single(values):
    return values[0] if len(values) == 1 else values


def _is_graph_input(x):
    operation, index, _ = x._keras_history
    return operation is not None and operation._inbound_nodes[index].is_input


def clone_graph(inputs, outputs):
    """Copy of the nodes between intermediate tensors, so that a model can start in the middle of a graph. Layers are
    shared.

    Returns:
        `(inputs, outputs)` of the copy; every intermediate input becomes a new `Input`.
    """
    nodes, _ = graph_map.topological_nodes(inputs, outputs)
    copies, keep = {}, []
    for x in tree.flatten(inputs):
        copies[id(x)] = x if _is_graph_input(x) else Input(batch_shape=x.shape, dtype=x.dtype, name=f"{x.name}CLONE")

    def copy(x):
        return copies.get(id(x), x) if isinstance(x, KerasTensor) else x

    for node in nodes:
        if node.is_input:
            continue
        made = [KerasTensor(x.shape, dtype=x.dtype, name=f"{x.name}_clone") for x in node.outputs]
        keep.append(made)
        fresh = Node(
            node.operation,
            tree.map_structure(copy, node.arguments.args),
            tree.map_structure(copy, node.arguments.kwargs),
            made,
        )
        keep.append(fresh)
        for x, y in zip(node.outputs, made):
            keep.append(x)
            copies.setdefault(id(x), y)
    return tree.map_structure(copy, inputs), tree.map_structure(copy, outputs)
