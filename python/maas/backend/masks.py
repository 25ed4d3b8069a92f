"""The mask that travels with a tensor from layer to layer: a bool tensor of shape (batch, time), True for real steps."""


def get_keras_mask(x):
    """The mask of `x`, or None."""
    return getattr(x, "_keras_mask", None)


def set_keras_mask(x, mask):
    """Give `x` a mask (None takes it away)."""
    if mask is not None or hasattr(x, "_keras_mask"):
        x._keras_mask = mask
