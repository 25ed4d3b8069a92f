"""Masks of attention layers, and which of them the fused operation takes as they are."""


def join(query_mask, value_mask, key_mask, attention_mask):
    """All masks joined with "and": (B, T, 1), (B, 1, S) and (B, T, S). None if there is none."""
    from maas import ops

    out = None if attention_mask is None else ops.cast(attention_mask, "bool")
    for mask, axis in ((query_mask, -1), (value_mask, -2), (key_mask, -2)):
        if mask is not None:
            mask = ops.expand_dims(ops.cast(mask, "bool"), axis)
            out = mask if out is None else ops.logical_and(out, mask)
    return out


def by_position(query, key, causal, window):
    """(1, T, S): step t may look at steps up to t (causal), and less than `window` away."""
    from maas import ops

    rows = ops.expand_dims(ops.arange(ops.shape(query)[1]), -1)
    cols = ops.expand_dims(ops.arange(ops.shape(key)[1]), 0)
    ahead = ops.subtract(rows, cols)
    keep = None
    if causal:
        keep = ops.greater_equal(ahead, 0)
    if window is not None:
        near = ops.less(ops.absolute(ahead), window)
        keep = near if keep is None else ops.logical_and(keep, near)
    return None if keep is None else ops.expand_dims(keep, 0)


def both(a, b):
    from maas import ops

    return b if a is None else a if b is None else ops.logical_and(a, b)


def insert_axes(mask, rank, at):
    """Axes of size 1 at `at` until the mask has `rank` axes."""
    from maas import ops

    while len(mask.shape) < rank:
        mask = ops.expand_dims(mask, at)
    return mask


def check_window(window, owner):
    """None or a positive int.

    Raises:
        ValueError: for anything else.
    """
    if window is not None and (not isinstance(window, int) or isinstance(window, bool) or window <= 0):
        raise ValueError(f"{owner}: `sliding_window` must be None or a positive int, received {window!r}")
    return window


def check_flash(flash_attention, dropout, owner):
    """Keras's rule: flash attention excludes dropout.

    Raises:
        ValueError: if both are asked for.
    """
    if flash_attention and dropout > 0:
        raise ValueError(f"{owner}: flash_attention=True does not go with dropout, received dropout={dropout}")
    return bool(flash_attention)


def refuse_scores(flash_attention, return_attention_scores, owner):
    """Keras's rule: flash attention returns no scores.

    Raises:
        ValueError: if both are asked for.
    """
    if flash_attention and return_attention_scores:
        raise ValueError(f"{owner}: flash_attention=True returns no scores, received return_attention_scores=True")
