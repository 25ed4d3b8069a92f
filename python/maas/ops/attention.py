"""Attention."""

from maas import _core
from maas.backend.symbolic import op
from maas.ops.core import as_tensor, cast

__all__ = ["dot_product_attention"]


@op
def dot_product_attention(
    query,
    key,
    value,
    bias=None,
    mask=None,
    scale=None,
    is_causal=False,
    flash_attention=None,
    attn_logits_soft_cap=None,
):
    """`softmax(scale * query key^T + bias) value` for every head.

    Without `bias` it is one fused op that never stores the scores. A query that sees no key gets the mean of all
    values, because equal scores have equal weights.

    Args:
        query: Tensor (B, T, N, H), floating.
        key: Tensor (B, S, K, H), where N is a multiple of K; each key head serves N / K query heads.
        value: Tensor (B, S, K, E).
        bias: Tensor that broadcasts to (B, N, T, S), added to the scores, or None.
        mask: bool Tensor that broadcasts to (B, N, T, S), True where attention is allowed, or None.
        scale: float, default `1 / sqrt(H)`.
        is_causal: bool, whether step t sees only steps up to t.
        flash_attention: any value: the fused kernel runs wherever it can.
        attn_logits_soft_cap: must be None.

    Returns:
        Tensor (B, T, N, E) with the promoted dtype of the three.

    Raises:
        ValueError: for shapes that do not fit, or if `attn_logits_soft_cap` is given.
    Reference: Vaswani et al., 2017, arXiv:1706.03762; Dao et al., 2022, "FlashAttention", arXiv:2205.14135.
    """
    from maas.backend import result_type

    if attn_logits_soft_cap is not None:
        raise ValueError(f"dot_product_attention: attn_logits_soft_cap must be None, received {attn_logits_soft_cap}")
    query, key, value = as_tensor(query), as_tensor(key), as_tensor(value)
    for x in (query, key, value):
        if x.ndim != 4:
            raise ValueError(
                "dot_product_attention: query, key and value must have four axes, "
                f"received {query.shape}, {key.shape} and {value.shape}"
            )
    dtype = result_type(query.dtype, key.dtype, value.dtype)
    query, key, value = cast(query, dtype), cast(key, dtype), cast(value, dtype)
    if mask is not None:
        mask = cast(as_tensor(mask), "bool")
        mask = _core.reshape(mask, shape=[1] * (4 - mask.ndim) + list(mask.dims)) if mask.ndim < 4 else mask
    if scale is None:
        scale = query.shape[-1] ** -0.5
    if bias is not None:
        return _with_bias(query, key, value, cast(as_tensor(bias), dtype), mask, scale, is_causal)
    given = () if mask is None else (mask,)
    return _core.attention(
        query, key, value, *given, scale=float(scale), causal=bool(is_causal), masked=mask is not None
    )


def _with_bias(query, key, value, bias, mask, scale, is_causal):
    """The same from plain ops."""
    from maas import ops

    q, k, v = (ops.transpose(x, (0, 2, 1, 3)) for x in (query, key, value))
    groups = q.shape[1] // k.shape[1]
    if groups > 1:
        k, v = ops.repeat(k, groups, axis=1), ops.repeat(v, groups, axis=1)
    scores = _core.add(_core.multiply(_core.matmul(q, k, transpose_b=True), float(scale)), bias)
    if is_causal:
        seen = ops.greater_equal(ops.expand_dims(ops.arange(q.dims[2]), -1), ops.expand_dims(ops.arange(k.dims[2]), 0))
        mask = seen if mask is None else ops.logical_and(mask, seen)
    if mask is not None:
        lowest = -0.7 * (65504.0 if query.dtype == "float16" else 3.4028234663852886e38)
        scores = _core.where(mask, scores, lowest)
    return ops.transpose(_core.matmul(_core.softmax(scores, axis=-1), v), (0, 2, 1, 3))
