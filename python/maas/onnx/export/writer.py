"""What writer functions write with: nodes, constants, sizes."""

import numpy as np

from maas import _core
from maas.onnx.dtypes import dtype_code
from maas.onnx.export.graph import size_of

OPSET = 20
_WRITERS = {}


def writes(*names):
    """Decorator: the function writes these ops. It gets a `Writer` and a `Node` and returns names of the outputs."""

    def note(function):
        for name in names:
            _WRITERS[name] = function
        return function

    return note


class Writer:
    """An ONNX graph under construction.

    Args:
        model: str, for errors.
        inputs: list of `(name, Value)`.
        where: dict of symbol to `(input, axis)`.
    """

    def __init__(self, model, inputs, where):
        self.model, self.where, self.symbols = model, where, {}
        self.nodes, self._constants = [], {}
        self.initializers = []  # (TensorProto without data, array of its data)
        self._used = {name for name, _ in inputs}
        self._inputs = [name for name, _ in inputs]
        for name, value in inputs:
            value.name = name

    def node(self, node):
        """Writes an op of the graph."""
        if node.op not in _WRITERS:
            raise NotImplementedError(
                f"{self.model}: the op '{node.op}' has no writer to ONNX; there are {', '.join(sorted(_WRITERS))}"
            )
        names = _WRITERS[node.op](self, node)
        for value, name in zip(node.outputs, [names] if isinstance(names, str) else names):
            value.name = name

    def unique(self, wanted):
        """A name that nothing has."""
        name, k = wanted, 1
        while name in self._used:
            name, k = f"{wanted}_{k}", k + 1
        self._used.add(name)
        return name

    def name(self, value):
        """The name of a value; constants and weights are written when they are first read."""
        if value.name is None:
            value.name = self._stored(value.wanted or "constant", value.dtype, value.shape, value.array)
        return value.name

    def _stored(self, wanted, dtype, shape, data):
        from onnx import TensorProto

        name = self.unique(wanted)
        self.initializers.append((TensorProto(name=name, data_type=dtype_code(dtype), dims=shape), data))
        return name

    def constant(self, value, dtype="int64"):
        """The name of a constant; equal ones are one."""
        tensor = _core.Tensor(np.asarray(value), dtype)
        data = tensor.stored_bytes()
        key = (dtype, tuple(tensor.shape), data.tobytes())
        if key not in self._constants:
            self._constants[key] = self._stored("constant", dtype, list(tensor.shape), data)
        return self._constants[key]

    def emit(self, op, inputs, count=1, **attributes):
        """Adds a node; returns the name of its output, or a list of `count`."""
        from onnx import helper

        names = [self.unique(op.lower()) for _ in range(count)]
        inputs = [self.name(i) if not isinstance(i, str) else i for i in inputs]
        self.nodes.append(
            helper.make_node(op, inputs, names, name=self.unique(f"{op}_{len(self.nodes)}"), **attributes)
        )
        return names[0] if count == 1 else names

    def cast(self, value, dtype, given=None):
        """A value in another dtype; `given` is the dtype of a name."""
        dtype_now = given or value.dtype
        name = value if isinstance(value, str) else self.name(value)
        return name if dtype_now == dtype else self.emit("Cast", [name], to=dtype_code(dtype))

    def transposed(self, value, axes):
        """A weight with its axes moved is stored so; anything else by a node."""
        if isinstance(value, str) or value.array is None or value.dtype not in ("float16", "float32", "float64"):
            return self.emit("Transpose", [value], perm=list(axes))
        # A view: its elements move when the file is written.
        array = value.array.view(value.dtype).reshape(value.shape).transpose(axes)
        return self._stored(value.wanted or "constant", value.dtype, list(array.shape), array)

    # ---- sizes

    def size(self, text):
        """The name of a vector of one int64 that holds a size: an int, or an expression of symbols."""
        if isinstance(text, int):
            return self.constant([text])
        result = size_of(text, _Symbols(self), self)
        return self.constant([result]) if isinstance(result, int) else result

    def symbol(self, name):
        if name not in self.symbols:
            index, axis = self.where[name]
            self.symbols[name] = self.emit("Shape", [self._inputs[index]], start=axis, end=axis + 1)
        return self.symbols[name]

    def _pair(self, op, a, b):
        return self.emit(op, [self.constant([v]) if isinstance(v, int) else v for v in (a, b)])

    def add(self, a, b):
        return self._pair("Add", a, b)

    def multiply(self, a, b):
        return self._pair("Mul", a, b)

    def floordiv(self, a, b):
        return self._pair("Div", a, b)

    def maximum(self, a, b):
        return self._pair("Max", a, b)

    def minimum(self, a, b):
        return self._pair("Min", a, b)

    def sizes(self, texts):
        """The name of an int64 vector of sizes."""
        if all(isinstance(t, int) for t in texts):
            return self.constant(np.array(texts, "int64"))
        parts = [self.size(t) for t in texts]
        return parts[0] if len(parts) == 1 else self.emit("Concat", parts, axis=0)

    def reshape(self, value, texts):
        """`value` in another shape; one open size needs no arithmetic."""
        if sum(not isinstance(t, int) for t in texts) == 1 and -1 not in texts and 0 not in texts:
            texts = [t if isinstance(t, int) else -1 for t in texts]
        return self.emit("Reshape", [value, self.sizes(texts)], allowzero=1 if 0 in texts else 0)

    def sized(self, value, like):
        """`value` in the dtype and with the shape of `like`, as NumPy broadcasts."""
        return self.emit("Expand", [value, self.emit("Shape", [like])])


class _Symbols:
    def __init__(self, writer):
        self._writer = writer

    def __getitem__(self, name):
        return self._writer.symbol(name)
