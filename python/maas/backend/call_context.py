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


class noting:  # noqa: N801, used as a context manager
    """Gives the list of layers, metrics and optimizers that are used inside: those whose `_version` matters."""

    def __enter__(self):
        self._outer = getattr(_local, "noted", None)
        _local.noted = self._noted = []
        return self._noted

    def __exit__(self, *_):
        _local.noted = self._outer
        if self._outer is not None:
            self._outer.extend(self._noted)


def note(user):
    """`user` is part of what is being traced."""
    noted = getattr(_local, "noted", None)
    if noted is not None and all(o is not user for o in noted):
        noted.append(user)


_trainable_version = 0


def trainable_version():
    """Raised when a Variable's `trainable` changes."""
    return _trainable_version


def trainable_changed():
    global _trainable_version
    _trainable_version += 1


def collects_losses():
    return not getattr(_local, "quiet", 0)
