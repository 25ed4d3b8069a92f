"""Sequences of unequal lengths."""

import numpy as np


def pad_sequences(sequences, maxlen=None, dtype="int32", padding="pre", truncating="pre", value=0.0):
    """Sequences as one array, cut or filled to the same length.

    Args:
        sequences: list of sequences of numbers (or of arrays of one shape).
        maxlen: int, default the longest length.
        dtype: dtype of the array; `object` for strings.
        padding: "pre" or "post", where `value` is put.
        truncating: "pre" or "post", where longer sequences are cut.
        value: number or str to fill with.

    Returns:
        Array (len(sequences), maxlen, ...).

    Raises:
        ValueError: for an unknown word, or entries that are no sequences of one shape.
    """
    for name, word in (("padding", padding), ("truncating", truncating)):
        if word not in ("pre", "post"):
            raise ValueError(f"pad_sequences: {name} must be 'pre' or 'post', received {name}={word!r}")
    if not hasattr(sequences, "__len__"):
        raise ValueError(f"pad_sequences: sequences must be a list of sequences, received {type(sequences).__name__}")
    for i, x in enumerate(sequences):
        if not hasattr(x, "__len__"):
            raise ValueError(f"pad_sequences: every entry must be a sequence, received {x!r} at position {i}")
    text = np.issubdtype(dtype, np.str_) or np.issubdtype(dtype, np.bytes_)
    if isinstance(value, str) and dtype is not object and not text:
        raise ValueError(f"pad_sequences: a str as value needs dtype=object, received dtype={dtype!r}, value={value!r}")
    sample = next((np.asarray(x).shape[1:] for x in sequences if len(x)), ())
    maxlen = max((len(x) for x in sequences), default=0) if maxlen is None else maxlen
    out = np.full((len(sequences), maxlen, *sample), value, dtype=dtype)
    for i, x in enumerate(sequences):
        kept = x[-maxlen:] if truncating == "pre" and maxlen else x[:maxlen]
        if len(kept) == 0:
            continue
        kept = np.asarray(kept, dtype=dtype)
        if kept.shape[1:] != sample:
            raise ValueError(
                f"pad_sequences: entries must have the shape {sample}, received {kept.shape[1:]} at position {i}"
            )
        if padding == "post":
            out[i, : len(kept)] = kept
        else:
            out[i, maxlen - len(kept) :] = kept
    return out
