"""`ClassicalModel`: scikit-learn's methods (`predict`, `predict_proba`, `decision_function`, `transform`) as programs.

It needs scikit-learn neither to predict nor to be loaded.
"""

import json
import math

import numpy as np

from maas import _core
from maas.backend.standardize import numpy_dtype
from maas.models.named_arrays import in_order
from maas.models.saved_graph import SavedGraph

FUNCTIONS = ("predict", "predict_proba", "decision_function", "transform")
SERVE = "serve"


class TracedFunctions:
    """Functions that were just traced, with the interface of a loaded file (`_core.SavedModel`).

    Args:
        traces: dict of function name to `(trace, outputs, input names, output names)`.
        variables: dict of name to `_core.Variable`.
        metadata: dict of str to str.
    """

    def __init__(self, traces, variables, metadata):
        self._traces, self.variables, self.metadata = traces, variables, metadata
        self._programs = {}
        self.functions = {
            key: (_specs(inputs, input_names), _specs(outputs, output_names))
            for key, (_, inputs, outputs, input_names, output_names) in traces.items()
        }

    def program(self, function):
        if function not in self._programs:
            trace, _, outputs, _, _ = self._traces[function]
            self._programs[function] = trace.compile(outputs, name=self.metadata["model_name"], accuracy="exact")
        return self._programs[function]

    def encode(self):
        """The pieces of a `.maas` file, in order."""
        from maas.saving.maas_file import encode_functions

        writer = _core.ModelWriter()
        for name, variable in self.variables.items():
            writer.tensor(variable, name)
        functions = {key: (trace, *rest) for key, (trace, _, *rest) in self._traces.items()}
        return encode_functions(writer, functions, {**self.metadata, "accuracy": "exact"})


def _specs(tensors, names):
    return [(n, x.dtype, tuple(d if isinstance(d, int) else None for d in x.shape)) for x, n in zip(tensors, names)]


class ClassicalModel(SavedGraph):
    """A scikit-learn estimator as compiled graphs. `from_sklearn` makes it; `maas.saving.load_model` loads it.

    `predict`, `predict_proba`, `decision_function` and `transform` are there if the estimator has them; they take
    arrays (rows, features) and give NumPy arrays like the estimator's. A call gives the tensor of `predict`, or of
    `transform`; there a label that is not a number is its place in `classes`.

    A NaN or infinity is refused where scikit-learn refuses it. The server does not look: it answers NaN, and a label
    of such a row means nothing.

    Attributes:
        estimator: str, the class of the estimator.
        functions: list of str, the methods there are.
        classes: list of arrays, one per output of a classifier whose labels are not numbers; None where they are.
    """

    _title = "Classical model"

    def __init__(self, saved):
        info = json.loads(saved.metadata["classical"])
        self.estimator = info["estimator"]
        self.functions = [f for f in FUNCTIONS if f in saved.functions]
        if not self.functions or SERVE not in saved.functions:
            raise ValueError(f"a classical model needs the functions of a file of one, received {[*saved.functions]}")
        classes = info.get("classes")
        self.classes = classes and [None if c is None else np.array(c) for c in classes]
        self._rows, self._takes = int(info["rows"]), str(info["takes"])
        super().__init__(saved, SERVE)
        self._dtype, self._shape = np.dtype(numpy_dtype(self.inputs[0].dtype)), tuple(self.inputs[0].shape)

    def __getattr__(self, name):
        if name not in FUNCTIONS:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if name not in self.functions:
            raise AttributeError(f"{self.estimator} has no {name} as it was fitted; it has {', '.join(self.functions)}")
        made = self.__dict__[name] = self._method(name)
        return made

    def _method(self, name):
        """`name` as a function of arrays. One row costs little more than its program."""
        program = self._saved.program(name)
        run, vdot, isfinite, ndarray = program.numpy, np.vdot, math.isfinite, np.ndarray
        dtype, columns, most = self._dtype, self._shape[-1], self._rows
        # Labels that are not numbers, and methods of several outputs, take the long way.
        plain = len(self._shape) == 2 and not (name == "predict" and self.classes)
        plain = plain and len(self._saved.functions[name][1]) == 1

        def method(x):
            if (
                plain
                and type(x) is ndarray
                and x.dtype is dtype
                and x.ndim == 2
                and x.shape[1] == columns
                and 0 < x.shape[0] <= most
                and isfinite(vdot(x, x) if x.size < 4096 else x.sum())  # a large product would wake up threads
            ):
                return run(x)[0]
            return self._any(name, program, x)

        method.__name__ = name
        method.__doc__ = f"`{name}` of the estimator. Args: x: array (rows, features). Returns: NumPy array."
        return method

    def _any(self, name, program, x):
        x = self._array(x)
        parts = [program.numpy(x[i : i + self._rows]) for i in range(0, len(x), self._rows)]
        outputs = parts[0] if len(parts) == 1 else [np.concatenate(p) for p in zip(*parts)]
        if name == "predict" and self.classes:
            outputs = [self._labels(y) for y in outputs]
        return outputs[0] if len(outputs) == 1 else outputs

    def _labels(self, y):
        if y.ndim == 1:
            return self.classes[0][y]
        return np.stack([c[y[:, k]] if c is not None else y[:, k] for k, c in enumerate(self.classes)], axis=1)

    def _array(self, x):
        if hasattr(x, "toarray"):
            raise TypeError(f"{self.name}: sparse matrices are not taken, use toarray(), received {type(x).__name__}")
        x = np.asarray(x)
        if x.dtype.kind not in "buif":
            try:
                x = x.astype(self._dtype)
            except (TypeError, ValueError):
                raise TypeError(f"{self.name}: x must hold numbers, received {x.dtype} of shape {x.shape}") from None
        wanted = self._shape
        if x.ndim != len(wanted) or any(n not in (None, m) for n, m in zip(wanted, x.shape)):
            rows = "rows, " + ", ".join("any" if n is None else f"{n} features" for n in wanted[1:])
            raise ValueError(f"{self.name}: {self.estimator} takes x of shape ({rows}), received shape {x.shape}")
        if not len(x):
            raise ValueError(f"{self.name}: at least one row is needed, received shape {x.shape}")
        x = np.ascontiguousarray(x, dtype=self._dtype)
        if x.dtype.kind == "f" and self._takes != "all":
            bad = np.isinf(x) if self._takes == "nan" else ~np.isfinite(x)
            if bad.any():
                what = "infinity" if self._takes == "nan" else "NaN or infinity"
                raise ValueError(
                    f"{self.name}: {self.estimator} takes no {what}, received {x[bad][0]} among x of shape {x.shape}"
                )
        return x

    def __call__(self, x):
        """The tensor of `predict` (or `transform`) for an array, or a list of tensors."""
        outputs = self._saved.program(self.functions[0])(self._array(x))
        return outputs[0] if len(outputs) == 1 else outputs

    def _arrays(self, args, kwargs):
        return [self._array(x) for x in in_order(self.name, [self.inputs[0].name], args, kwargs)]

    def save(self, filepath, overwrite=True):
        """Writes a `.maas` file, which predicts in a process without scikit-learn and in the server.

        Args:
            filepath: path that ends in `.maas`.
            overwrite: bool, whether a file that is there may be replaced.

        Raises:
            ValueError: for another suffix, or a model that came from a file.
            FileExistsError: if the file is there and `overwrite` is False.
        """
        import os

        from maas.saving.atomic import atomic_write

        path = os.fspath(filepath)
        if not path.endswith(".maas"):
            raise ValueError(f"{self.name}: a classical model is saved as a .maas file, received {path!r}")
        if not isinstance(self._saved, TracedFunctions):
            raise ValueError(f"{self.name}: a model that was loaded is its file; copy the file, received {path!r}")
        with atomic_write(path, overwrite) as file:
            for piece in self._saved.encode():
                file.write(piece)

    export = save

    def __repr__(self):
        return f"<ClassicalModel '{self.name}' of {self.estimator}: {', '.join(self.functions)}>"
