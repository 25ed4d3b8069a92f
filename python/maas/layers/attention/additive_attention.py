"""`AdditiveAttention`: Bahdanau's attention."""

from maas.layers.attention.attention import Attention


class AdditiveAttention(Attention):
    """`softmax(sum(scale tanh(q + k))) v` for inputs `[query, value]` or `[query, value, key]` of shapes (B, T, d),
    (B, S, d), (B, S, d).

    Args:
        use_scale: bool, a learned factor for every feature.
        dropout: number in [0, 1], on the weights of the sum.
        seed: int or None.

    Raises:
        ValueError: for a wrong input.
    Reference: Bahdanau et al., 2015, arXiv:1409.0473.
    """

    def __init__(self, use_scale=True, dropout=0.0, **kwargs):
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape):
        self._check(input_shape)
        if self.use_scale:
            self.scale = self.add_weight(name="scale", shape=(input_shape[0][-1],), initializer="glorot_uniform")

    def _fused(self):
        return False

    def _scores(self, query, key):
        from maas import ops

        total = ops.tanh(ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3)))
        return ops.sum(total if self.scale is None else ops.multiply(total, self.scale), axis=-1)

    def get_config(self):
        config = super().get_config()
        del config["score_mode"]
        return config
