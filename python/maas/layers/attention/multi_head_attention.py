"""`MultiHeadAttention`."""

import math
import string

from maas.backend.keras_tensor import KerasTensor
from maas.backend.masks import get_keras_mask, set_keras_mask
from maas.layers.activation.activations import Softmax
from maas.layers.attention import masks
from maas.layers.core.einsum_dense import EinsumDense
from maas.layers.layer import Layer
from maas.layers.options import check_positive, set_options
from maas.layers.regularization.dropout import Dropout


class MultiHeadAttention(Layer):
    """`concat_h(softmax(q_h k_h^T / sqrt(key_dim)) v_h) W`, where q, k, v are projections of query, key and value.

    Args:
        num_heads, key_dim, value_dim: ints; `value_dim` defaults to `key_dim`.
        dropout: number in [0, 1], on the attention weights.
        use_bias: bool, of the projections.
        output_shape: int or tuple, default the last axis of the query.
        attention_axes: axes to attend over, default all but batch, heads and features.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint: of the four projections, each of which draws values of its own.
        sliding_window: int or None; a query sees only keys less than that many steps away.
        flash_attention: accepted; the fused kernel runs wherever it can.
        use_gate: bool, multiply the heads by `sigmoid` of a projection of the query.
        seed: int or None, of the dropout.

    Call arguments:
        query (B, T, d), value (B, S, e), key (B, S, f, default `value`), attention_mask (B, T, S) with True where
        attention is allowed, return_attention_scores, use_causal_mask, and the masks of the three inputs.

    Raises:
        ValueError: for a wrong argument.
    Reference: Vaswani et al., 2017, "Attention Is All You Need", arXiv:1706.03762.
    """

    def __init__(
        self, num_heads, key_dim, value_dim=None, dropout=0.0, use_bias=True, output_shape=None, attention_axes=None,
        sliding_window=None,
        flash_attention=None, kernel_initializer="glorot_uniform", bias_initializer="zeros", kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None, kernel_constraint=None, bias_constraint=None, use_gate=False, seed=None, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        owner = self._label()
        self._num_heads = check_positive(num_heads, "num_heads", owner)
        self._key_dim = check_positive(key_dim, "key_dim", owner)
        self._value_dim = self._key_dim if value_dim is None else check_positive(value_dim, "value_dim", owner)
        self._dropout, self._use_bias, self.seed = dropout, use_bias, seed
        self._output_shape = (
            (output_shape,) if isinstance(output_shape, int) else tuple(output_shape) if output_shape else None
        )
        self._attention_axes = (
            (attention_axes,) if isinstance(attention_axes, int) else tuple(attention_axes) if attention_axes else None
        )
        self._sliding_window, self._use_gate = masks.check_window(sliding_window, owner), use_gate
        self._flash_attention = masks.check_flash(flash_attention, dropout, owner)
        set_options(
            self, _kernel_initializer=kernel_initializer, _bias_initializer=bias_initializer,
            _kernel_regularizer=kernel_regularizer,
            _bias_regularizer=bias_regularizer, _activity_regularizer=activity_regularizer,
            _kernel_constraint=kernel_constraint,
            _bias_constraint=bias_constraint,
        )  # fmt: skip
        self.supports_masking = True

    num_heads = property(lambda self: self._num_heads)
    key_dim = property(lambda self: self._key_dim)
    value_dim = property(lambda self: self._value_dim)
    dropout = property(lambda self: self._dropout)
    use_bias = property(lambda self: self._use_bias)
    attention_axes = property(lambda self: self._attention_axes)
    query_dense = property(lambda self: self._query_dense)
    key_dense = property(lambda self: self._key_dense)
    value_dense = property(lambda self: self._value_dense)
    output_dense = property(lambda self: self._output_dense)

    def _projection(self, name, input_shape, bound, output_shape, activation=None):
        """EinsumDense that sums the last `bound` axes of its input away."""
        letters = iter(string.ascii_lowercase)
        free = "".join(next(letters) for _ in range(len(input_shape) - bound))
        summed = "".join(next(letters) for _ in range(bound))
        made = "".join(next(letters) for _ in output_shape)

        def fresh(initializer):
            # A copy, because one initializer object always draws the same values.
            return (
                type(initializer).from_config(initializer.get_config())
                if hasattr(initializer, "get_config")
                else initializer
            )

        layer = EinsumDense(
            f"{free}{summed},{summed}{made}->{free}{made}",
            output_shape=(*(None,) * (len(free) - 1), *output_shape),
            bias_axes=made if self._use_bias else None,
            name=name,
            activation=activation,
            kernel_initializer=fresh(self._kernel_initializer),
            bias_initializer=fresh(self._bias_initializer),
            kernel_regularizer=self._kernel_regularizer,
            bias_regularizer=self._bias_regularizer,
            activity_regularizer=self._activity_regularizer,
            kernel_constraint=self._kernel_constraint,
            bias_constraint=self._bias_constraint,
            dtype=self.dtype_policy,
        )
        layer.build(tuple(input_shape))
        return layer

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        for name, shape in (("query", query_shape), ("key", key_shape), ("value", value_shape)):
            if len(shape) < 3 or shape[-1] is None:
                raise ValueError(
                    f"{self._label()}: the {name} must have rank 3 or more and a known last axis, received "
                    f"{tuple(shape)}"
                )
        heads = self._num_heads
        self._query_dense = self._projection("query", query_shape, 1, (heads, self._key_dim))
        self._key_dense = self._projection("key", key_shape, 1, (heads, self._key_dim))
        if self._use_gate:
            self._gate_dense = self._projection("gate", query_shape, 1, (heads, self._value_dim), "sigmoid")
        self._value_dense = self._projection("value", value_shape, 1, (heads, self._value_dim))
        rank = len(query_shape) + 1
        if self._attention_axes is None:
            self._attention_axes = tuple(range(1, rank - 2))
        else:
            self._attention_axes = tuple(a if a >= 0 else rank - 1 + a for a in self._attention_axes)
        self._softmax = Softmax(axis=tuple(range(-len(self._attention_axes), 0)), dtype=self.dtype_policy)
        self._dropout_layer = Dropout(rate=self._dropout, dtype=self.dtype_policy, seed=self.seed)
        mixed = (*query_shape[:-1], heads, self._value_dim)
        self._output_dense = self._projection("attention_output", mixed, 2, self._output_shape or (query_shape[-1],))

    def call(
        self, query, value, key=None, query_mask=None, value_mask=None, key_mask=None, attention_mask=None,
        return_attention_scores=False,
        training=None, use_causal_mask=False,
    ):  # fmt: skip
        from maas import ops

        key = value if key is None else key
        query_mask = get_keras_mask(query)
        for x in (query, value, key):
            set_keras_mask(x, None)  # the projections do not take masks
        mask = masks.join(query_mask, value_mask, key_mask, attention_mask)
        q, k, v = self._query_dense(query), self._key_dense(key), self._value_dense(value)
        given = (q, k, v, mask, training, return_attention_scores)
        if type(self)._compute_attention is MultiHeadAttention._compute_attention:
            output, scores = self._compute_attention(*given, use_causal_mask)
        else:  # an override gets one mask with everything in it
            near = masks.by_position(query, value, use_causal_mask, self._sliding_window)
            output, scores = self._compute_attention(*given[:3], masks.both(mask, near), *given[4:])
        if self._use_gate:
            output = ops.multiply(output, self._gate_dense(query))
        output = self._output_dense(output)
        if query_mask is not None:
            set_keras_mask(output, query_mask)
        return (output, scores) if return_attention_scores else output

    def _compute_attention(
        self,
        query,
        key,
        value,
        attention_mask=None,
        training=None,
        return_attention_scores=False,
        use_causal_mask=False,
    ):
        """Attention of projected heads: query (B, T, N, H), key (B, S, N, H), value (B, S, N, V).

        Returns:
            `(output (B, T, N, V), scores (B, N, T, S) or None)`.
        """
        from maas import ops
        from maas.ops.attention import attend

        masks.refuse_scores(self._flash_attention, return_attention_scores, self._label())
        scale = 1.0 / math.sqrt(self._key_dim)
        axes = self._attention_axes
        rank = len(query.shape) + len(axes) - 1
        if attention_mask is not None:
            attention_mask = masks.insert_axes(attention_mask, rank, -2 * len(axes) - 1)
        if len(query.shape) == 4 and axes == (1,) and not return_attention_scores:
            dropout = self._dropout if training else 0.0
            output = attend(
                query, key, value, mask=attention_mask, scale=scale, is_causal=use_causal_mask,
                window=self._sliding_window, dropout=dropout,
                seed=self._dropout_layer.seed_generator if dropout else None,
            )  # fmt: skip
            return output, None
        near = masks.by_position(query, key, use_causal_mask, self._sliding_window)
        if near is not None:
            attention_mask = masks.both(attention_mask, masks.insert_axes(near, rank, -2 * len(axes) - 1))
        scores_equation, output_equation = _equations(len(query.shape), axes)
        scores = ops.einsum(scores_equation, key, ops.multiply(query, scale))
        scores = self._softmax(scores, mask=attention_mask)
        weights = self._dropout_layer(scores, training=training) if self._dropout > 0 else scores
        return ops.einsum(output_equation, weights, value), scores

    def compute_output_shape(self, query_shape, value_shape, key_shape=None):
        return (*query_shape[:-1], *(self._output_shape or (query_shape[-1],)))

    def compute_output_spec(
        self, query, value, key=None, query_mask=None, value_mask=None, key_mask=None, attention_mask=None,
        return_attention_scores=False,
        training=None, use_causal_mask=False,
    ):  # fmt: skip
        key = value if key is None else key
        output = KerasTensor(self.compute_output_shape(query.shape, value.shape), dtype=self.compute_dtype)
        if not return_attention_scores:
            return output
        rank = len(query.shape) + 1
        axes = self._attention_axes or tuple(range(1, rank - 2))
        batch = [d for i, d in enumerate(query.shape[:-1]) if i not in axes]
        shape = (*batch, self._num_heads, *(query.shape[a] for a in axes), *(key.shape[a] for a in axes))
        return output, KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self):
        from maas.layers.options import _family

        own = {
            k: getattr(self, f"_{k}")
            for k in (
                "num_heads",
                "key_dim",
                "value_dim",
                "dropout",
                "use_bias",
                "use_gate",
                "output_shape",
                "attention_axes",
                "sliding_window",
            )
        }
        for k in (
            "kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer", "activity_regularizer",
            "kernel_constraint",
            "bias_constraint",
        ):  # fmt: skip
            value = getattr(self, f"_{k}")
            own[k] = None if value is None else _family(k).serialize(value)
        return {**super().get_config(), **own, "seed": self.seed}


def _equations(rank, axes):
    """Einsum equations of the scores (key, query -> scores) and of the output (scores, value -> output)."""
    letters = iter(string.ascii_lowercase)
    q = [next(letters) for _ in range(rank)]
    k = list(q)
    for a in axes:
        k[a] = next(letters)
    v = list(k)
    v[-1] = next(letters)
    batch = [q[i] for i in range(rank - 1) if i not in axes]
    scores = batch + [q[a] for a in axes] + [k[a] for a in axes]
    output = [v[-1] if i == rank - 1 else q[i] for i in range(rank)]
    join = "".join
    return f"{join(k)},{join(q)}->{join(scores)}", f"{join(scores)},{join(v)}->{join(output)}"
