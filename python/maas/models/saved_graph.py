"""`SavedGraph`: what models have in common of which only compiled functions are known."""

import math

from maas.backend.keras_tensor import KerasTensor
from maas.models.named_arrays import print_ports


class SavedGraph:
    """A function of a file as a model. It has no layers and does not train.

    Args:
        saved: a `_core.SavedModel`, or what has its interface.
        function: str, what the server runs.

    Attributes:
        name: str.
        inputs, outputs: lists of `KerasTensor` with the names that calls and servers use.
        weights: dict of tensor name to `_core.Variable`.

    Raises:
        ValueError: if there is no such function.
    """

    _title = "Graph"

    def __init__(self, saved, function):
        self._saved, self._function = saved, function
        if function not in saved.functions:
            raise ValueError(f"the file has no function {function!r}, received {sorted(saved.functions)}")
        inputs, outputs = saved.functions[function]
        self.inputs = [KerasTensor(shape, dtype, name=name) for name, dtype, shape in inputs]
        self.outputs = [KerasTensor(shape, dtype, name=name) for name, dtype, shape in outputs]
        self.name = saved.metadata.get("model_name", "model")
        self.built = True

    @property
    def program(self):
        """The compiled `_core.Program`."""
        return self._saved.program(self._function)

    @property
    def weights(self):
        return dict(self._saved.variables)

    def count_params(self):
        """The number of elements of all weights."""
        return sum(math.prod(v.shape) for v in self.weights.values())

    def _arrays(self, args, kwargs):
        """Arguments of a call as arrays in the order of the inputs."""
        raise NotImplementedError

    def predict_on_batch(self, x):
        """All outputs of one batch as NumPy arrays: an array, or a list."""
        outputs = self.program.numpy(*self._arrays((x,), {}))
        return outputs[0] if len(outputs) == 1 else outputs

    def serving_program(self):
        """`(program, input names, output names)`: what the server runs."""
        return self.program, [x.name for x in self.inputs], [x.name for x in self.outputs]

    def summary(self, print_fn=print):
        """Prints inputs, outputs and the number of weights."""
        sides = [[(x.name, x.dtype, tuple(x.shape)) for x in side] for side in (self.inputs, self.outputs)]
        footer = f"{self.count_params():,} parameters in {len(self.weights)} tensors"
        print_ports(f'{self._title} "{self.name}"', *sides, footer, print_fn)
