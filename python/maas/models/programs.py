"""Compiled programs of a model's `__call__`: one trace per input signature, kept until something about the model
changes.
"""

from collections import OrderedDict

import numpy as np

from maas import tree
from maas.backend import call_context
from maas.backend.keras_tensor import KerasTensor
from maas.backend.known_sizes import NeedsKnownSizes
from maas.backend.masks import get_keras_mask, set_keras_mask
from maas.backend.standardize import standardize_dtype
from maas.layers.tracking import global_epoch
from maas.models.open_sizes import close_sizes, declared_inputs, input_shapes, open_shape

_CAPACITY = 60  # signatures kept per model


def _is_array(x):
    return isinstance(x, np.ndarray) or (hasattr(x, "shape") and hasattr(x, "dtype") and not isinstance(x, KerasTensor))


def runs_as_program(model, args, kwargs):
    """True for a call on concrete arrays only, outside every other layer call and trace."""
    if call_context.current() is not None or getattr(model, "run_eagerly", False) or model._tracker is None:
        return False
    from maas import _core

    if _core.is_tracing() or _core.is_recording():
        return False
    found = False
    for x in args if not kwargs else (*args, *kwargs.values()):
        if isinstance(x, np.ndarray):
            found = True
        elif isinstance(x, KerasTensor) or getattr(x, "is_symbolic", False):
            return False
        elif _is_array(x):
            found = True
        elif isinstance(x, (list, tuple, dict)):
            for leaf in tree.flatten(x):
                if isinstance(leaf, KerasTensor) or getattr(leaf, "is_symbolic", False):
                    return False
                found = found or _is_array(leaf)
    return found


class _Entry:
    """One compiled signature: the program, and how its inputs and outputs map to the call's."""

    __slots__ = ("program", "outputs", "masks", "losses", "casts", "specs")


def _declares_float64(model):
    """Whether a float64 input was asked for; else NumPy's habit of float64 is rounded to what the model computes in."""
    inputs = declared_inputs(model)
    return any(x is not None and x.dtype == "float64" for x in tree.flatten(inputs))


class ProgramCache:
    """Programs of one model, newest last."""

    def __init__(self):
        self._entries = OrderedDict()
        self._epoch = -1
        self._versions = None
        self._declared = None  # shapes of the model's inputs

    def run(self, model, args, kwargs):
        if self._epoch != global_epoch():
            self._check_versions(model)
        flat = tree.flatten((args, kwargs))
        leaves = [x for x in flat if _is_array(x)]
        shapes = self._shapes(model, leaves)
        key = self._key(args, kwargs, flat, shapes)
        entry = self._entries.get(key)
        if entry is None:
            try:
                entry = self._trace(model, args, kwargs, leaves, shapes)
            except NeedsKnownSizes as e:
                if not close_sizes(model, e):
                    raise
                self._declared = None
                return self.run(model, args, kwargs)
            # Attribute writes made by the trace itself are no reason to trace again.
            self._versions, self._epoch = _versions(model), global_epoch()
            self._entries[key] = entry
            if len(self._entries) > _CAPACITY:
                self._entries.popitem(last=False)
        elif len(self._entries) > 1:
            self._entries.move_to_end(key)
        if self._is_plain(entry, args, kwargs):
            x = args[0]
            shape = tuple(None if isinstance(d, str) else d for d in shapes[0])
            model._set_fast_call(entry.program, str(x.dtype), shape)
        arrays = [x if cast is None else np.asarray(x).astype(cast) for x, cast in zip(leaves, entry.casts)]
        return self._unpack(entry, entry.program(*arrays))

    def last_input_specs(self):
        """Specs of the input of the newest call, nested like it; None if there was none with one argument."""
        for entry in reversed(self._entries.values()):
            if entry.specs is not None:
                return entry.specs
        return None

    @staticmethod
    def _is_plain(entry, args, kwargs):
        """One float array in, one tensor out, nothing beside: such calls need no Python next time."""
        return (
            not kwargs
            and len(args) == 1
            and type(args[0]) is np.ndarray
            and args[0].ndim > 0
            and entry.casts == [None]
            and entry.outputs is None
            and not any(entry.masks)
            and not entry.losses
        )

    def _check_versions(self, model):
        versions = _versions(model)
        if versions != self._versions:
            self._entries.clear()
            self._declared = None
        self._versions, self._epoch = versions, global_epoch()

    def _shapes(self, model, leaves):
        """One batch size for all inputs is left open, and what the model's inputs leave open; anything else is part
        of the signature.
        """
        batch = leaves[0].shape[0] if len(leaves[0].shape) else None
        declared = self._declared
        if declared is None:
            declared = self._declared = input_shapes(model)
        if len(declared) != len(leaves):
            declared = [()] * len(leaves)
        shapes = []
        for i, (x, known) in enumerate(zip(leaves, declared)):
            shape = tuple(x.shape)
            if shape and shape[0] == batch:
                rest = open_shape(shape[1:], known, i) if None in known[1:] and len(known) == len(shape) else shape[1:]
                shape = ("batch", *rest)
            shapes.append(shape)
        return shapes

    @staticmethod
    def _key(args, kwargs, flat, shapes):
        shapes = iter(shapes)
        signature = []
        for x in flat:
            if _is_array(x):
                signature.append((next(shapes), str(x.dtype)))
            else:
                signature.append(x if isinstance(x, (str, int, float, bool, type(None))) else ("object", id(x)))
        if len(args) == 1 and not kwargs and len(flat) == 1:
            return signature[0]
        return (_form(args), _form(kwargs), tuple(signature))

    def _trace(self, model, args, kwargs, leaves, shapes):
        from maas import _core
        from maas.layers.layer import Layer

        _check_shapes(model, args)
        _build(model, args, kwargs)
        entry = _Entry()
        entry.casts = []
        rounded = model.input_dtype == "float32" and not _declares_float64(model)
        with _core.Trace() as trace:
            made = []  # by place, not by identity: one array may be given twice
            for i, x in enumerate(leaves):
                dtype = standardize_dtype(x.dtype)
                target = "float32" if dtype == "float64" and rounded else dtype
                entry.casts.append(target if target != dtype else None)
                made.append(trace.input(shapes[i], dtype=target, name=f"input_{i}"))
            values = iter(made)
            swap = lambda x: next(values) if _is_array(x) else x  # noqa: E731
            args, kwargs = tree.map_structure(swap, args), tree.map_structure(swap, kwargs)
            entry.specs = None if kwargs or len(args) != 1 else tree.map_structure(_spec, args[0])
            outputs = Layer.__call__(model, *args, **kwargs)
            flat = [trace_value(x) for x in tree.flatten(outputs)]
            entry.outputs = outputs_form(outputs)
            masks = [get_keras_mask(x) for x in flat]
            entry.masks = [m is not None for m in masks]
            owners = [(layer, list(layer._losses)) for layer in model._flatten_layers() if layer._losses]
            entry.losses = [(layer, len(losses)) for layer, losses in owners]
            extra = [m for m in masks if m is not None] + [x for _, losses in owners for x in losses]
            entry.program = trace.compile(flat + [trace_value(x) for x in extra], accuracy=model._accuracy)
        return entry

    @staticmethod
    def _unpack(entry, values):
        n = len(entry.masks)
        outputs, rest = values[:n], values[n:]
        for x, has_mask in zip(outputs, entry.masks):
            if has_mask:
                set_keras_mask(x, rest.pop(0))
        for layer, count in entry.losses:
            layer._losses[:] = rest[:count]
            rest = rest[count:]
        return outputs[0] if entry.outputs is None else tree.pack_sequence_as(entry.outputs, outputs)


def _check_shapes(model, args):
    """Errors show the sizes that came; inside the trace the batch size is unknown."""
    from maas.layers.input_spec import assert_input_compatibility

    target = getattr(model, "_functional", None) or model
    if args and hasattr(target, "inputs") and target.input_spec:
        assert_input_compatibility(target.input_spec, args[0], model._label())


def _build(model, args, kwargs):
    """Make all weights before the trace, so that none of them is made inside it."""
    if model.built:
        return
    from maas.layers.call_spec import CallSpec, call_signature

    spec = CallSpec(model, call_signature(type(model).call), model._call_context_args, args, dict(kwargs))
    _, opened = call_context.enter(model)
    try:
        with model._open_name_scope():
            model._maybe_build(spec)
    finally:
        if opened:
            call_context.leave()


def trace_value(x):
    """What a program can return: a tensor as it is, a number or variable as a tensor."""
    from maas import ops

    return x if ops.is_tensor(x) else ops.convert_to_tensor(x)


def outputs_form(outputs):
    """The structure of the outputs without the tensors, None for a single tensor."""
    return tree.map_structure(lambda _: None, outputs) if tree.is_nested(outputs) else None


def _spec(x):
    """A `KerasTensor` of the shape and dtype that a leaf of a call was traced with."""
    return KerasTensor(x.shape, x.dtype) if getattr(x, "is_symbolic", False) else x


def _form(structure):
    """Hashable form of a structure: containers and keys, no values."""
    if isinstance(structure, dict):
        return ("dict", *((k, _form(v)) for k, v in structure.items()))
    if isinstance(structure, (list, tuple)):
        return (type(structure).__name__, *(_form(v) for v in structure))
    return None


def _versions(model):
    return [(id(layer), layer._version) for layer in model._flatten_layers()]


def inference_program(model):
    """The model as one program that needs no Python: what the server runs.

    Args:
        model: a built model.

    Returns:
        `(program, input_names, output_names)`.
    """
    trace, outputs, input_names, output_names = inference_trace(model)
    return trace.compile(outputs, name=model.name, accuracy=model._accuracy), input_names, output_names


def inference_trace(model, input_signature=None):
    """The model in test mode, recorded.

    Args:
        model: a functional or sequential model, or a subclassed one that was called on data.
        input_signature: specs with `shape` and `dtype` (nested like the model's input), for a subclassed model.

    Returns:
        `(trace, outputs, input_names, output_names)`; names are those of the model's input tensors and of the layers
        that make its outputs.

    Raises:
        ValueError: if nothing says what the inputs are.
    """
    from maas import _core, ops
    from maas.layers.layer import Layer

    if hasattr(model, "_inference_trace"):
        return model._inference_trace(input_signature)
    structure, names = _input_specs(model, input_signature)
    with _core.Trace() as trace:
        symbols = []
        for i, (x, name) in enumerate(zip(tree.flatten(structure), names)):
            # All inputs share the batch; other free sizes are each their own.
            shape = ["batch" if a == 0 and d is None else d for a, d in enumerate(x.shape)]
            symbols.append(trace.input(shape, dtype=x.dtype, name=name or f"input_{i}"))
        results = tree.flatten(Layer.__call__(model, tree.pack_sequence_as(structure, symbols), training=False))
        outputs = [ops.convert_to_tensor(y) for y in results]
    return trace, outputs, names, _output_names(model, len(outputs))


def _input_specs(model, input_signature):
    if input_signature is not None:
        structure = input_signature
        flat = tree.flatten(structure)
        if not all(hasattr(x, "shape") and hasattr(x, "dtype") for x in flat):
            raise ValueError(
                f"{model.name}: input_signature must hold specs with a shape and a dtype, received {input_signature!r}"
            )
    elif hasattr(model, "_inputs_struct"):
        structure = model._inputs_struct
    elif getattr(model, "inputs", None):
        flat = tree.flatten(model.inputs)
        structure = flat if len(flat) > 1 else flat[0]
    else:
        structure = model._programs().last_input_specs()
        if structure is None:
            raise ValueError(
                f"{model.name}: the model has no fixed inputs, call it on data first or give input_signature, "
                f"received {model!r}"
            )
    flat = tree.flatten(structure)
    return structure, [getattr(x, "name", None) or f"input_{i}" for i, x in enumerate(flat)]


def _output_names(model, count):
    """Names of the layers that make the outputs: a tensor's own name is a counter that changes from run to run."""
    names = []
    for i, tensor in enumerate(tree.flatten(getattr(model, "outputs", None) or [None] * count)):
        history = getattr(tensor, "_keras_history", None)
        if history is not None and history.operation is not None:
            name = history.operation.name
        else:
            name = getattr(tensor, "name", None) or f"output_{i}"
        # A layer with several outputs, or one that is called twice.
        names.append(name if name not in names else f"{name}_{sum(n.startswith(name) for n in names)}")
    return names
