"""A checked `GraphProto`: nodes in an order in which they can run, initialisers, inputs and outputs."""

from maas.onnx.dtypes import dtype_name
from maas.onnx.registry import find
from maas.onnx.tensors import Stored, tensor_value

_MAX_DEPTH = 32  # graphs in nodes of graphs
_MAX_NODES = 1_000_000


class Node:
    """One node: `op` of `domain` at version `opset`, its attributes, the names of its inputs and outputs.

    `text` is the serialised NodeProto of an op that only ONNX's definition may help with, None for all others: the
    protos of a model, which hold its weights, must not live on.
    """

    def __init__(self, proto, context, number, depth):
        self.op, self.domain = proto.op_type, "" if proto.domain == "ai.onnx" else proto.domain
        self.name = proto.name
        self.label = f"{self.op} '{proto.name or (proto.output[0] if proto.output else number)}'"
        self.opset = context.opset(self.domain, self.label)
        self.inputs, self.outputs = list(proto.input), list(proto.output)
        self.text = proto.SerializeToString() if find(self.domain, self.op, self.opset) is None else None
        self.attributes = {a.name: _attribute(a, self, context, depth) for a in proto.attribute}
        self.graphs = [v for v in self.attributes.values() if isinstance(v, Graph)]

    def reads(self):
        """Names that the node needs, those its graphs take from outside among them."""
        return [*(n for n in self.inputs if n), *(n for g in self.graphs for n in g.captures)]


def _attribute(a, node, context, depth):
    kind = a.type
    if kind in (1, 2):
        return a.f if kind == 1 else a.i
    if kind == 3:
        return a.s.decode("utf-8", "replace")
    if kind == 4:
        return tensor_value(a.t, context.folder)
    if kind == 5:
        return Graph(a.g, context, depth + 1, node.label)
    if kind in (6, 7):
        return list(a.floats if kind == 6 else a.ints)
    if kind == 8:
        return [s.decode("utf-8", "replace") for s in a.strings]
    if kind == 9:
        return [tensor_value(t, context.folder) for t in a.tensors]
    if kind in (13, 14):
        return _copy(a.tp) if kind == 13 else [_copy(t) for t in a.type_protos]
    raise ValueError(
        f"onnx: {node.label}: attribute '{a.name}' must be numbers, text, tensors or a graph, received type {kind}"
    )


def _copy(proto):
    """A message that keeps nothing else alive."""
    return type(proto).FromString(proto.SerializeToString())


class Context:
    """What all graphs of a file share.

    Args:
        opsets: dict of domain to version.
        folder: where external data may lie, or None.
        source, places: bytes and where in them data of the outer graph's initialisers lie, by their numbers.
    """

    def __init__(self, opsets, folder=None, source=None, places=None):
        self.opsets, self.folder, self.source, self.places = opsets, folder, source, places or {}

    def opset(self, domain, label):
        if domain not in self.opsets:
            raise ValueError(
                f"onnx: {label} is of domain {domain!r}; the file imports the domains {sorted(self.opsets)}, "
                f"received no version of {domain!r}"
            )
        return self.opsets[domain]


class Port:
    """An input or output of the graph: name, dtype, and sizes (int, name, or None for an open one)."""

    def __init__(self, info):
        self.name = info.name
        where = f"'{info.name}'"
        self.is_tensor = info.type.WhichOneof("value") == "tensor_type"
        self.kind = info.type.WhichOneof("value") or "nothing"
        self.dtype = self.shape = None
        if not self.is_tensor:
            return
        kind = info.type.tensor_type
        self.dtype = dtype_name(kind.elem_type, where) if kind.elem_type else None
        if kind.HasField("shape"):
            self.shape = [_size(d, where) for d in kind.shape.dim]


def _size(dim, where):
    if dim.WhichOneof("value") == "dim_value":
        # Some writers say "open" by a number below 1.
        if dim.dim_value < -1:
            raise ValueError(f"onnx: the sizes of {where} must not be negative, received {dim.dim_value}")
        return dim.dim_value if dim.dim_value >= 0 else None
    return dim.dim_param or None


class Graph:
    """A graph whose names are all known and made once.

    Attributes:
        nodes: in an order in which they can run.
        constants: dict of name to tensor; of the outer graph to `Stored` until `read_constants`.
        inputs, outputs: lists of `Port`.
        captures: names that a body takes from the graph around it.
        maker: dict of name to the node that makes it.

    Raises:
        ValueError: for a name that is made twice or never, a circle, or too deep a nest.
    """

    def __init__(self, proto, context, depth=0, owner="the graph"):
        if depth > _MAX_DEPTH:
            raise ValueError(f"onnx: {owner}: graphs may lie {_MAX_DEPTH} deep in each other, received a deeper one")
        if len(proto.node) > _MAX_NODES:
            raise ValueError(f"onnx: {owner}: at most {_MAX_NODES} nodes can be read, received {len(proto.node)}")
        if proto.sparse_initializer:
            raise ValueError(
                f"onnx: sparse initialisers cannot be read, received '{proto.sparse_initializer[0].values.name}'"
            )
        self.name, self.depth = proto.name, depth
        self.constants, places = {}, context.places if depth == 0 else {}
        for i, t in enumerate(proto.initializer):
            if t.name in self.constants:
                raise ValueError(f"onnx: every initialiser needs a name of its own, received '{t.name}' twice")
            self.constants[t.name] = Stored(t, context.folder, context.source, places.get(i))
        if depth:
            self.read_constants()
        self.inputs = [Port(i) for i in proto.input if i.name not in self.constants]
        self.outputs = [Port(o) for o in proto.output]
        nodes = [Node(n, context, i, depth) for i, n in enumerate(proto.node)]
        self.maker = {}
        given = {i.name for i in self.inputs} | set(self.constants)
        if len({i.name for i in self.inputs}) != len(self.inputs):
            raise ValueError(f"onnx: every input needs a name of its own, received {[i.name for i in self.inputs]}")
        for node in nodes:
            for name in filter(None, node.outputs):
                if name in self.maker or name in given:
                    raise ValueError(f"onnx: {node.label} makes '{name}', which exists already")
                self.maker[name] = node
        self.captures = self._outside(nodes, given)
        if depth == 0 and self.captures:
            name = self.captures[0]
            reader = next((n.label for n in nodes if name in n.reads()), "the outputs")
            raise ValueError(f"onnx: {reader} reads '{name}', which no input, initialiser or node makes")
        self.nodes = self._ordered(nodes)

    def read_constants(self):
        """Reads the initialisers that are in no variable."""
        for name, value in self.constants.items():
            if isinstance(value, Stored):
                self.constants[name] = value.tensor()

    def _outside(self, nodes, given):
        names = dict.fromkeys(n for node in nodes for n in node.reads())
        names.update(dict.fromkeys(o.name for o in self.outputs if o.name))
        return [n for n in names if n not in given and n not in self.maker]

    def _ordered(self, nodes):
        waiting, readers = {}, {}
        for node in nodes:
            sources = {id(self.maker[n]) for n in node.reads() if n in self.maker}
            waiting[id(node)] = len(sources)
            for s in sources:
                readers.setdefault(s, []).append(node)
        made = set()
        if all(self._is_ready(n, made) for n in nodes):
            return nodes
        ready = [n for n in nodes if not waiting[id(n)]]
        order = []
        for node in ready:
            order.append(node)
            for reader in readers.get(id(node), ()):
                waiting[id(reader)] -= 1
                if not waiting[id(reader)]:
                    ready.append(reader)
        if len(order) != len(nodes):
            stuck = next(n for n in nodes if waiting[id(n)])
            raise ValueError(f"onnx: nodes must not form a circle, received {stuck.label} in one")
        return order

    def _is_ready(self, node, made):
        """Whether all that `node` reads of this graph's nodes is in `made`; its own outputs are added."""
        if any(n in self.maker and n not in made for n in node.reads()):
            return False
        made.update(node.outputs)
        return True
