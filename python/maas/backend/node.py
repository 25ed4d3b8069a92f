"""A node is one call of an operation on KerasTensors; nodes and their tensors form the graph of a functional model."""

import weakref
from collections import namedtuple

from maas import tree
from maas.backend.keras_tensor import KerasTensor

# Which call made a tensor: `operation._inbound_nodes[node_index].outputs[tensor_index]`.
KerasHistory = namedtuple("KerasHistory", ["operation", "node_index", "tensor_index"])


class SymbolicArguments:
    """The arguments of a call, with the KerasTensors among them listed in order."""

    def __init__(self, args, kwargs):
        self.args = tree.map_structure(lambda x: x, tuple(args))
        self.kwargs = tree.map_structure(lambda x: x, dict(kwargs))
        self.keras_tensors = [x for x in tree.flatten((self.args, self.kwargs)) if isinstance(x, KerasTensor)]
        single = len(self.args) == 1 and not self.kwargs and isinstance(self.args[0], KerasTensor)
        self._single = self.args[0] if single else None

    def fill_in(self, values):
        """The arguments with every KerasTensor replaced by `values[id(tensor)]`."""
        if self._single is not None:
            return (values[id(self._single)],), {}

        def swap(x):
            return values.get(id(x)) if isinstance(x, KerasTensor) else x

        return tree.map_structure(swap, self.args), tree.map_structure(swap, self.kwargs)


class Node:
    """One call `operation(*args, **kwargs) -> outputs`; wires itself to the operations before and after it.

    A tensor holds its operation, an operation its nodes, a node its input tensors: references point towards the inputs
        only. Outputs and the
    operation are held weakly, so that a dropped model is freed at once, without waiting for the cycle collector.
    """

    def __init__(self, operation, call_args=(), call_kwargs=None, outputs=None):
        self._operation = weakref.ref(operation)
        self.arguments = SymbolicArguments(call_args, call_kwargs or {})
        outputs = [] if outputs is None else tree.flatten(outputs)
        for x in outputs:
            if not isinstance(x, KerasTensor):
                raise ValueError(f"'{operation.name}': all outputs of a symbolic call must be tensors, received {x!r}")
        for x in self.arguments.keras_tensors:
            if not hasattr(x, "_keras_history"):
                x._keras_history = KerasHistory(None, 0, 0)
        operation._inbound_nodes.append(self)
        for x in self.arguments.keras_tensors:
            before = x._keras_history.operation
            if before is not None:
                before._outbound_nodes.add(self)
        self._index = len(operation._inbound_nodes) - 1
        self._outputs = [(weakref.ref(x), x.shape, x.dtype, x.name) for x in outputs]
        for i, x in enumerate(outputs):
            x._keras_history = KerasHistory(operation, self._index, i)
        self.is_input = not self.arguments.keras_tensors

    @property
    def operation(self):
        return self._operation()

    @property
    def input_tensors(self):
        return self.arguments.keras_tensors

    @property
    def outputs(self):
        """The output tensors; one that nobody held any more is made again."""
        found = []
        for i, (ref, shape, dtype, name) in enumerate(self._outputs):
            x = ref()
            if x is None:
                x = KerasTensor(shape, dtype=dtype, name=name)
                x._keras_history = KerasHistory(self.operation, self._index, i)
                self._outputs[i] = (weakref.ref(x), shape, dtype, name)
            found.append(x)
        return found

    output_tensors = outputs

    def live_outputs(self):
        """The output tensors that somebody holds, None for the others."""
        return [ref() for ref, *_ in self._outputs]

    def input_tensors_struct(self):
        """The one input tensor, or the list of them."""
        tensors = self.outputs if self.is_input else self.input_tensors
        return tensors[0] if len(tensors) == 1 else tensors

    @property
    def parent_nodes(self):
        """The nodes whose outputs this node reads."""
        found = []
        for x in self.arguments.keras_tensors:
            op, index, _ = x._keras_history
            if op is not None:
                found.append(op._inbound_nodes[index])
        return found

    def __repr__(self):
        return f"<Node operation={self.operation.name}>"


def is_keras_tensor(x):
    """True for a tensor that came out of `Input` or of a symbolic call."""
    return hasattr(x, "_keras_history")
