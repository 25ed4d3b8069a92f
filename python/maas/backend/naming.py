"""Names and paths: automatic layer names (`dense`, `dense_1`) and the scopes that make `sequential/dense/kernel`."""

import re
import threading
from collections import defaultdict

_uids = defaultdict(int)
_lock = threading.Lock()
_local = threading.local()


def to_snake_case(name):
    """`MaxPooling2D` -> `max_pooling2d`, `LSTM` -> `lstm`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def uniquify(name):
    """`name` the first time, then `name_1`, `name_2`, ..."""
    with _lock:
        count = _uids[name]
        _uids[name] = count + 1
    return f"{name}_{count}" if count else name


def auto_name(prefix):
    """The next free automatic name for a class name."""
    return uniquify(to_snake_case(prefix))


def get_uid(prefix=""):
    """Raise and return the counter of `prefix`: 1 the first time."""
    with _lock:
        _uids[prefix] += 1
        return _uids[prefix]


def reset_uids():
    """Start automatic names anew; part of `clear_session`."""
    with _lock:
        _uids.clear()


def check_name(name, owner):
    """Names are strings without a slash, because a slash separates the parts of a path."""
    if not isinstance(name, str) or "/" in name:
        raise ValueError(f"{owner}: `name` must be a string without '/', received {name!r}")
    return name


def _stack():
    stack = getattr(_local, "stack", None)
    if stack is None:
        stack = _local.stack = []
    return stack


class name_scope:  # noqa: N801, the public name is Keras's
    """Context in which new variables get the prefix `name/`.

    Args:
        name: str without slash.
        caller: the object that opens the scope. A caller that is already the innermost scope does not open it twice,
            and a caller that remembers its parent path (`_parent_path`) opens below that path wherever it is called
            from.
    """

    def __init__(self, name, caller=None):
        self.name = check_name(name, "name_scope")
        self.caller = caller
        self.base = getattr(caller, "_parent_path", None)
        self._entered = False

    def __enter__(self):
        stack = _stack()
        top = stack[-1] if stack else None
        if top is None or self.caller is None or top.caller is not self.caller or top.name != self.name:
            stack.append(self)
            self._entered = True
        return self

    def __exit__(self, *_):
        if self._entered:
            _stack().pop()
            self._entered = False


def current_path():
    """Path of the innermost scope, "" outside every scope."""
    parts = []
    for scope in _stack():
        if scope.base is not None:
            parts = [p for p in scope.base.split("/") if p]
        parts.append(scope.name)
    return "/".join(parts)
