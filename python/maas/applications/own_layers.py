"""Layers that only some of the image models have; files of Keras name them, `maas.layers` does not."""

from maas.layers.layer import Layer

__all__ = ["CustomScaleLayer", "LayerScale", "StochasticDepth"]


class CustomScaleLayer(Layer):
    """`x + scale * y` of two tensors of one shape.

    Args:
        scale: number.
    """

    keras_home = "inception_resnet_v2"

    def __init__(self, scale, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs):
        return inputs[0] + inputs[1] * self.scale

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


class LayerScale(Layer):
    """`x * gamma`, a trained number per channel.

    Args:
        init_values: number, gamma at the start.
        projection_dim: int, channels.

    Reference: Touvron et al., 2021, "Going deeper with image transformers", arXiv:2103.17239.
    """

    keras_home = "convnext"

    def __init__(self, init_values, projection_dim, **kwargs):
        super().__init__(**kwargs)
        self.init_values, self.projection_dim = init_values, projection_dim

    def build(self, input_shape):
        from maas.initializers import Constant

        self.gamma = self.add_weight(shape=(self.projection_dim,), initializer=Constant(self.init_values))

    def call(self, x):
        return x * self.gamma

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "init_values": self.init_values, "projection_dim": self.projection_dim}


class StochasticDepth(Layer):
    """0 with probability `drop_path_rate`, else `x / (1 - drop_path_rate)`, for each row of the batch while training.

    Args:
        drop_path_rate: number in [0, 1).

    Reference: Huang et al., 2016, "Deep networks with stochastic depth", arXiv:1603.09382.
    """

    keras_home = "convnext"

    def __init__(self, drop_path_rate, **kwargs):
        super().__init__(**kwargs)
        self.drop_path_rate = drop_path_rate

    def call(self, x, training=None):
        from maas import random

        rows = (None, *(1,) * (len(x.shape) - 1))
        return random.dropout(x, self.drop_path_rate, noise_shape=rows) if training else x

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "drop_path_rate": self.drop_path_rate}
