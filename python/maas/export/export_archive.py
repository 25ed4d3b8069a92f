"""`ExportArchive`: several functions and their variables in one `.maas` file."""

import os

from maas import tree


class ExportArchive:
    """Writes functions of models, the endpoints, into a `.maas` file, which runs and serves without Python code.

    ```
    archive = ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", fn=model.call, input_signature=[InputSpec(shape=(None, 3), dtype="float32")])
    archive.write_out("model.maas")
    ```

    `maas.models.load_model(path)` gives the endpoint "predict", or the first one, and its `endpoint(name)` another.

    Args:
        format: only "maas".

    Raises:
        ValueError: for another format.
    """

    def __init__(self, format="maas"):
        if format != "maas":
            raise ValueError(f"ExportArchive: the format must be 'maas', received format={format!r}")
        self._resources, self._functions, self._collections = [], {}, {}
        self._accuracies = set()

    def track(self, resource):
        """Keep the variables of a layer or model under the names of weight files.

        Raises:
            ValueError: if it is no built layer.
        """
        from maas.layers import Layer

        if not isinstance(resource, Layer) or not resource.built:
            raise ValueError(f"ExportArchive: only built layers and models can be tracked, received {resource!r}")
        self._resources.append(resource)
        self._accuracies.add(getattr(resource, "_accuracy", "fast"))

    def add_endpoint(self, name, fn, input_signature=None, **kwargs):
        """Record a function.

        Args:
            name: str.
            fn: function of tensors, layer or model; it runs in test mode.
            input_signature: list of specs with `shape` and `dtype` (such as `InputSpec` or `KerasTensor`), one per
                argument, each possibly nested; a functional model needs none.

        Returns:
            `fn`.

        Raises:
            ValueError: for a name that is taken, or if nothing says what the inputs are.
        """
        if kwargs:
            raise ValueError(f"ExportArchive.add_endpoint: unknown arguments, received {sorted(kwargs)}")
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"ExportArchive: the name of an endpoint must be an identifier, received {name!r}")
        if name in self._functions:
            raise ValueError(f"ExportArchive: endpoint names must differ, received a second {name!r}")
        self._functions[name] = self._recorded(name, fn, input_signature)
        self._accuracies.add(getattr(fn, "_accuracy", "fast"))
        return fn

    def track_and_add_endpoint(self, name, resource, input_signature=None, **kwargs):
        """`track` and `add_endpoint` of one layer or model."""
        self.track(resource)
        return self.add_endpoint(name, resource, input_signature, **kwargs)

    def add_variable_collection(self, name, variables):
        """Keep a list of Variables under a name of its own.

        Raises:
            ValueError: if they are not Variables.
        """
        from maas import _core

        if not isinstance(variables, (list, tuple)) or not all(isinstance(v, _core.Variable) for v in variables):
            raise ValueError(f"ExportArchive: a collection must be a list of Variables, received {variables!r}")
        self._collections[name] = list(variables)

    def write_out(self, filepath, options=None, verbose=True):
        """Write the file, as a whole or not at all.

        Args:
            filepath: str or path that ends in .maas.
            options: only None.
            verbose: bool, whether the endpoints are printed.

        Raises:
            ValueError: for another suffix, or without endpoints.
        """
        from maas import _core
        from maas.saving.atomic import atomic_write
        from maas.saving.maas_file import PREDICT, encode_functions, write_state, write_tensor

        path = os.fspath(filepath)
        if options is not None or not path.endswith(".maas"):
            raise ValueError(f"ExportArchive: the path must end in .maas and options be None, received {path!r}")
        if not self._functions:
            raise ValueError("ExportArchive: add an endpoint before write_out(), received none")
        writer = _core.ModelWriter()
        for i, resource in enumerate(self._resources):
            write_state(writer, resource, "" if i == 0 else f"resource_{i}/")
        for collection, variables in self._collections.items():
            for i, variable in enumerate(variables):
                write_tensor(writer, f"{collection}/vars/{i}", variable)
        functions = dict(self._functions)
        if PREDICT not in functions:
            functions[PREDICT] = next(iter(functions.values()))
        # A file has one accuracy: that of whoever wants the most.
        accuracy = "exact" if "exact" in self._accuracies else "fast"
        name = self._resources[0].name if self._resources else "model"
        pieces = encode_functions(writer, functions, {"model_name": name, "accuracy": accuracy})
        with atomic_write(path) as file:
            for piece in pieces:
                file.write(piece)
        if verbose:
            print(f"exported endpoints {', '.join(self._functions)} to {path}")

    @staticmethod
    def _recorded(name, fn, input_signature):
        """(trace, outputs, input names, output names) of a function in test mode."""
        from maas import _core, ops
        from maas.layers import Layer
        from maas.models import Model
        from maas.models.programs import inference_trace

        if input_signature is None:
            if isinstance(fn, Model):
                return inference_trace(fn)
            raise ValueError(f"ExportArchive: endpoint {name!r} needs an `input_signature`, received None")
        if not isinstance(input_signature, (list, tuple)):
            input_signature = [input_signature]
        specs = tree.flatten(list(input_signature))
        if not specs or not all(getattr(s, "shape", None) is not None and getattr(s, "dtype", None) for s in specs):
            raise ValueError(
                f"ExportArchive: endpoint {name!r}: input_signature must hold specs with a shape and a dtype, received "
                f"{input_signature!r}"
            )
        names = _different([getattr(s, "name", None) or f"input_{i}" for i, s in enumerate(specs)])
        with _core.Trace() as trace:
            symbols = [trace.input(_sizes(s.shape), dtype=s.dtype, name=n) for s, n in zip(specs, names)]
            args = tree.pack_sequence_as(list(input_signature), symbols)
            results = Layer.__call__(fn, *args, training=False) if isinstance(fn, Layer) else fn(*args)
            if isinstance(results, dict):
                found, flat = list(results), list(results.values())
            else:
                flat = tree.flatten(results)
                found = [f"output_{i}" for i in range(len(flat))]
            outputs = [ops.convert_to_tensor(y) for y in flat]
        return trace, outputs, names, found


def _sizes(shape):
    """All inputs share the batch; other free sizes are each their own."""
    return ["batch" if axis == 0 and size is None else size for axis, size in enumerate(shape)]


def _different(names):
    """The names, with a number where one comes twice."""
    seen = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, -1) + 1
        out.append(f"{name}_{seen[name]}" if seen[name] else name)
    return out
