"""Learned positions."""

from maas.layers import Layer
from maas.saving import register_keras_serializable


@register_keras_serializable(package="maas")
class PositionEmbedding(Layer):
    """`y[b, t] = x[b, t] + table[t]`: a learned vector for every place in a sequence.

    Args:
        sequence_length: int, the longest sequence.
        initializer: of the table (sequence_length, features).

    Reference: Devlin et al., 2018, "BERT", arXiv:1810.04805.
    """

    def __init__(self, sequence_length, initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        from maas import initializers

        self.sequence_length, self.initializer = int(sequence_length), initializers.get(initializer)

    def build(self, input_shape):
        if input_shape[1] is not None and input_shape[1] > self.sequence_length:
            raise ValueError(
                f"{self._label()}: sequences must have at most {self.sequence_length} steps, received {input_shape}"
            )
        shape = (self.sequence_length, input_shape[-1])
        self.table = self.add_weight(name="table", shape=shape, initializer=self.initializer)

    def call(self, inputs):
        from maas import ops

        return ops.add(inputs, self.table[: ops.shape(inputs)[1]])

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        from maas import initializers

        own = {"sequence_length": self.sequence_length, "initializer": initializers.serialize(self.initializer)}
        return {**super().get_config(), **own}
