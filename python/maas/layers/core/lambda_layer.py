"""`Lambda`: a function as a layer. Functions are never read from files as byte code."""

import inspect

from maas import tree
from maas.backend.keras_tensor import KerasTensor
from maas.layers.layer import Layer


class Lambda(Layer):
    """`function(inputs, **arguments)`.

    A named function can be saved once it is registered with `maas.saving.register_keras_serializable()`; a `lambda`
    cannot be saved.

    Args:
        function: callable of one input; it may also take `mask` and `training`.
        output_shape: tuple without the batch axis, or a callable from input shape to output shape; by default found by
            tracing.
        mask: None, or a callable `(inputs, mask) -> mask`.
        arguments: dict of further keyword arguments.
    """

    def __init__(self, function, output_shape=None, mask=None, arguments=None, **kwargs):
        super().__init__(**kwargs)
        if not callable(function):
            raise ValueError(f"{self._label()}: `function` must be callable, received {function!r}")
        self.arguments = arguments or {}
        self.function = function
        self.supports_masking = mask is not None
        self.mask = mask
        self._output_shape = output_shape
        names = inspect.signature(function).parameters
        self._takes_training, self._takes_mask = "training" in names, "mask" in names

    def call(self, inputs, mask=None, training=None):
        kwargs = dict(self.arguments)
        if self._takes_mask:
            kwargs["mask"] = mask
        if self._takes_training:
            kwargs["training"] = training
        return self.function(inputs, **kwargs)

    def compute_mask(self, inputs, mask=None):
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def compute_output_spec(self, inputs, mask=None, training=None):
        if self._output_shape is None:
            from maas.backend.shape_inference import compute_output_spec

            return compute_output_spec(self.call, (inputs,), {"mask": mask, "training": training})
        shape = self.compute_output_shape(tree.map_structure(lambda x: x.shape, inputs))
        return tree.map_shape_structure(lambda s: KerasTensor(s, dtype=self.compute_dtype), shape)

    def compute_output_shape(self, input_shape):
        if self._output_shape is None:
            inputs = tree.map_shape_structure(lambda s: KerasTensor(s, dtype=self.compute_dtype), input_shape)
            return tree.map_structure(lambda x: x.shape, self.compute_output_spec(inputs))
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        batch = tree.flatten(input_shape)[0]
        return tree.map_shape_structure(lambda s: (batch, *s), self._output_shape)

    def get_config(self):
        from maas.saving.serialization import serialize_keras_object

        def saved(value):
            if callable(value) and getattr(value, "__name__", "") == "<lambda>":
                raise ValueError(
                    f"{self._label()}: a lambda cannot be saved; use a named function registered with "
                    f"`maas.saving.register_keras_serializable()`, received {value!r}"
                )
            return serialize_keras_object(value) if callable(value) else value

        config = {**super().get_config(), "function": saved(self.function)}
        if self._output_shape is not None:
            config["output_shape"] = saved(self._output_shape)
        if self.mask is not None:
            config["mask"] = saved(self.mask)
        return {**config, "arguments": serialize_keras_object(self.arguments)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        from maas.saving.serialization import deserialize_keras_object

        config = dict(config)
        for key in ("function", "output_shape", "mask", "arguments"):
            value = config.get(key)
            if isinstance(value, dict) and value.get("class_name") == "__lambda__":
                raise ValueError(
                    f"Lambda '{config.get('name')}': the file holds byte code of a lambda for `{key}`, which is "
                    f"never run; register a named "
                    f"function in its place, received {key} of class '__lambda__'"
                )
            if isinstance(value, (dict, str)):
                value = deserialize_keras_object(value, custom_objects=custom_objects)
            if isinstance(value, list) and tree.is_shape(value):
                value = tuple(value)
            if key in config:
                config[key] = value
        return cls(**config)
