"""`load` and `OnnxModel`: a model read from an ONNX file."""

from collections import OrderedDict

import numpy as np

from maas import _core, tree
from maas.backend.keras_tensor import KerasTensor
from maas.backend.known_sizes import NeedsKnownSizes
from maas.layers.layer import Layer
from maas.models.model import Model
from maas.models.programs import runs_as_program
from maas.onnx.reader import opened
from maas.onnx.trace import NeedsValues, Scope
from maas.onnx.weights import trainable_names

_CAPACITY = 60  # programs kept
_MAX_KNOWN = 4096  # elements of an input that a program may depend on by value


def load(path_or_bytes):
    """Reads an ONNX model: `load("resnet50.onnx")(images)`.

    Args:
        path_or_bytes: path of a `.onnx` file, or its bytes. External data are read from files beside it.

    Returns:
        `OnnxModel`, a `maas.Model`: call it with arrays by position or by name, `predict`, `compile` and `fit`, save
        it as `.maas`, serve it.

    Raises:
        FileNotFoundError: if there is no such file.
        ModuleNotFoundError: without the extra `[onnx]`.
        ValueError: for a file that is no ONNX model, or one that contradicts itself.
        TypeError, NotImplementedError: for a dtype, op or opset that cannot be read.
    """
    with opened(path_or_bytes) as (graph, name):
        return OnnxModel(graph, name)


class OnnxModel(Model):
    """A model whose layers are the nodes of an ONNX graph.

    Weights are the graph's floating initialisers, in ONNX's layout; statistics of batch normalisation are not
    trainable. Inputs and outputs have their ONNX names.

    Args:
        graph: `maas.onnx.graph.Graph`.
        name: str.
    """

    def __init__(self, graph, name="model"):
        super().__init__(name=name, dtype="float32")
        self._graph = _Hidden(graph)
        # A read-only view is enough for the graph: it never changes.
        self._onnx_weights = _Hidden({})
        for key, trainable in trainable_names(graph).items():
            value = graph.constants.pop(key)
            variable = self.add_weight(
                shape=tuple(value.shape),
                dtype=value.dtype,
                initializer=lambda shape, dtype, v=value: v.array(),
                trainable=trainable,
                autocast=False,
                name=key.replace("/", "."),
            )
            self._onnx_weights.value[key] = variable
        graph.read_constants()
        object.__setattr__(self, "_onnx_programs", OrderedDict())
        object.__setattr__(self, "_by_value", frozenset())
        self.built = True
        self._specs = _Hidden(([_spec(i) for i in graph.inputs], None))

    @property
    def inputs(self):
        """`KerasTensor`s with the names, dtypes and sizes of the inputs."""
        return self._specs.value[0]

    @property
    def outputs(self):
        """`KerasTensor`s of the outputs, as the file declares them."""
        return [_spec(o) for o in self._graph.value.outputs]

    @property
    def input_names(self):
        return [i.name for i in self._graph.value.inputs]

    @property
    def output_names(self):
        return [o.name for o in self._graph.value.outputs]

    # ---- calls

    def _named(self, args, kwargs):
        """Arguments in the order of the inputs."""
        names = self.input_names
        if len(args) == 1 and isinstance(args[0], dict):
            args, kwargs = (), {**args[0], **kwargs}
        elif len(args) == 1 and isinstance(args[0], (list, tuple)) and len(names) != 1:
            args = tuple(args[0])
        elif len(args) == 1 and isinstance(args[0], (list, tuple)) and len(args[0]) == 1 and _is_array(args[0][0]):
            args = tuple(args[0])
        given = dict(zip(names, args))
        wrong = [k for k in kwargs if k not in names or k in given]
        given.update(kwargs)
        if len(args) > len(names) or wrong or len(given) != len(names):
            raise ValueError(
                f"{self.name}: the inputs are {names}, received {len(args)} by position and {sorted(kwargs)} by name"
            )
        return [given[n] for n in names]

    def _call_slowly(self, *args, **kwargs):
        kwargs.pop("training", None)
        kwargs.pop("mask", None)
        args = self._named(args, kwargs)
        if not args or runs_as_program(self, args, {}):
            return self._run([self._checked(x, port) for x, port in zip(args, self._graph.value.inputs)])
        return Layer.__call__(self, args[0] if len(args) == 1 else args)

    def call(self, inputs):
        return self._results(self._named((inputs,), {}))

    def _results(self, values, by_value=()):
        graph = self._graph.value
        inputs = {port.name: _as_declared(x, port, self.name) for port, x in zip(graph.inputs, values)}
        outputs = Scope(graph, {**self._onnx_weights.value, **inputs}).run()
        return outputs[0] if len(outputs) == 1 else outputs

    def compute_output_spec(self, inputs, **kwargs):
        from maas.backend.shape_inference import compute_output_spec

        return compute_output_spec(self.call, (inputs,), {})

    def _checked(self, value, port):
        value = value if isinstance(value, (np.ndarray, _core.Tensor)) else np.asarray(value)
        shape = tuple(value.shape)
        if port.shape is not None and (
            len(shape) != len(port.shape) or any(isinstance(d, int) and d != n for d, n in zip(port.shape, shape))
        ):
            raise ValueError(
                f"{self.name}: input '{port.name}' must have shape {_readable(port.shape)}, received shape {shape}"
            )
        if port.dtype is not None and str(value.dtype) != port.dtype:
            value = _converted(value, port, self.name)
        return value

    # ---- programs

    def _run(self, arrays):
        while True:
            try:
                program = self._program(arrays)
                break
            except NeedsValues as e:
                self._note_values(e, arrays)
        left = [a for a, port in zip(arrays, self._graph.value.inputs) if port.name not in self._by_value]
        outputs = program(*left)
        return outputs[0] if len(outputs) == 1 else outputs

    def _note_values(self, reason, arrays):
        for port, a in zip(self._graph.value.inputs, arrays):
            if port.name in reason.names and a.size > _MAX_KNOWN:
                raise ValueError(f"{reason}, received {a.size} elements for '{port.name}'") from None
        if reason.names <= self._by_value:
            raise ValueError(str(reason)) from None
        self._onnx_programs.clear()
        object.__setattr__(self, "_by_value", self._by_value | reason.names)

    def _program(self, arrays):
        ports = self._graph.value.inputs
        known = tuple(np.asarray(a).tobytes() if p.name in self._by_value else None for a, p in zip(arrays, ports))
        ranks = tuple((len(a.shape), str(a.dtype)) for a in arrays)
        shapes = tuple(tuple(a.shape) for a in arrays)
        for key in ((known, ranks, "open"), (known, ranks, shapes)):
            if key in self._onnx_programs:
                self._onnx_programs.move_to_end(key)
                return self._onnx_programs[key]
        key = (known, ranks, "open")
        try:
            program = self._compile(arrays, self._open_shapes(arrays))
        except NeedsValues:
            raise
        except (NeedsKnownSizes, ValueError, TypeError, NotImplementedError):
            if all(isinstance(d, int) for p in ports for d in p.shape or (None,)):
                raise
            # It needs some size as a number; an error of its own comes again.
            key = (known, ranks, shapes)
            program = self._compile(arrays, shapes)
        self._onnx_programs[key] = program
        if len(self._onnx_programs) > _CAPACITY:
            self._onnx_programs.popitem(last=False)
        return program

    def _open_shapes(self, arrays):
        return [
            [None] * len(a.shape) if p.shape is None else list(p.shape)
            for a, p in zip(arrays, self._graph.value.inputs)
        ]

    def _compile(self, arrays, shapes):
        with _core.Trace() as trace:
            values = []
            for a, port, shape in zip(arrays, self._graph.value.inputs, shapes):
                if port.name in self._by_value:
                    values.append(a if isinstance(a, _core.Tensor) else _core.Tensor(a))
                else:
                    dtype = port.dtype or str(a.dtype)
                    values.append(trace.input(shape, dtype=dtype, name=port.name))
            outputs = tree.flatten(self._results(values))
            return trace.compile(outputs, name=self.name, accuracy=self._accuracy)

    def _inference_trace(self):
        """The model recorded for files and servers: `(trace, outputs, input names, output names)`."""
        graph = self._graph.value
        with _core.Trace() as trace:
            values = []
            for port in graph.inputs:
                if port.shape is None or port.dtype is None:
                    raise ValueError(
                        f"{self.name}: to save or serve the model, input '{port.name}' needs a declared rank and dtype"
                    )
                # The batch has one name for all inputs.
                values.append(trace.input(list(port.shape), dtype=port.dtype, name=port.name))
            try:
                outputs = tree.flatten(self._results(values))
            except NeedsValues as e:
                raise ValueError(f"{e}; a file or server would have to know it") from None
        return trace, outputs, self.input_names, self.output_names

    def serving_program(self):
        """`(program, input names, output names)`: what the server runs."""
        trace, outputs, inputs, names = self._inference_trace()
        return trace.compile(outputs, name=self.name, accuracy=self._accuracy), inputs, names

    def get_config(self):
        raise NotImplementedError(f"{self.name}: a model read from ONNX has no config; save it as .maas")

    def __repr__(self):
        sides = [", ".join(f"{p.name}: {p.dtype}{_readable(p.shape)}" for p in ports)
                 for ports in (self._graph.value.inputs, self._graph.value.outputs)]  # fmt: skip
        return f"<OnnxModel '{self.name}' ({sides[0]}) -> ({sides[1]})>"


class _Hidden:
    """Keeps a value out of the layer's tracking."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


def _is_array(x):
    return hasattr(x, "shape") and hasattr(x, "dtype")


def _readable(shape):
    return "(any)" if shape is None else f"({', '.join(str(d) for d in shape)}{',' if len(shape) == 1 else ''})"


def _spec(port):
    shape = tuple(d if isinstance(d, int) else None for d in port.shape or ())
    return KerasTensor(shape, port.dtype or "float32", name=port.name)


_ORDER = {"b": 0, "u": 1, "i": 1, "f": 2, "V": 2}


def _converted(value, port, model):
    kind = np.dtype(value.dtype).kind if isinstance(value, np.ndarray) else _kind(str(value.dtype))
    if kind not in _ORDER or _ORDER[kind] > _ORDER[_kind(port.dtype)]:
        raise TypeError(
            f"{model}: input '{port.name}' must be {port.dtype}, received {value.dtype} of shape {tuple(value.shape)}"
        )
    return _core.Tensor(value, port.dtype) if isinstance(value, np.ndarray) else _cast(value, port.dtype)


def _kind(dtype):
    return "f" if "float" in dtype else "b" if dtype == "bool" else "u" if dtype.startswith("u") else "i"


def _cast(x, dtype):
    from maas import ops

    return ops.cast(x, dtype)


def _as_declared(x, port, model):
    """A value inside a trace in the dtype and rank that the graph declares."""
    x = _core.Tensor(x) if isinstance(x, np.ndarray) else x
    if port.dtype is not None and x.dtype != port.dtype:
        x = _cast(x, port.dtype)
    if port.shape is not None and x.ndim != len(port.shape):
        raise ValueError(
            f"{model}: input '{port.name}' must have shape {_readable(port.shape)}, received shape {tuple(x.shape)}"
        )
    return x
