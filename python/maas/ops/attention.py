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

    One fused op that never stores the scores. A query that sees no key gets the mean of all values, because equal
    scores have equal weights.

    Args:
        query: Tensor (B, T, N, H), floating.
        key: Tensor (B, S, K, H), where N is a multiple of K; each key head serves N / K query heads.
        value: Tensor (B, S, K, E).
        bias: Tensor that broadcasts to (B, N, T, S), added to the scores, or None. A key with -inf is not seen.
        mask: bool Tensor that broadcasts to (B, N, T, S), True where attention is allowed, or None.
        scale: float, default `1 / sqrt(H)`.
        is_causal: bool, whether step t sees only steps up to t.
        flash_attention: any value: the fused kernel runs wherever it can.
        attn_logits_soft_cap: float c or None; scores become `c tanh(score / c)` before the bias.

    Returns:
        Tensor (B, T, N, E) with the promoted dtype of the three.

    Raises:
        ValueError: for shapes that do not fit.
    Reference: Vaswani et al., 2017, arXiv:1706.03762; Dao et al., 2022, "FlashAttention", arXiv:2205.14135.
    """
    return attend(
        query, key, value, bias=bias, mask=mask, scale=scale, is_causal=is_causal, soft_cap=attn_logits_soft_cap
    )


def _broadcast_4(x):
    return _core.reshape(x, shape=[1] * (4 - x.ndim) + list(x.dims)) if x.ndim < 4 else x


def attend(
    query, key, value, bias=None, mask=None, lengths=None, scale=None, is_causal=False, at_end=False, window=None,
    soft_cap=None, dropout=0.0, seed=None,
):  # fmt: skip
    """`dot_product_attention` with all that its kernels can do.

    Args:
        query, key, value, bias, mask, scale, is_causal: as in `dot_product_attention`.
        lengths: int32 Tensor (B,), how many keys are there; the others are not read. Or None: all.
        at_end: bool, whether the queries are the last of the keys (a decoder's new tokens); else query t stands at
            key t.
        window: int or None; a query sees only keys less than `window` positions away.
        soft_cap: float or None.
        dropout: number in [0, 1), the share of weights set to 0; the others are divided by `1 - dropout`.
        seed: int, SeedGenerator or None, of the dropout.

    Returns:
        Tensor (B, T, N, E).

    Raises:
        IndexError: when it runs, for a length out of [0, S].
    """
    from maas.backend import result_type
    from maas.random.draws import _state

    query, key, value = as_tensor(query), as_tensor(key), as_tensor(value)
    for x in (query, key, value):
        if x.ndim != 4:
            raise ValueError(
                "dot_product_attention: query, key and value must have four axes, "
                f"received {query.shape}, {key.shape} and {value.shape}"
            )
    dtype = result_type(query.dtype, key.dtype, value.dtype)
    given = [cast(x, dtype) for x in (query, key, value)]
    if mask is not None:
        given.append(_broadcast_4(cast(as_tensor(mask), "bool")))
    if bias is not None:
        given.append(_broadcast_4(cast(as_tensor(bias), dtype)))
    if lengths is not None:
        given.append(cast(as_tensor(lengths), "int32"))
    if dropout:
        given.append(_state(seed))
    return _core.attention(
        *given, scale=float(query.shape[-1] ** -0.5 if scale is None else scale), causal=bool(is_causal),
        masked=mask is not None, biased=bias is not None, with_lengths=lengths is not None, at_end=bool(at_end),
        window=int(window or 0), soft_cap=float(soft_cap or 0), dropout=float(dropout),
    )  # fmt: skip
