"""What an outer layer call hands down to the layer calls inside it: `training` and other registered arguments."""

import threading

from maas._core import enter_call, leave_call

_local = threading.local()


class CallContext:
    """State of the outermost layer call that is running in this thread."""

    __slots__ = ("entry_layer", "values")

    def __init__(self, entry_layer):
        self.entry_layer = entry_layer
        self.values = {}


def current():
    """The running call's context, or None outside every layer call."""
    return getattr(_local, "context", None)


def enter(layer):
    """`(context, True)` if this call opened the context, `(context, False)` inside an outer call."""
    context = current()
    if context is not None:
        return context, False
    context = _local.context = CallContext(layer)
    enter_call()
    return context, True


def leave():
    """End the context that this call opened."""
    _local.context = None
    leave_call()


class no_losses:  # noqa: N801, used as a context manager
    """Inside, `add_loss` is a no-op: shape inference runs `call` on placeholders whose losses mean nothing."""

    def __enter__(self):
        _local.quiet = getattr(_local, "quiet", 0) + 1

    def __exit__(self, *_):
        _local.quiet -= 1


def collects_losses():
    return not getattr(_local, "quiet", 0)
