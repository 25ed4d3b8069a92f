"""`GroupQueryAttention`: several query heads share one head of keys and values."""

from maas.backend.keras_tensor import KerasTensor
from maas.backend.naming import auto_name
from maas.layers.activation.activations import Softmax
from maas.layers.attention import masks
from maas.layers.core.einsum_dense import EinsumDense
from maas.layers.layer import Layer
from maas.layers.options import check_positive, config_of, set_options
from maas.layers.regularization.dropout import Dropout

_OPTIONS = (
    "kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer", "activity_regularizer",
    "kernel_constraint", "bias_constraint",
)  # fmt: skip


class GroupQueryAttention(Layer):
    """`concat_h(softmax(q_h k_g^T / sqrt(head_dim)) v_g) W`, where head h reads key head g = h // (heads / key heads).

    The heads of keys and values are read where they lie, never repeated in memory.

    Args:
        head_dim: int, size of every head.
        num_query_heads, num_key_value_heads: ints; the first is a multiple of the second.
        dropout: number in [0, 1), on the attention weights.
        use_bias: bool, of the projections.
        sliding_window: int or None; a query sees only keys less than that many steps away.
        flash_attention: accepted; the fused kernel runs wherever it can.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint: of the projections.
        use_gate: bool, multiply the heads by `sigmoid` of a projection of the query.
        seed: int or None, of the dropout.

    Call arguments:
        query (B, T, d), value (B, S, d), key (B, S, d, default `value`), attention_mask (B, T, S) with True where
        attention is allowed, return_attention_scores, use_causal_mask, and the masks of the three inputs.

    Raises:
        ValueError: for a wrong argument.
    Reference: Ainslie et al., 2023, "GQA", arXiv:2305.13245.
    """

    keras_class = "GroupedQueryAttention"  # Keras's class, which it exports under the shorter name; files have this one

    def __init__(
        self, head_dim, num_query_heads, num_key_value_heads, dropout=0.0, use_bias=True, sliding_window=None,
        flash_attention=None, kernel_initializer="glorot_uniform", bias_initializer="zeros", kernel_regularizer=None,
        bias_regularizer=None, activity_regularizer=None, kernel_constraint=None, bias_constraint=None, use_gate=False,
        seed=None, **kwargs,
    ):  # fmt: skip
        values = locals()
        if kwargs.get("name") is None:
            kwargs["name"] = auto_name("grouped_query_attention")
        super().__init__(**kwargs)
        owner = self._label()
        self.head_dim = check_positive(head_dim, "head_dim", owner)
        self.num_query_heads = check_positive(num_query_heads, "num_query_heads", owner)
        self.num_key_value_heads = check_positive(num_key_value_heads, "num_key_value_heads", owner)
        if num_query_heads % num_key_value_heads:
            raise ValueError(
                f"{owner}: `num_query_heads` must be a multiple of `num_key_value_heads`, received {num_query_heads} "
                f"and {num_key_value_heads}"
            )
        self.num_repeats = num_query_heads // num_key_value_heads
        self.dropout, self.use_bias, self.use_gate, self.seed = dropout, use_bias, use_gate, seed
        self.sliding_window = masks.check_window(sliding_window, owner)
        self._flash_attention = masks.check_flash(flash_attention, dropout, owner)
        set_options(self, **{n: values[n] for n in _OPTIONS})
        self.supports_masking = True

    def _projection(self, name, equation, sizes, letters, input_shape, activation=None):
        def fresh(initializer):
            # A copy, because one initializer object always draws the same values.
            if not hasattr(initializer, "get_config"):
                return initializer
            return type(initializer).from_config(initializer.get_config())

        layer = EinsumDense(
            equation, output_shape=(None, *sizes), bias_axes=letters if self.use_bias else None, name=name,
            activation=activation, kernel_initializer=fresh(self.kernel_initializer),
            bias_initializer=fresh(self.bias_initializer), kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer, activity_regularizer=self.activity_regularizer,
            kernel_constraint=self.kernel_constraint, bias_constraint=self.bias_constraint, dtype=self.dtype_policy,
        )  # fmt: skip
        layer.build(tuple(input_shape))
        return layer

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        for name, shape in (("query", query_shape), ("key", key_shape), ("value", value_shape)):
            if len(shape) != 3 or shape[-1] is None:
                raise ValueError(
                    f"{self._label()}: the {name} must have rank 3 and a known last axis, received {tuple(shape)}"
                )
        self.feature_dim = query_shape[-1]
        q, kv = (self.num_query_heads, self.head_dim), (self.num_key_value_heads, self.head_dim)
        self._query_dense = self._projection("query", "bqm,muh->bquh", q, "uh", query_shape)
        self._key_dense = self._projection("key", "bkm,mvh->bkvh", kv, "vh", key_shape)
        if self.use_gate:
            self._gate_dense = self._projection("gate", "bqm,muh->bquh", q, "uh", query_shape, "sigmoid")
        self._value_dense = self._projection("value", "bkm,mvh->bkvh", kv, "vh", value_shape)
        self._softmax = Softmax(axis=-1, dtype=self.dtype_policy)
        self._dropout_layer = Dropout(rate=self.dropout, dtype=self.dtype_policy, seed=self.seed)
        self._output_dense = self._projection(
            "attention_output", "bquh,uhm->bqm", (self.feature_dim,), "m", (*query_shape[:-1], *q)
        )

    def call(
        self, query, value, key=None, query_mask=None, value_mask=None, key_mask=None, attention_mask=None,
        return_attention_scores=False, training=None, use_causal_mask=False,
    ):  # fmt: skip
        from maas import ops

        key = value if key is None else key
        masks.refuse_scores(self._flash_attention, return_attention_scores, self._label())
        mask = masks.join(query_mask, value_mask, key_mask, attention_mask)
        q, k, v = self._query_dense(query), self._key_dense(key), self._value_dense(value)
        output, scores = self._compute_attention(
            q, k, v, mask, training, use_causal_mask, return_attention_scores=return_attention_scores
        )
        if self.use_gate:
            output = ops.multiply(output, self._gate_dense(query))
        output = self._output_dense(output)
        return (output, scores) if return_attention_scores else output

    def _compute_attention(
        self, query, key, value, attention_mask=None, training=None, use_causal_mask=False,
        return_attention_scores=False,
    ):  # fmt: skip
        """Attention of projected heads: query (B, T, N, H), key and value (B, S, K, H).

        Returns:
            `(output (B, T, N, H), scores (B, N, T, S) or None)`.
        """
        from maas import ops
        from maas.ops.attention import attend

        scale = self.head_dim**-0.5
        if attention_mask is not None:
            attention_mask = masks.insert_axes(attention_mask, 4, -3)
        if not return_attention_scores:
            dropout = self.dropout if training else 0.0
            seed = self._dropout_layer.seed_generator if dropout else None
            output = attend(
                query, key, value, mask=attention_mask, scale=scale, is_causal=use_causal_mask,
                window=self.sliding_window, dropout=dropout, seed=seed,
            )  # fmt: skip
            return output, None
        near = masks.by_position(query, key, use_causal_mask, self.sliding_window)
        mask = masks.both(attention_mask, None if near is None else ops.expand_dims(near, 0))
        key, value = (ops.repeat(x, self.num_repeats, axis=2) for x in (key, value))
        scores = ops.einsum("bquh,bkuh->buqk", ops.multiply(query, scale), key)
        scores = self._softmax(scores, mask=mask)
        weights = self._dropout_layer(scores, training=training) if self.dropout > 0 else scores
        return ops.einsum("buqk,bkuh->bquh", weights, value), scores

    def compute_output_shape(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        if query_shape[-1] != value_shape[-1] or tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ValueError(
                f"{self._label()}: query and value need one last axis, value and key the same steps, received "
                f"{tuple(query_shape)}, {tuple(value_shape)} and {tuple(key_shape)}"
            )
        return tuple(query_shape)

    def compute_output_spec(
        self, query, value, key=None, query_mask=None, value_mask=None, key_mask=None, attention_mask=None,
        return_attention_scores=False, training=None, use_causal_mask=False,
    ):  # fmt: skip
        key = value if key is None else key
        shape = self.compute_output_shape(query.shape, value.shape, key.shape)
        output = KerasTensor(shape, dtype=self.compute_dtype)
        if not return_attention_scores:
            return output
        scores = (query.shape[0], self.num_query_heads, query.shape[1], key.shape[1])
        return output, KerasTensor(scores, dtype=self.compute_dtype)

    def get_config(self):
        names = (
            "head_dim", "num_query_heads", "num_key_value_heads", "use_bias", "use_gate", "sliding_window", "dropout",
            *_OPTIONS, "seed",
        )  # fmt: skip
        return {**super().get_config(), **config_of(self, *names)}
