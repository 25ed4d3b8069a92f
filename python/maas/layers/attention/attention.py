"""`Attention`: dot-product attention on sequences."""

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
        scores = self._scores(query, key)
        keep = None if v_mask is None else ops.expand_dims(ops.cast(v_mask, "bool"), -2)
        if use_causal_mask:
            t, s = query.shape[1], key.shape[1]
            if t is None or s is None:
                t, s = ops.shape(query)[1], ops.shape(key)[1]
            causal = ops.greater_equal(ops.expand_dims(ops.arange(t), -1), ops.expand_dims(ops.arange(s), 0))
            causal = ops.expand_dims(causal, 0)
            keep = causal if keep is None else ops.logical_and(keep, causal)
        if keep is not None:
            far = 65504.0 if scores.dtype == "float16" else 1.0e9
            scores = ops.subtract(scores, ops.multiply(ops.cast(ops.logical_not(keep), scores.dtype), far))
        weights = ops.softmax(scores, axis=-1)
        if training and self.dropout > 0:
            from maas import random

            weights = random.dropout(weights, self.dropout, seed=self.seed_generator)
        result = ops.matmul(weights, value)
        if q_mask is not None:
            result = ops.multiply(result, ops.cast(ops.expand_dims(q_mask, -1), result.dtype))
        return (result, weights) if return_attention_scores else result

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
