"""`GraphModel`: a model of which only the compiled graph is known, as a `.maas` file holds it."""

import numpy as np

from maas.backend.keras_tensor import KerasTensor
from maas.backend.standardize import numpy_dtype


class GraphModel:
    """Runs the graph of a `.maas` file: a call, `predict`, serving. It has no layers and does not train.

    Args:
        saved: a `_core.SavedModel`.

    Attributes:
        name: str.
        inputs, outputs: lists of `KerasTensor` with the names that calls and servers use.
        weights: dict of tensor name to `_core.Variable`.
    """

    def __init__(self, saved, function="predict"):
        self._saved, self._function = saved, function
        if function not in saved.functions:
            raise ValueError(f"the file has no function {function!r}, received {sorted(saved.functions)}")
        inputs, outputs = saved.functions[function]
        self.inputs = [KerasTensor(shape, dtype, name=name) for name, dtype, shape in inputs]
        self.outputs = [KerasTensor(shape, dtype, name=name) for name, dtype, shape in outputs]
        self.name = saved.metadata.get("model_name", "model")
        self.built = True

    @property
    def endpoints(self):
        """Names of the functions in the file."""
        return sorted(self._saved.functions)

    def endpoint(self, name):
        """The `GraphModel` of another function of the file.

        Raises:
            ValueError: if there is none of this name.
        """
        return GraphModel(self._saved, name)

    @property
    def program(self):
        """The compiled `_core.Program`."""
        return self._saved.program(self._function)

    @property
    def weights(self):
        return dict(self._saved.variables)

    def _arrays(self, args, kwargs):
        names = [x.name for x in self.inputs]
        if len(args) == 1 and isinstance(args[0], dict) and not kwargs:
            args, kwargs = (), args[0]
        elif len(args) == 1 and isinstance(args[0], (list, tuple)) and len(names) > 1:
            args = tuple(args[0])
        given = dict(zip(names, args))
        unknown, twice = [k for k in kwargs if k not in names], [k for k in kwargs if k in given]
        given.update(kwargs)
        if len(args) > len(names) or unknown or twice or len(given) != len(names):
            raise ValueError(
                f"{self.name}: the inputs are {names}, received {len(args)} by position and {sorted(kwargs)} by name"
            )
        return [self._array(given[x.name], x) for x in self.inputs]

    def _array(self, value, spec):
        value = np.asarray(value)
        if str(value.dtype) != spec.dtype:
            kinds = {"b": 0, "u": 1, "i": 1, "f": 2}
            wanted = 2 if "float" in spec.dtype else 0 if spec.dtype == "bool" else 1
            if kinds.get(value.dtype.kind, 9) > wanted:
                raise TypeError(
                    f"{self.name}: input '{spec.name}' must be {spec.dtype}, "
                    f"received {value.dtype} of shape {value.shape}"
                )
            value = value.astype(numpy_dtype(spec.dtype))
        return value

    def __call__(self, *args, **kwargs):
        """Outputs for arrays given by position, by name, or as one dict: a tensor, or a list of tensors."""
        outputs = self.program(*self._arrays(args, kwargs))
        return outputs[0] if len(outputs) == 1 else outputs

    def predict(self, x, batch_size=32, verbose=0):
        """Outputs as NumPy arrays, computed in batches of `batch_size` rows."""
        arrays = self._arrays((x,), {})
        rows = {len(a) for a in arrays if a.ndim}
        if len(rows) != 1 or not min(rows):
            raise ValueError(f"{self.name}: inputs need the same number of rows, at least one, received {sorted(rows)}")
        n, parts = rows.pop(), []
        for begin in range(0, n, batch_size):
            parts.append(self.program.numpy(*(a[begin : begin + batch_size] for a in arrays)))
        outputs = [np.concatenate(p) for p in zip(*parts)]
        return outputs[0] if len(outputs) == 1 else outputs

    def predict_on_batch(self, x):
        """Outputs of one batch as NumPy arrays."""
        outputs = self.program.numpy(*self._arrays((x,), {}))
        return outputs[0] if len(outputs) == 1 else outputs

    def serving_program(self):
        """`(program, input names, output names)`: what the server runs."""
        return self.program, [x.name for x in self.inputs], [x.name for x in self.outputs]

    def summary(self, print_fn=print):
        """Prints inputs, outputs and the number of weights."""
        from rich.console import Console
        from rich.table import Table

        table = Table(title=f'Graph "{self.name}"')
        for column in ("", "name", "dtype", "shape"):
            table.add_column(column)
        for kind, tensors in (("input", self.inputs), ("output", self.outputs)):
            for x in tensors:
                table.add_row(kind, x.name, x.dtype, str(tuple(x.shape)))
        console = Console(width=100)
        with console.capture() as capture:
            console.print(table)
            console.print(f"{self.count_params():,} parameters in {len(self.weights)} tensors")
        print_fn(capture.get())

    def count_params(self):
        """The number of elements of all weights."""
        return sum(int(np.prod(v.shape)) for v in self.weights.values())

    def __repr__(self):
        sides = [", ".join(f"{x.name}: {x.dtype}{tuple(x.shape)}" for x in t) for t in (self.inputs, self.outputs)]
        return f"<GraphModel '{self.name}' ({sides[0]}) -> ({sides[1]})>"
