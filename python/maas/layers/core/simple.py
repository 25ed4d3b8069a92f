"""Small core layers: Activation, Identity, Masking, ActivityRegularization."""

from maas.layers.layer import Layer
from maas.layers.options import config_of, set_options


class Activation(Layer):
    """`activation(inputs)`.

    Args:
        activation: name or callable.
    """

    def __init__(self, activation, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        set_options(self, activation=activation)
        self._build_at_init()

    def call(self, inputs):
        return self.activation(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), **config_of(self, "activation")}


class Identity(Layer):
    """`inputs` themselves."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self._build_at_init()

    def call(self, inputs):
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, inputs):
        from maas import tree
        from maas.backend.keras_tensor import KerasTensor

        return tree.map_structure(lambda x: KerasTensor(x.shape, dtype=x.dtype), inputs)

    def get_config(self):
        return super().get_config()


class Masking(Layer):
    """Steps whose features all equal `mask_value` are masked out and set to 0.

    Args:
        mask_value: number.
    """

    def __init__(self, mask_value=0.0, **kwargs):
        super().__init__(**kwargs)
        if isinstance(mask_value, dict):
            mask_value = mask_value["config"]["value"]
        self.mask_value = mask_value
        self.supports_masking = True
        self._build_at_init()

    def compute_mask(self, inputs, mask=None):
        from maas import ops

        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs):
        from maas import ops
        from maas.backend.masks import set_keras_mask

        kept = ops.any(ops.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        outputs = ops.multiply(inputs, ops.cast(kept, inputs.dtype))
        set_keras_mask(outputs, ops.squeeze(kept, axis=-1))
        return outputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "mask_value": self.mask_value}


class ActivityRegularization(Layer):
    """Adds `l1 * sum(|x|) + l2 * sum(x^2)` of its input, divided by the batch size, to the losses.

    Args:
        l1, l2: numbers >= 0.
    """

    def __init__(self, l1=0.0, l2=0.0, **kwargs):
        from maas import regularizers

        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.supports_masking = True
        self.l1, self.l2 = l1, l2
        self._build_at_init()

    def call(self, inputs):
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.pop("activity_regularizer", None)
        return {**config, "l1": self.l1, "l2": self.l2}
