"""The config of a functional model: layers, and for each of their calls the arguments, in the format of Keras 3
files.
"""

import copy

from maas import tree
from maas.backend.graph_map import make_node_key
from maas.backend.keras_tensor import KerasTensor
from maas.backend.operation import Operation


def functional_config(model):
    """`{"name", "trainable", "layers", "input_layers", "output_layers"}`."""
    from maas.models.functional import Functional
    from maas.saving.serialization import serialize_keras_object

    # Calls of a layer outside this model do not count: `index` numbers those inside it.
    index = {}
    for op in model._operations:
        kept = 0
        for i in range(len(op._inbound_nodes)):
            key = make_node_key(op, i)
            if key in model._nodes:
                index[key] = kept
                kept += 1

    def history(x):
        op, node_index, tensor_index = x._keras_history
        return [op.name, index[make_node_key(op, node_index)], tensor_index]

    def end(x):
        # For the model's inputs and outputs, and only there, Keras counts one node more for nested functional models.
        name, node_index, tensor_index = history(x)
        return [name, node_index + isinstance(x._keras_history.operation, Functional), tensor_index]

    def serialize_argument(x):
        if isinstance(x, KerasTensor):
            config = {"shape": list(x.shape), "dtype": x.dtype, "keras_history": history(x)}
            return {"class_name": "__keras_tensor__", "config": config}
        return serialize_keras_object(x)

    layers = []
    for op in model._operations:
        nodes = []
        for i, node in enumerate(op._inbound_nodes):
            if make_node_key(op, i) in model._nodes and not node.is_input:
                args = [tree.map_structure(serialize_argument, a) for a in node.arguments.args]
                kwargs = {k: tree.map_structure(serialize_argument, v) for k, v in node.arguments.kwargs.items()}
                nodes.append({"args": args, "kwargs": kwargs})
        layers.append({**serialize_keras_object(op), "name": op.name, "inbound_nodes": nodes})
    return copy.deepcopy({
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": tree.map_structure(end, model._inputs_struct),
        "output_layers": tree.map_structure(end, model._outputs_struct),
    })  # fmt: skip


def functional_from_config(cls, config, custom_objects=None):
    """Functional model from its config.

    Raises:
        ValueError: if a layer is missing, is no layer, or the graph has a loop.
    """
    from maas.models.functional import Functional
    from maas.saving.serialization import deserialize_keras_object

    config = dict(config)
    datas = config.pop("layers")
    inputs, outputs = config.pop("input_layers"), config.pop("output_layers")
    name, trainable = config.pop("name", None), config.pop("trainable", None)

    created, waiting, alive = {}, {}, {}
    for data in datas:
        layer = deserialize_keras_object(data, custom_objects=custom_objects)
        if not isinstance(layer, Operation):
            raise ValueError(
                f"functional config: '{data.get('name')}' must describe a layer, received {type(layer).__name__}"
            )
        created[data["name"]] = layer
        waiting[data["name"]] = list(data["inbound_nodes"])

    def tensor(history):
        layer_name, node_index, tensor_index = history[:3]
        if layer_name not in created:
            raise ValueError(f"functional config: no layer of this name, received {layer_name!r}")
        layer = created[layer_name]
        nodes = layer._inbound_nodes
        if not 0 <= node_index < len(nodes):
            raise IndexError(layer_name)
        return nodes[node_index].outputs[tensor_index]

    # A node can be made once the nodes it reads exist; layers may be called at several depths, so go round until all
    # are made.
    while waiting:
        progress = False
        for layer_name in list(waiting):
            nodes = waiting[layer_name]
            while nodes:
                try:
                    args, kwargs = _node_arguments(nodes[0], tensor)
                except IndexError:
                    break
                made = created[layer_name](*args, **kwargs)
                # Tensors are held weakly by their nodes; hold them until the model exists.
                alive[layer_name, len(nodes)] = made
                nodes.pop(0)
                progress = True
            if not nodes:
                del waiting[layer_name]
                progress = True
        if not progress:
            raise ValueError(
                f"functional config: the graph has a loop or loose ends at layers, received {sorted(waiting)}"
            )

    def find(structure):
        if isinstance(structure, (list, tuple)) and len(structure) == 3 and isinstance(structure[0], str):
            name, node_index, tensor_index = structure
            return tensor([name, node_index - isinstance(created.get(name), Functional), tensor_index])
        if isinstance(structure, dict):
            return {k: find(v) for k, v in structure.items()}
        return type(structure)(find(v) for v in structure)

    return cls(inputs=find(inputs), outputs=find(outputs), name=name, trainable=trainable, **config)


def _node_arguments(data, tensor):
    """`(args, kwargs)` of one saved call, with its tensors looked up."""
    if isinstance(data, list):  # Keras 2: [[layer, node, tensor, kwargs], ...]
        found = [tensor(entry) for entry in data]
        kwargs = dict(data[0][3]) if data and len(data[0]) > 3 else {}
        return ([found[0]] if len(found) == 1 else [found]), kwargs

    def revive(x):
        if isinstance(x, dict):
            if x.get("class_name") == "__keras_tensor__":
                history = x["config"].get("keras_history")
                if history is None:
                    raise ValueError(f"functional config: a tensor without history, received {x}")
                return tensor(history)
            if "class_name" in x:
                from maas.saving.serialization import deserialize_keras_object

                return deserialize_keras_object(x)
            return {k: revive(v) for k, v in x.items()}
        return [revive(v) for v in x] if isinstance(x, list) else x

    return [revive(a) for a in data["args"]], {k: revive(v) for k, v in data["kwargs"].items()}
