"""`Sequential`: a plain stack of layers."""

import inspect

from maas import tree
from maas.backend.masks import get_keras_mask
from maas.backend.standardize import standardize_shape
from maas.layers.call_spec import call_signature
from maas.layers.core.input_layer import InputLayer
from maas.layers.layer import Layer
from maas.models.functional import Functional
from maas.models.model import Model
from maas.models.trainer import Trainer


class Sequential(Model):
    """Stack of layers, each fed with the output of the one before.

    Without an `Input` (or an `input_shape` on the first layer) the model is built when it first sees data.

    Args:
        layers: list of layers; the first may be an `Input`.
        trainable: bool.
        name: str.

    Raises:
        ValueError: if something is not a layer or two layers share a name.
    """

    def __init__(self, layers=None, trainable=True, name=None):
        Layer.__init__(self, trainable=trainable, name=name)
        Trainer.__init__(self)
        object.__setattr__(self, "_stack", [])
        object.__setattr__(self, "_functional", None)
        if isinstance(layers, Layer) or (layers is not None and not hasattr(layers, "__iter__")):
            raise ValueError(f"{self._label()}: `layers` must be a list of layers, received {layers!r}")
        if layers:
            for layer in layers:
                self.add(layer, rebuild=False)
            self._maybe_rebuild()

    @property
    def _layers(self):
        return self._stack

    def _changed(self):
        self.built = False
        object.__setattr__(self, "_functional", None)
        self._tracker.touch()

    def add(self, layer, rebuild=True):
        """Put a layer on top of the stack.

        Args:
            layer: Layer, or the KerasTensor that `Input` returned.
            rebuild: bool, make the weights at once if the input's shape is known.

        Raises:
            ValueError: if it is not a layer, its name is taken, or it is a second input.
        """
        if not self._stack and getattr(layer, "_input_shape_arg", None) is not None:
            self.add(InputLayer(shape=layer._input_shape_arg, batch_size=layer._input_batch_size_arg), rebuild=False)
        if hasattr(layer, "_keras_history") and isinstance(layer._keras_history.operation, InputLayer):
            layer = layer._keras_history.operation
        if not isinstance(layer, Layer):
            raise ValueError(
                f"{self._label()}: only layers can be added, received {layer!r} (of type {type(layer).__name__})"
            )
        if any(layer.name == other.name and layer is not other for other in self._stack):
            raise ValueError(f"{self._label()}: names of layers must be unique, received a second '{layer.name}'")
        if isinstance(layer, InputLayer) and self._stack and isinstance(self._stack[0], InputLayer):
            raise ValueError(
                f"{self._label()}: the model already has the input shape {self._stack[0].batch_shape}, received "
                f"another {layer.batch_shape}"
            )
        self._stack.append(layer)
        self._changed()
        if rebuild:
            self._maybe_rebuild()

    def pop(self, rebuild=True):
        """Take the last layer off the stack and return it."""
        if not self._stack:
            raise ValueError(f"{self._label()}: pop() needs at least one layer, received an empty model")
        layer = self._stack.pop()
        self._changed()
        if rebuild and self._stack:
            self._maybe_rebuild()
        return layer

    def _maybe_rebuild(self):
        self._changed()
        first = self._stack[0]
        if len(self._stack) < 2:
            return
        if isinstance(first, InputLayer):
            self.build(first.batch_shape)
        elif isinstance(first, (Functional, Sequential)) and getattr(first, "_functional", first) is not None:
            self.build(first.input_shape)

    def build(self, input_shape=None):
        """Make the weights of all layers.

        Args:
            input_shape: tuple with the batch axis.

        Raises:
            ValueError: if the model is empty, or was made for another input shape.
        """
        try:
            input_shape = standardize_shape(input_shape)
        except ValueError:
            return  # inputs that are not one tensor: layers build themselves as they are called
        if not self._stack:
            raise ValueError(
                f"{self._label()}: a model without layers cannot be built; call add(layer), received {input_shape}"
            )
        first = self._stack[0]
        if isinstance(first, InputLayer):
            if first.batch_shape != input_shape:
                raise ValueError(
                    f"{self._label()}: the model was made for inputs of shape {first.batch_shape}, received "
                    f"{input_shape}"
                )
        else:
            self._stack.insert(0, InputLayer(batch_shape=input_shape, dtype=first.compute_dtype))
        inputs = x = self._stack[0].output
        for layer in self._stack[1:]:
            try:
                x = layer(x)
            except NotImplementedError:
                return  # the output's shape is not known; the stack still runs layer by layer
            except TypeError:
                self._check_single_input(layer)
                raise
        functional = Functional(inputs=inputs, outputs=x)
        # Users know this model, not the one inside.
        object.__setattr__(functional, "_shown_as", self._label())
        object.__setattr__(self, "_functional", functional)

    def _check_single_input(self, layer):
        parameters = list(call_signature(type(layer).call).parameters.values())
        positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        required = [p.name for p in positional if p.default is inspect.Parameter.empty]
        if not positional or len(required) > 1:
            raise ValueError(
                f"{self._label()}: layers must take exactly one required input, received {type(layer).__name__} "
                f"with {required}"
            ) from None

    def call(self, inputs, training=None, mask=None, **kwargs):
        if self._functional is not None:
            return self._functional.call(inputs, training=training, mask=mask, **kwargs)
        for layer in self.layers:
            names = call_signature(type(layer).call).parameters
            own = {k: v for k, v in kwargs.items() if k in layer._call_context_args}
            if "mask" in names:
                own["mask"] = mask
            if "training" in names and training is not None:
                own["training"] = training
            inputs = layer(inputs, **own)
            mask = tree.map_structure(get_keras_mask, inputs)
        return inputs

    @property
    def layers(self):
        """The layers that were added, without the input."""
        return self._stack[1:] if self._stack and isinstance(self._stack[0], InputLayer) else self._stack[:]

    @layers.setter
    def layers(self, _):
        raise AttributeError(f"{self._label()}: `layers` is reserved; change the stack with add() and pop()")

    def compute_output_spec(self, inputs, training=None, mask=None, **kwargs):
        if self._functional is not None:
            return self._functional.compute_output_spec(inputs, training=training, mask=mask)
        for layer in self.layers:
            inputs = layer.compute_output_spec(inputs)
        return inputs

    def compute_output_shape(self, input_shape):
        if self._functional is not None:
            return self._functional.compute_output_shape(input_shape)
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def _of_functional(self, what):
        if self._functional is None:
            raise AttributeError(
                f"{self._label()}: no {what} yet; give the model an Input, call build(input_shape), or call it on data"
            )
        return getattr(self._functional, what)

    inputs = property(lambda self: self._of_functional("inputs"), doc="Flat list of the symbolic inputs.")
    outputs = property(lambda self: self._of_functional("outputs"), doc="Flat list of the symbolic outputs.")
    input_shape = property(lambda self: self._of_functional("input_shape"))
    output_shape = property(lambda self: self._of_functional("output_shape"))
    output_names = property(lambda self: self._of_functional("output_names"))
    input_names = property(lambda self: self._of_functional("input_names"))

    @property
    def input_dtype(self):
        first = self._stack[0] if self._stack else None
        return first.dtype if isinstance(first, InputLayer) else super().input_dtype

    def get_config(self):
        from maas.saving.serialization import serialize_keras_object

        config = {
            **Layer.get_config(self),
            "name": self.name,
            "layers": [serialize_keras_object(layer) for layer in self._stack],
        }
        if self._functional is not None:
            config["build_input_shape"] = self._stack[0].batch_shape
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        from maas.saving.serialization import deserialize_keras_object

        if "name" not in config or "layers" not in config:
            raise ValueError(
                f"{cls.__name__}: the config must have the keys 'name' and 'layers', received {sorted(config)}"
            )
        model = cls(name=config["name"])
        for layer in config["layers"]:
            model.add(deserialize_keras_object(layer, custom_objects=custom_objects), rebuild=False)
        if model._stack:
            model._maybe_rebuild()
        shape = config.get("build_input_shape")
        if model._functional is None and isinstance(shape, (list, tuple)) and shape:
            model.build(tuple(shape) if tree.is_shape(shape) else shape)
        return model
