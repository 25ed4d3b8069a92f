"""Walking a graph: every node becomes ops of the trace that is being recorded, or a constant where all is known."""

import contextlib

import numpy as np

from maas import _core, ops
from maas.backend.known_sizes import NeedsKnownSizes
from maas.onnx import functions
from maas.onnx.registry import DOMAINS, find, known_ops


class NeedsValues(Exception):
    """A size or option follows from the values of these inputs of the model: they have to be known."""

    def __init__(self, names, message):
        super().__init__(message)
        self.names = frozenset(names)


def is_known(x):
    """Whether a value is there already, before the program runs."""
    return isinstance(x, _core.Tensor) and not x.is_symbolic


@contextlib.contextmanager
def _at_once():
    """Ops on known values run now."""
    _core.pause_traces()
    try:
        yield
    finally:
        _core.resume_traces()


class Scope:
    """Names and values while a graph is walked.

    Args:
        graph: `Graph`.
        values: dict of name to value of its inputs, and of what the caller wants said for others.
        outer: the scope around it, for the graphs in nodes.
        expands: dict of input to its name in `outer`, where the graph defines a node of `outer`.
    """

    def __init__(self, graph, values, outer=None, expands=None):
        self.graph, self.outer, self.expands = graph, outer, expands
        self.values = {**graph.constants, **values}

    def value(self, name):
        """The value of a name here or in a scope around."""
        scope = self
        while scope is not None:
            if name in scope.values:
                found = scope.values[name]
                return found.value if isinstance(found, _core.Variable) else found
            if scope.expands is not None:
                break
            scope = scope.outer
        raise ValueError(f"onnx: nothing makes '{name}'")

    def run(self):
        """Converts all nodes; returns the values of the outputs."""
        for node in self.graph.nodes:
            results = convert(node, self)
            for name, value in zip(node.outputs, results):
                if name:
                    self.values[name] = value
        return [self.value(o.name) for o in self.graph.outputs]

    def model_inputs(self, name):
        """Names of the inputs of the whole model that a value depends on; None where it depends on a body's input."""
        found, seen, todo = set(), set(), [(self, name)]
        while todo:
            scope, name = todo.pop()
            while scope is not None and name not in scope.graph.maker and name not in scope.values:
                scope = scope.outer
            if scope is None or (id(scope), name) in seen:
                continue
            seen.add((id(scope), name))
            if name in scope.graph.maker:
                todo += [(scope, n) for n in scope.graph.maker[name].reads()]
            elif scope.expands is not None and name in scope.expands:
                todo.append((scope.outer, scope.expands[name]))
            elif not is_known(scope.values[name]) and not isinstance(scope.values[name], _core.Variable):
                if scope.outer is not None:
                    return None
                found.add(name)
        return found


class Call:
    """One node as its conversion sees it.

    Attributes:
        op, label, opset: of the node.
        values: the values of its inputs.
        count: int, how many outputs it has.
    """

    def __init__(self, node, scope, values):
        self.node, self.scope, self.values = node, scope, values
        self.op, self.label, self.opset, self.count = node.op, node.label, node.opset, len(node.outputs)

    def attr(self, name, default=None):
        """An attribute, or the default."""
        return self.node.attributes.get(name, default)

    def need(self, name):
        """An attribute that must be there."""
        if name not in self.node.attributes:
            raise ValueError(f"onnx: {self.label}: attribute '{name}' is missing")
        return self.node.attributes[name]

    def wants(self, output):
        """Whether this output has a name."""
        return output < self.count and bool(self.node.outputs[output])

    def given(self, index):
        """The value of input `index`, None where there is none."""
        return self.values[index] if index < len(self.values) else None

    def known(self, index, what):
        """NumPy array of an input that has to be known before the program runs.

        Raises:
            NeedsValues: where it follows from inputs of the model.
        """
        x = self.given(index)
        if is_known(x):
            return x.numpy()
        if getattr(x, "size_values", None) is not None and all(isinstance(v, int) for v in x.size_values):
            values = np.array(x.size_values, x.dtype)
            return values.reshape(x.shape) if x.ndim == 0 else values
        name = self.node.inputs[index]
        message = f"onnx: {self.label}: {what} ('{name}') must be known or follow from sizes"
        names = self.scope.model_inputs(name)
        if not names:
            raise ValueError(f"{message}, received a value that a loop or the data makes")
        raise NeedsValues(names, f"{message}, it depends on the values of {sorted(names)}")

    def sizes(self, index, what):
        """A list of sizes (ints and Dims) that an input holds."""
        x = self.given(index)
        if getattr(x, "is_symbolic", False) and x.size_values is not None:
            return list(x.size_values)
        return [int(v) for v in self.known(index, what).reshape(-1)]

    def body(self, name, values):
        """A scope to run the graph of attribute `name` in."""
        graph = self.need(name)
        return Scope(graph, dict(zip([i.name for i in graph.inputs], values)), self.scope)


_ERRORS = (ValueError, TypeError, NotImplementedError, MemoryError, IndexError)  # what a node's error may be


def convert(node, scope):
    """The values of a node's outputs, a tuple."""
    values = [scope.value(n) if n else None for n in node.inputs]
    while values and values[-1] is None:
        values.pop()
    function = find(node.domain, node.op, node.opset)
    call = Call(node, scope, values)
    known = not node.graphs and values and all(v is None or is_known(v) for v in values)
    try:
        if function is None:
            expansion = functions.expand(node, values)
            if expansion is None:
                _unknown(node)
            return _expanded(node, scope, values, *expansion)
        with _at_once() if known else contextlib.nullcontext():
            results = function(call, *values)
    except NeedsValues:
        raise
    except NeedsKnownSizes:
        raise
    except _ERRORS as e:
        if str(e).startswith("onnx: "):
            raise
        # Not its own type, which may not take a text alone.
        kind = next(k for k in _ERRORS if isinstance(e, k))
        raise kind(f"onnx: {node.label}: {e}") from e
    except (KeyError, AttributeError, ZeroDivisionError, RuntimeError, OverflowError) as e:
        raise ValueError(f"onnx: {node.label}: {e}") from e
    results = results if isinstance(results, tuple) else (results,)
    return tuple(r if r is None or isinstance(r, (_core.Tensor, list)) else ops.convert_to_tensor(r) for r in results)


def _expanded(node, scope, values, graph, inputs, outputs):
    """The results of a node by its definition."""
    pairs = [(i, n, v) for i, (n, v) in enumerate(zip(inputs, values)) if n]
    inner = Scope(graph, {n: v for _, n, v in pairs}, scope, {n: node.inputs[i] for i, n, _ in pairs})
    inner.run()
    return tuple(inner.values.get(n) if name else None for n, name in zip(outputs, node.outputs))


def _unknown(node):
    if node.domain not in DOMAINS:
        raise NotImplementedError(
            f"onnx: {node.label}: ops of the domains {sorted(DOMAINS)} can be read, received domain {node.domain!r}"
        )
    if node.opset > DOMAINS[node.domain]:
        raise NotImplementedError(
            f"onnx: {node.label}: opsets up to {DOMAINS[node.domain]} of domain {node.domain!r} can be read, "
            f"received opset {node.opset}"
        )
    raise NotImplementedError(
        f"onnx: {node.label}: no such op in domain {node.domain!r}, opset {node.opset}; "
        f"there are {', '.join(known_ops(node.domain))}; received {node.op!r}"
    )
