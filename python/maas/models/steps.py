"""Compiled steps: one Program per kind of step and per layout of a batch."""

from maas import tree
from maas.data.packing import pack_x_y_sample_weight

# Programs kept per kind of step; time axes of many lengths would otherwise fill memory.
MAX_PROGRAMS = 64


class CompiledStep:
    """A compiled step.

    Attributes:
        program: called with the flat arrays of a batch, returns the flat outputs.
        structure: the outputs' nesting, with positions in the flat list as leaves.
    """

    def __init__(self, program, structure):
        self.program, self.structure = program, structure

    def unflatten(self, outputs):
        """Outputs as the step function returned them."""
        return tree.map_structure(lambda i: outputs[i] if isinstance(i, int) else i.value, self.structure)


class EagerStep:
    """A step whose operations run one by one, so that Python code in it sees values: prints, branches, debuggers.

    State changes at the end of a step; one that fails leaves it as it was.
    """

    def __init__(self, step_function, layout, key):
        self._function, self._layout = step_function, layout
        self._dtypes = [_dtype_name(char) for _, char in key[1]]
        self.structure = None

    def program(self, *arrays):
        """The flat outputs for the flat arrays of a batch."""
        import numpy as np

        from maas import _core

        with _core.Trace(values=True) as trace:
            leaves = [
                trace.input_value(np.asarray(a, dtype), name)
                for a, dtype, name in zip(arrays, self._dtypes, self._layout.names)
            ]
            outputs = self._function(pack_x_y_sample_weight(*self._layout.pack(leaves)))
            flat, self.structure = _flatten_outputs(outputs)
            results = [_core.Tensor(x) for x in flat]
            trace.commit()
        return results

    def unflatten(self, outputs):
        """Outputs as the step function returned them."""
        return tree.map_structure(lambda i: outputs[i] if isinstance(i, int) else i.value, self.structure)


class Constant:
    """An output that is no tensor, such as a Python number in the logs."""

    def __init__(self, value):
        self.value = value


def compile_step(step_function, layout, key, accuracy="fast"):
    """Traces `step_function((x, y, sample_weight))` on symbolic inputs and compiles it.

    The first axis of every input is the same unknown size, so partial batches run the same program.
    """
    from maas import _core

    with _core.Trace() as trace:
        leaves = [
            trace.input(("batch", *shape), _dtype_name(char), name) for name, (shape, char) in zip(layout.names, key[1])
        ]
        outputs = step_function(pack_x_y_sample_weight(*layout.pack(leaves)))
        flat, structure = _flatten_outputs(outputs)
        return CompiledStep(trace.compile(flat, accuracy=accuracy), structure)


def _flatten_outputs(outputs):
    """(tensors, nesting with their positions as leaves)."""
    flat = []

    def place(leaf):
        if not hasattr(leaf, "is_symbolic"):
            if hasattr(leaf, "value") and hasattr(leaf, "assign"):  # a Variable reads as its tensor
                leaf = leaf.value
            else:
                return Constant(leaf)
        flat.append(leaf)
        return len(flat) - 1

    return flat, tree.map_structure(place, outputs)


def _dtype_name(char):
    import numpy as np

    return np.dtype(char).name


class StepCache:
    """The compiled steps of a model, least recently used first."""

    def __init__(self):
        self._steps = {}
        self._version = None
        self.quick = None, None  # the form of the last small prediction, and its step

    def get(self, kind, version, layout, key, step_function, accuracy="fast"):
        """The compiled step, compiled now if it is new.

        Args:
            kind: str, "train", "test" or "predict".
            version: function that gives what steps depend on besides the batch; a change drops all steps.
            layout, key: of the batch.
            step_function: function of (x, y, sample_weight) to be traced.
            accuracy: of `Model.optimize`.
        """
        if self._version != version():
            self._steps.clear()
        step = self._steps.pop((kind, key), None)
        if step is None:
            step = compile_step(step_function, layout, key, accuracy)
            if len(self._steps) >= MAX_PROGRAMS:
                self._steps.pop(next(iter(self._steps)))
        self._steps[kind, key] = step
        # Attribute writes made by the trace itself are no reason to trace again.
        self._version = version()
        return step

    def clear(self):
        """Forget all; the next step of every kind is compiled anew."""
        self._steps.clear()
        self.quick = None, None
