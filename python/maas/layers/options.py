"""Constructor options that every layer family shares: activations, initializers, regularizers, constraints, sizes
per axis.
"""

from maas import activations, constraints, initializers, regularizers


def _family(name):
    """Which family an option of this name belongs to."""
    if name.endswith("_initializer"):
        return initializers
    if name.endswith("_regularizer"):
        return regularizers
    if name.endswith("_constraint"):
        return constraints
    if name == "activation" or name.endswith("_activation"):
        return activations
    return None


def set_options(layer, **values):
    """Set attributes; names such as `kernel_initializer` or `activation` accept strings, config dicts and callables."""
    for name, value in values.items():
        family = _family(name)
        setattr(layer, name, family.get(value) if family else value)


def config_of(layer, *names):
    """Config entries for these attributes, as Keras writes them."""
    out = {}
    for name in names:
        family, value = _family(name), getattr(layer, name)
        out[name] = None if value is None else family.serialize(value) if family else value
    return out


def standardize_tuple(value, n, name, owner, allow_zero=False):
    """An int or n ints as a tuple of n ints.

    Raises:
        ValueError: for another length, or for sizes below 1 (0 with `allow_zero`).
    """
    given = value
    value = (value,) * n if isinstance(value, int) and not isinstance(value, bool) else value
    low = 0 if allow_zero else 1
    try:
        value = tuple(int(v) for v in value)
    except (TypeError, ValueError):
        value = ()
    if len(value) != n or any(v < low for v in value):
        raise ValueError(
            f"{owner}: `{name}` must be an int or {n} ints, each at least {low}, received {name}={given!r}"
        )
    return value


def standardize_padding(value, owner, allow_causal=False):
    """ "valid", "same" or (for 1-D convolution) "causal"."""
    allowed = ("valid", "same", "causal") if allow_causal else ("valid", "same")
    padding = value.lower() if isinstance(value, str) else value
    if padding not in allowed:
        raise ValueError(f"{owner}: `padding` must be one of {allowed}, received {value!r}")
    return padding


def standardize_data_format(value, owner):
    """ "channels_last" or "channels_first"; None gives the global setting."""
    from maas.backend.config import image_data_format

    if value is None:
        return image_data_format()
    if hasattr(value, "shape"):
        raise ValueError(
            f"{owner}: make the layer first, then call it on the data: layer(...)(x), received "
            f"an array of shape {tuple(value.shape)}"
        )
    if value not in ("channels_last", "channels_first"):
        raise ValueError(f"{owner}: `data_format` must be 'channels_last' or 'channels_first', received {value!r}")
    return value


def check_positive(value, name, owner):
    """A positive int.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() <= 0:
        raise ValueError(f"{owner}: `{name}` must be a positive int, received {name}={value!r}")
    return value.__index__()


def channels_last(x):
    """(B, C, ...) as (B, ..., C)."""
    from maas import ops

    rank = len(x.shape)
    return ops.transpose(x, (0, *range(2, rank), 1))


def channels_first(x):
    """(B, ..., C) as (B, C, ...)."""
    from maas import ops

    rank = len(x.shape)
    return ops.transpose(x, (0, rank - 1, *range(1, rank - 1)))
