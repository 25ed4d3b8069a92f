"""Names that users see: snake case of a class, numbered from the second use on (`dense`, `dense_1`)."""

import collections
import re

_uids = collections.defaultdict(int)


def to_snake_case(name):
    """`BatchNormalization` -> `batch_normalization`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def uniquify(name):
    """`name` at its first use, `name_1` at its second, and so on."""
    count = _uids[name]
    _uids[name] += 1
    return f"{name}_{count}" if count else name


def auto_name(prefix):
    """Unique snake-case name from a class name."""
    return uniquify(to_snake_case(prefix))


def get_uid(prefix=""):
    """Next integer for `prefix`, counting from 1."""
    _uids[prefix] += 1
    return _uids[prefix]


def reset_uids():
    """Start numbering again (used by `clear_session`)."""
    _uids.clear()


def get_object_name(obj):
    """`obj.name`, else the snake-case name of the function or class."""
    if hasattr(obj, "name"):
        return obj.name
    return to_snake_case(getattr(obj, "__name__", type(obj).__name__))
