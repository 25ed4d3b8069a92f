"""`Attention`: dot-product attention on sequences."""

from maas.layers.attention import masks
from maas.layers.layer import Layer


class Attention(Layer):
    """`softmax(q k^T) v` for inputs `[query, value]` or `[query, value, key]` of shapes (B, T, d), (B, S, e), (B, S,
    d).

    Args:
        use_scale: bool, a learned factor on the scores.
        score_mode: "dot" (q k^T) or "concat" (sum(tanh(q + k)) with a learned factor).
        dropout: number in [0, 1], on the weights of the sum.
        seed: int or None.

    Raises:
        ValueError: for a wrong argument or input.
    """

    def __init__(self, use_scale=False, score_mode="dot", dropout=0.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        if score_mode not in ("dot", "concat"):
            raise ValueError(f"{self._label()}: `score_mode` must be 'dot' or 'concat', received {score_mode!r}")
        self.use_scale, self.score_mode, self.dropout, self.seed = use_scale, score_mode, dropout, seed
        if dropout > 0:
            from maas.random import SeedGenerator

            self.seed_generator = SeedGenerator(seed)
        self.scale = self.concat_score_weight = None
        self.supports_masking = True

    def build(self, input_shape):
        self._check(input_shape)
        if self.use_scale:
            self.scale = self.add_weight(name="scale", shape=(), initializer="ones")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight(name="concat_score_weight", shape=(), initializer="ones")

    def _check(self, inputs):
        if not isinstance(inputs, (list, tuple)) or len(inputs) not in (2, 3):
            raise ValueError(
                f"{self._label()}: the input must be [query, value] or [query, value, key], received {inputs!r}"
            )

    def _scores(self, query, key):
        from maas import ops

        if self.score_mode == "dot":
            scores = ops.matmul(query, ops.transpose(key, axes=(0, 2, 1)))
            return scores if self.scale is None else ops.multiply(scores, self.scale)
        q, k = ops.expand_dims(query, -2), ops.expand_dims(key, -3)
        total = ops.add(q, k) if self.scale is None else ops.multiply(ops.add(q, k), self.scale)
        return ops.multiply(ops.sum(ops.tanh(total), axis=-1), self.concat_score_weight)

    def call(self, inputs, mask=None, training=False, return_attention_scores=False, use_causal_mask=False):
        from maas import ops

        self._check(inputs)
        query, value = inputs[0], inputs[1]
        key = inputs[2] if len(inputs) > 2 else value
        q_mask, v_mask = (mask[0], mask[1]) if mask else (None, None)
        keep = None if v_mask is None else ops.expand_dims(ops.cast(v_mask, "bool"), -2)
        if not return_attention_scores and self._fused() and len(query.shape) == 3:
            return self._zero_masked(self._attend(query, key, value, keep, training, use_causal_mask), q_mask)
        scores = self._scores(query, key)
        if use_causal_mask:
            keep = masks.both(keep, masks.by_position(query, key, True, None))
        if keep is not None:
            far = 65504.0 if scores.dtype == "float16" else 1.0e9
            scores = ops.subtract(scores, ops.multiply(ops.cast(ops.logical_not(keep), scores.dtype), far))
        weights = ops.softmax(scores, axis=-1)
        if training and self.dropout > 0:
            from maas import random

            weights = random.dropout(weights, self.dropout, seed=self.seed_generator)
        result = self._zero_masked(ops.matmul(weights, value), q_mask)
        return (result, weights) if return_attention_scores else result

    def _fused(self):
        return self.score_mode == "dot"

    def _attend(self, query, key, value, keep, training, causal):
        """One head of the fused operation."""
        from maas import ops
        from maas.ops.attention import attend

        if self.scale is not None:
            query = ops.multiply(query, self.scale)
        dropout = self.dropout if training else 0.0
        out = attend(
            *(ops.expand_dims(x, 2) for x in (query, key, value)),
            mask=None if keep is None else ops.expand_dims(keep, 1), scale=1.0, is_causal=causal, dropout=dropout,
            seed=self.seed_generator if dropout else None,
        )  # fmt: skip
        return ops.squeeze(out, 2)

    @staticmethod
    def _zero_masked(result, q_mask):
        from maas import ops

        if q_mask is None:
            return result
        return ops.where(ops.expand_dims(ops.cast(q_mask, "bool"), -1), result, ops.zeros_like(result))

    def compute_mask(self, inputs, mask=None):
        return None if mask is None or mask[0] is None else mask[0]

    def compute_output_shape(self, input_shape):
        return (*input_shape[0][:-1], input_shape[1][-1])

    def compute_output_spec(
        self, inputs, mask=None, training=False, return_attention_scores=False, use_causal_mask=False
    ):
        from maas.backend.keras_tensor import KerasTensor

        self._check(inputs)
        query, value = inputs[0], inputs[1]
        key = inputs[2] if len(inputs) > 2 else value
        out = KerasTensor((*query.shape[:-1], value.shape[-1]), dtype=self.compute_dtype)
        if not return_attention_scores:
            return out
        return out, KerasTensor((query.shape[0], query.shape[1], key.shape[1]), dtype=self.compute_dtype)

    def get_config(self):
        own = {"use_scale": self.use_scale, "score_mode": self.score_mode, "dropout": self.dropout, "seed": self.seed}
        return {**super().get_config(), **own}
