"""`load` and `OnnxModel`: a model read from an ONNX file."""

from collections import OrderedDict

import numpy as np

from maas import _core, ops, tree
from maas.backend.keras_tensor import KerasTensor
from maas.backend.known_sizes import NeedsKnownSizes
from maas.layers.layer import Layer
from maas.models.model import Model
from maas.models.named_arrays import check_kind, fitted, in_order, print_ports
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
        weights: dict of initialiser to `Variable`, shared with another model of the same graph; by default they are
            made of the graph's initialisers.
    """

    def __init__(self, graph, name="model", weights=None):
        super().__init__(name=name, dtype="float32")
        self._graph = _Hidden(graph)
        self._onnx_weights = _Hidden(self._made_weights(graph) if weights is None else dict(weights))
        if weights is not None:
            for variable in weights.values():
                self._track_variable(variable)
        object.__setattr__(self, "_onnx_programs", OrderedDict())
        object.__setattr__(self, "_by_value", frozenset())
        object.__setattr__(self, "_closed", set())  # (values, ranks) for which open sizes do not do
        self.built = True
        self._specs = _Hidden(([_spec(i) for i in graph.inputs], None))

    def _made_weights(self, graph):
        made = {}
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
            made[key] = variable
        graph.read_constants()
        return made

    def optimize(self, precision="float32", accuracy="fast"):
        """The model computed in another way, with the same weights: see `maas.Model.optimize`."""
        self._check_optimize(precision, accuracy)
        model = OnnxModel(self._graph.value, self.name, self._onnx_weights.value)
        model._accuracy = accuracy
        return model

    def summary(self, *args, print_fn=print, **kwargs):
        """Prints inputs, outputs and numbers of nodes and weights; more arguments of `Model.summary` do nothing."""
        graph = self._graph.value
        sides = [[(p.name, p.dtype, _readable(p.shape)) for p in side] for side in (graph.inputs, graph.outputs)]
        footer = f"{len(graph.nodes):,} nodes, {self.count_params():,} parameters in {len(self.weights)} tensors"
        print_ports(f'ONNX model "{self.name}"', *sides, footer, print_fn or print)

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

    def _call_slowly(self, *args, **kwargs):
        kwargs.pop("training", None)
        kwargs.pop("mask", None)
        args = in_order(self.name, self.input_names, args, kwargs)
        if not args or runs_as_program(self, args, {}):
            return self._run([self._checked(x, port) for x, port in zip(args, self._graph.value.inputs)])
        return Layer.__call__(self, args[0] if len(args) == 1 else args)

    def call(self, inputs):
        try:
            return self._results(in_order(self.name, self.input_names, (inputs,), {}))
        except NeedsValues as e:
            raise ValueError(f"{e}; only calls with arrays, model(x), know it") from None

    def predict(self, x, *args, **kwargs):
        return super().predict(self._data(x), *args, **kwargs)

    def predict_on_batch(self, x):
        return super().predict_on_batch(self._data(x))

    def evaluate(self, x=None, *args, **kwargs):
        return super().evaluate(self._data(x), *args, **kwargs)

    def fit(self, x=None, *args, **kwargs):
        return super().fit(self._data(x), *args, **kwargs)

    def _data(self, x):
        """Arrays of data in the dtypes of the inputs; what a generator gives is cast inside the program."""
        ports = self._graph.value.inputs
        if isinstance(x, np.ndarray) and len(ports) == 1:
            return self._typed(x, ports[0])
        if isinstance(x, (list, tuple)) and len(x) == len(ports) and all(isinstance(v, np.ndarray) for v in x):
            return type(x)(self._typed(v, port) for v, port in zip(x, ports))
        if isinstance(x, dict):
            known = {port.name: port for port in ports}
            return {k: self._typed(v, known[k]) if k in known and _is_array(v) else v for k, v in x.items()}
        return x

    def _results(self, values):
        graph = self._graph.value
        inputs = {port.name: _as_declared(x, port, self.name) for port, x in zip(graph.inputs, values)}
        outputs = Scope(graph, {**self._onnx_weights.value, **inputs}).run()
        return outputs[0] if len(outputs) == 1 else outputs

    def compute_output_spec(self, inputs, **kwargs):
        from maas.backend.shape_inference import compute_output_spec

        return compute_output_spec(self.call, (inputs,), {})

    def _typed(self, value, port):
        return value if port.dtype is None else fitted(self.name, port.name, port.dtype, value)

    def _checked(self, value, port):
        value = value if isinstance(value, (np.ndarray, _core.Tensor)) else np.asarray(value)
        shape = tuple(value.shape)
        if port.shape is not None and (
            len(shape) != len(port.shape) or any(isinstance(d, int) and d != n for d, n in zip(port.shape, shape))
        ):
            raise ValueError(
                f"{self.name}: input '{port.name}' must have shape {_readable(port.shape)}, received shape {shape}"
            )
        return self._typed(value, port)

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
        if len(outputs) > 1:
            return outputs
        if len(arrays) == len(left) == 1 and type(arrays[0]) is np.ndarray and arrays[0].ndim:
            # The next such call runs the program at once.
            self._set_fast_call(program, str(arrays[0].dtype), self._open_for(arrays)[0])
        return outputs[0]

    def _note_values(self, reason, arrays):
        for port, a in zip(self._graph.value.inputs, arrays):
            if port.name in reason.names and a.size > _MAX_KNOWN:
                raise ValueError(f"{reason}, received {a.size} elements for '{port.name}'") from None
        if reason.names <= self._by_value:
            raise ValueError(str(reason)) from None
        self._onnx_programs.clear()
        self._closed.clear()
        object.__setattr__(self, "_by_value", self._by_value | reason.names)

    def _program(self, arrays):
        ports = self._graph.value.inputs
        known, ranks = self._known(arrays), _ranks(arrays)
        shapes = tuple(tuple(a.shape) for a in arrays)
        for key in ((known, ranks, "open"), (known, ranks, shapes)):
            if key in self._onnx_programs:
                self._onnx_programs.move_to_end(key)
                return self._onnx_programs[key]
        key, program = (known, ranks, "open"), None
        if (known, ranks) not in self._closed:
            try:
                program = self._compile(arrays, self._open_shapes(arrays))
            except NeedsValues:
                raise
            except (NeedsKnownSizes, ValueError, TypeError, NotImplementedError):
                if all(isinstance(d, int) for p in ports for d in p.shape or (None,)):
                    raise
        if program is None:
            # It needs some size as a number; an error of its own comes again.
            key, program = (known, ranks, shapes), self._compile(arrays, shapes)
            self._closed.add((known, ranks))
        self._onnx_programs[key] = program
        if len(self._onnx_programs) > _CAPACITY:
            self._onnx_programs.popitem(last=False)
        return program

    def _open_for(self, arrays):
        """Shapes that the program of these arrays takes, None for any size."""
        if self._closed and (self._known(arrays), _ranks(arrays)) in self._closed:
            return [tuple(a.shape) for a in arrays]
        return [tuple(d if isinstance(d, int) else None for d in s) for s in self._open_shapes(arrays)]

    def _known(self, arrays):
        """The bytes of inputs whose values make the program, None for all others."""
        if not self._by_value:
            return None
        ports = self._graph.value.inputs
        return tuple(np.asarray(a).tobytes() if p.name in self._by_value else None for a, p in zip(arrays, ports))

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

    def _inference_trace(self, input_signature=None):
        """The model recorded for files and servers: `(trace, outputs, input names, output names)`.

        Args:
            input_signature: specs with `shape` and `dtype`, one per input, which say more than the file does.
        """
        ports = self._graph.value.inputs
        specs = [(p.shape, p.dtype) for p in ports]
        if input_signature is not None:
            given = in_order(self.name, self.input_names, (input_signature,), {})
            specs = [self._narrowed(port, spec) for port, spec in zip(ports, given)]
        with _core.Trace() as trace:
            values = []
            for port, (shape, dtype) in zip(ports, specs):
                if shape is None or dtype is None:
                    raise ValueError(
                        f"{self.name}: to save or serve the model, input '{port.name}' needs a declared rank and "
                        "dtype; export() takes them as its input_signature"
                    )
                # The batch has one name for all inputs.
                values.append(trace.input(list(shape), dtype=dtype, name=port.name))
            try:
                outputs = tree.flatten(self._results(values))
            except NeedsValues as e:
                raise ValueError(f"{e}; a file or server would have to know it") from None
        return trace, outputs, self.input_names, self.output_names

    def _narrowed(self, port, spec):
        """(sizes, dtype) of an input: what the file declares, and known sizes where `spec` has them."""
        if getattr(spec, "shape", None) is None or getattr(spec, "dtype", None) is None:
            raise ValueError(
                f"{self.name}: input_signature must hold specs with a shape and a dtype, received {spec!r}"
            )
        shape, dtype = list(spec.shape), str(spec.dtype)
        declared = port.shape if port.shape is not None else ["batch" if not a else None for a in range(len(shape))]
        fits = len(shape) == len(declared) and all(
            n is None or not isinstance(d, int) or n == d for n, d in zip(shape, declared)
        )
        if not fits or port.dtype not in (None, dtype):
            raise ValueError(
                f"{self.name}: input '{port.name}' must be {port.dtype}{_readable(port.shape)}, received "
                f"{dtype}{tuple(shape)} in input_signature"
            )
        return [d if n is None else n for n, d in zip(shape, declared)], dtype

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


def _ranks(arrays):
    return tuple((len(a.shape), str(a.dtype)) for a in arrays)


def _is_array(x):
    return hasattr(x, "shape") and hasattr(x, "dtype")


def _readable(shape):
    return "(any)" if shape is None else f"({', '.join(str(d) for d in shape)}{',' if len(shape) == 1 else ''})"


def _spec(port):
    shape = tuple(d if isinstance(d, int) else None for d in port.shape or ())
    return KerasTensor(shape, port.dtype or "float32", name=port.name)


def _as_declared(x, port, model):
    """A value inside a trace in the dtype and rank that the graph declares."""
    x = _core.Tensor(x) if isinstance(x, np.ndarray) else x
    if port.dtype is not None and x.dtype != port.dtype:
        check_kind(model, port.name, port.dtype, x)
        x = ops.cast(x, port.dtype)
    if port.shape is not None and x.ndim != len(port.shape):
        raise ValueError(
            f"{model}: input '{port.name}' must have shape {_readable(port.shape)}, received shape {tuple(x.shape)}"
        )
    return x
