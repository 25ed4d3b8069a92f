"""`Model`: a layer with layers in it that can be trained, saved and summarised."""

import inspect
import json

from maas import tree
from maas._core import FastCall
from maas.data.arrays import refuse_strings
from maas.layers.layer import Layer
from maas.missing_names import NotYet
from maas.models.programs import ProgramCache, runs_as_program
from maas.models.trainer import Trainer


class Model(FastCall, Trainer, Layer):
    """Groups layers into an object with training and inference.

    Made in one of three ways: `Model(inputs, outputs)` from KerasTensors, `Sequential([...])`, or a subclass with
        `call(inputs)`.

    Args:
        inputs, outputs: KerasTensors or nests of them; then the model is a `Functional`.
        name: str.
        trainable: bool.
    """

    def __new__(cls, *args, **kwargs):
        if cls is Model and _is_functional_call(args, kwargs):
            from maas.models.functional import Functional

            cls = Functional
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args, **kwargs):
        from maas.models import functional

        if _is_functional_call(args, kwargs) and type(self) is not functional.Functional:
            if isinstance(self, functional.Functional):
                functional.Functional.__init__(self, *args, **kwargs)
                return
            # A subclass of Model that calls super().__init__(inputs=..., outputs=...) becomes a functional model.
            _make_functional(type(self))
            functional.Functional.__init__(self, *args, **kwargs)
            return
        Layer.__init__(self, *args, **kwargs)
        Trainer.__init__(self)

    def _programs(self):
        cache = self.__dict__.get("_program_cache")
        if cache is None:
            cache = ProgramCache()
            object.__setattr__(self, "_program_cache", cache)
        return cache

    def _call_slowly(self, *args, **kwargs):
        """Run the model. On arrays it runs as one compiled program, kept per input signature; on symbolic tensors it
        is traced.

        `__call__` is FastCall's: it runs the program at once when the call is like the one before, and else comes here.
        """
        try:
            if runs_as_program(self, args, kwargs):
                return self._programs().run(self, args, kwargs)
            return Layer.__call__(self, *args, **kwargs)
        except (TypeError, ValueError):
            for x in tree.flatten((args, kwargs)):
                refuse_strings(f"{self._label()}: inputs", x)
            raise

    def call(self, *args, **kwargs):
        raise NotImplementedError(f"{self._label()}: the class does not implement `call()`")

    def build(self, input_shape):
        """Make the weights of all layers by running `call` on placeholders.

        Args:
            input_shape: tuple with the batch axis, or a nest of such tuples.
        """
        from maas.backend.call_context import enter, leave
        from maas.backend.keras_tensor import KerasTensor
        from maas.backend.shape_inference import compute_output_spec

        if input_shape is None or all(layer.built for layer in self._layers):
            return
        inputs = tree.map_shape_structure(lambda s: KerasTensor(s, dtype=self.input_dtype), input_shape)
        _, opened = enter(self)
        try:
            compute_output_spec(self.call, (inputs,), {})
        finally:
            if opened:
                leave()

    build._is_default = True

    _accuracy = "fast"

    def optimize(self, precision="float32", accuracy="fast"):
        """The model computed in another way: `optimize()(x) ~ self(x)`. It has the same layers and weights.

        Args:
            precision: "float32".
            accuracy: "fast", as every model is, or "exact": no algorithm that trades rounding errors for speed
                (Winograd's convolution, which training's forward pass never uses).

        Returns:
            `Model`, not compiled. Exported to `.maas`, the file keeps the accuracy; copies, Keras's own files and
            models that this one becomes a part of do not.

        Raises:
            ValueError: for another accuracy, or a model without `inputs` and `outputs`.
            NotImplementedError: for another precision.
        """
        self._check_optimize(precision, accuracy)
        inputs, outputs = getattr(self, "inputs", None), getattr(self, "outputs", None)
        if inputs is None or outputs is None:
            raise ValueError(
                f"{self._label()}: optimize() needs a functional or a built Sequential model; functions take "
                f"maas.jit(f, accuracy=...), received a {type(self).__name__}"
            )
        from maas.models.functional import Functional

        graph = getattr(self, "_functional", self)  # its inputs in the structure that calls have
        model = Functional(graph.input, graph.output, name=self.name)
        model._accuracy = accuracy
        return model

    def _check_optimize(self, precision, accuracy):
        if accuracy not in ("fast", "exact"):
            raise ValueError(f"{self._label()}: accuracy must be 'fast' or 'exact', received {accuracy!r}")
        if precision != "float32":
            raise NotImplementedError(f"{self._label()}: optimize() knows precision='float32', received {precision!r}")

    compute_loss_and_updates = NotYet()
    get_quantization_layer_structure = NotYet()
    get_state_tree = NotYet()
    jax_state_sync = NotYet()
    set_state_tree = NotYet()
    stateless_compute_loss = NotYet()

    def _lock_state(self):
        # Users may attach layers to a model after it is built.
        pass

    @property
    def layers(self):
        """The layers directly in the model."""
        return list(self._flatten_layers(include_self=False, recursive=False))

    @layers.setter
    def layers(self, _):
        raise AttributeError(f"{self._label()}: `layers` is reserved, use another name for the attribute")

    def get_layer(self, name=None, index=None):
        """The layer of this name or at this position.

        Raises:
            ValueError: if there is none, or not exactly one of `name` and `index` is given.
        """
        if (name is None) == (index is None):
            raise ValueError(
                f"{self._label()}: get_layer() takes a name or an index, received name={name!r}, index={index!r}"
            )
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"{self._label()}: get_layer() with {len(layers)} layers, received index={index}")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(
            f"{self._label()}: no layer of this name; there are {[layer.name for layer in layers]}, received {name!r}"
        )

    def summary(
        self,
        line_length=None,
        positions=None,
        print_fn=None,
        expand_nested=False,
        show_trainable=False,
        layer_range=None,
    ):
        """Print a table of the layers, their output shapes and their numbers of parameters.

        Args:
            line_length: int, width of the table.
            positions: list of relative column ends, such as [0.45, 0.8, 1.0].
            print_fn: callable that gets the text in place of the terminal.
            expand_nested: bool, list the layers of nested models too.
            show_trainable: bool, add a column.
            layer_range: two layer names or patterns, first and last row.

        Raises:
            ValueError: if the width or the range does not fit.
        """
        from maas.models.summary import print_summary

        print_summary(self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range)

    def build_from_config(self, config):
        if not config:
            return
        status = False
        if "input_shape" in config:
            from maas.layers.building import shape_tuples

            self.build(shape_tuples(config["input_shape"]))
            status = self.built
        if not status and "shapes_dict" in config:
            super().build_from_config(config)

    # ---- files

    def save(self, filepath, overwrite=True, zipped=None, **kwargs):
        """Save architecture, weights and training state as `.keras` or `.maas` (or legacy `.h5`).

        Args:
            filepath: str or path.
            overwrite: bool, whether an existing file may be replaced.
        """
        from maas.saving import save_model

        if zipped is not None:
            kwargs["zipped"] = zipped
        return save_model(self, filepath, overwrite=overwrite, **kwargs)

    def profile(self, x, y=None, sample_weight=None, repeats=20):
        """Where the time of one run goes: a table of steps with kernels, times and shares of the measured peak.

        Args:
            x: input data; all of it is one batch.
            y, sample_weight: targets and weights; with targets one training step is profiled. Weights, optimizer and
                metrics are put back afterwards.
            repeats: int, runs that the times are means of.

        Returns:
            `maas.utils.profile.Profile`; its `save_trace(path)` writes a file for Perfetto.
        """
        from maas.utils.profile import profile_model

        return profile_model(self, x, y, sample_weight, repeats)

    def export(self, filepath, format=None, verbose=None, input_signature=None, overwrite=True):
        """Write what is needed to run the model, without its training state.

        Args:
            filepath: str or path.
            format: "maas" or "onnx" (which needs the extra `[onnx]`); by default what the suffix says.
            verbose: bool, whether to print where the file is.
            input_signature: specs with `shape` and `dtype`, nested like the model's input (such as `KerasTensor` or
                `InputSpec`), for a subclassed model that was never called.
            overwrite: bool, whether an existing file may be replaced.

        Raises:
            ValueError: for another format, or a model that is not built.
            NotImplementedError: for an op that ONNX files cannot say.
        """
        import os

        from maas.saving.saving_api import write_maas, write_onnx

        path = os.fspath(filepath)
        format = format or os.path.splitext(path)[1].removeprefix(".")
        if format not in ("maas", "onnx"):
            raise ValueError(
                f"{self.name}: a model is exported as 'maas' or 'onnx' (a path that ends in .maas or .onnx), "
                f"received {format!r}"
            )
        if format == "onnx":
            write_onnx(self, path, overwrite, input_signature=input_signature)
        else:
            write_maas(self, path, overwrite, with_training_state=False, input_signature=input_signature)
        if verbose:
            print(f"exported '{self.name}' to {path}")

    def save_weights(self, filepath, overwrite=True, **kwargs):
        """Save the weights as `.weights.h5`."""
        from maas.saving import save_weights

        return save_weights(self, filepath, overwrite=overwrite, **kwargs)

    def load_weights(self, filepath, skip_mismatch=False, **kwargs):
        """Load weights from a file that `save_weights` or `save` wrote."""
        from maas.saving import load_weights

        return load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def to_json(self, **kwargs):
        """The architecture as JSON text; `model_from_json` reads it."""
        from maas.saving.serialization import serialize_keras_object

        return json.dumps(serialize_keras_object(self), **kwargs)

    def __reduce__(self):
        from maas.saving.pickling import reduce_model

        return reduce_model(self)

    def get_config(self):
        return super().get_config()

    @classmethod
    def from_config(cls, config, custom_objects=None):
        from maas.models.functional import Functional
        from maas.models.functional_config import functional_from_config

        is_functional = all(k in config for k in ("name", "layers", "input_layers", "output_layers"))
        if is_functional and (cls in (Functional, Model) or _functional_like(cls)):
            return functional_from_config(Functional if cls is Model else cls, config, custom_objects=custom_objects)
        return super().from_config(config)


def _is_functional_call(args, kwargs):
    return len(args) == 2 or (len(args) == 1 and "outputs" in kwargs) or ("inputs" in kwargs and "outputs" in kwargs)


def _functional_like(cls):
    """True if the constructor takes what `Functional` takes."""
    spec = inspect.getfullargspec(cls.__init__)
    return spec.args[1:] == ["inputs", "outputs", "name"] or (spec.varargs is not None and spec.varkw is not None)


def _make_functional(cls):
    """Put `Functional` in the place of `Model` among the bases of a subclass."""
    from maas.models.functional import Functional

    if cls is Model:
        return Functional
    if cls is object or not issubclass(cls, Model):
        return cls
    cls.__bases__ = tuple(_make_functional(base) for base in cls.__bases__)
    return cls


def model_from_json(json_string, custom_objects=None):
    """Model (not compiled, with new weights) from the text that `to_json` made.

    Raises:
        ValueError: if the text is not the JSON of a model.
    """
    from maas.saving.serialization import deserialize_keras_object

    try:
        config = json.loads(json_string)
    except json.JSONDecodeError as e:
        raise ValueError(f"model_from_json: the text is not JSON ({e}), received {json_string[:40]!r}") from None
    return deserialize_keras_object(config, custom_objects=custom_objects)
