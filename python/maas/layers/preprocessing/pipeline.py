"""Layers one after the other, as one preprocessing layer."""

from maas.layers.layer import Layer


class Pipeline(Layer):
    """`layers[-1](... layers[0](inputs))`, for data; unlike a model it needs no shapes.

    Args:
        layers: list of layers.
    """

    def __init__(self, layers, name=None):
        super().__init__(name=name)
        self._pipeline_layers = list(layers)
        self._convert_input_args, self._allow_non_tensor_positional_args = False, True

    @property
    def layers(self):
        """The layers, in order."""
        return self._pipeline_layers

    def call(self, inputs, training=True, mask=None):
        from maas import tree
        from maas.backend.masks import get_keras_mask

        for layer in self._pipeline_layers:
            kwargs = {"mask": mask} if layer._call_has_mask_arg else {}
            if layer._call_has_training_arg and training is not None:
                kwargs["training"] = training
            inputs = layer(inputs, **kwargs)
            mask = tree.map_structure(get_keras_mask, inputs)
        return inputs

    def compute_output_shape(self, input_shape):
        for layer in self._pipeline_layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def get_config(self):
        from maas.saving.serialization import serialize_keras_object

        return {"layers": serialize_keras_object(list(self._pipeline_layers)), "name": self.name}

    @classmethod
    def from_config(cls, config):
        from maas.saving.serialization import deserialize_keras_object

        layers = config.get("layers")
        if not isinstance(layers, (list, tuple)):
            raise ValueError(f"Pipeline: the config must hold a list of layers, received layers={layers!r}")
        made = [x if isinstance(x, Layer) else deserialize_keras_object(x) for x in layers]
        for layer in made:
            if not isinstance(layer, Layer):
                raise ValueError(f"Pipeline: the config must hold layers, received {type(layer).__name__}")
        return cls(**{**config, "layers": made})
