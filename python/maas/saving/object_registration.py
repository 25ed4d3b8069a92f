"""Objects of the caller's own: the global registry and `custom_object_scope`. Nothing here is filled from a file."""

import inspect
import threading

_registered = {}  # "package>Name" -> class or function
_names = {}  # class or function -> "package>Name"
_scope = threading.local()


class CustomObjectScope:
    """Context in which saved configs may use these objects.

    Args:
        custom_objects: dict of name to class or function.
    """

    def __init__(self, custom_objects):
        self.custom_objects = dict(custom_objects or {})
        self._outer = []

    def __enter__(self):
        outer = scoped_objects()
        self._outer.append(outer)
        _scope.objects = {**outer, **self.custom_objects}
        return self

    def __exit__(self, *_):
        _scope.objects = self._outer.pop()


custom_object_scope = CustomObjectScope


def scoped_objects():
    """The objects of all open scopes of this thread."""
    return getattr(_scope, "objects", {})


def get_custom_objects():
    """The global dictionary of registered objects; adding to it registers."""
    return _registered


def register_keras_serializable(package="Custom", name=None):
    """Decorator that lets a class or function be saved and loaded under `package>name`.

    Args:
        package: str.
        name: str, default the name of the class or function.

    Raises:
        ValueError: for a class without `get_config`.
    """

    def decorator(arg):
        if inspect.isclass(arg) and not hasattr(arg, "get_config"):
            raise ValueError(f"register_keras_serializable: a class needs a get_config() method, received {arg!r}")
        key = f"{package}>{name if name is not None else arg.__name__}"
        _registered[key] = arg
        _names[arg] = key
        return arg

    return decorator


def get_registered_name(obj):
    """The name under which a class or function was registered, else its `__name__`."""
    try:
        return _names.get(obj, obj.__name__)
    except TypeError:  # not hashable
        return obj.__name__


def get_registered_object(name, custom_objects=None, module_objects=None):
    """The object of this name from the open scopes, the registry, `custom_objects`, `module_objects`; else None."""
    for objects in (scoped_objects(), _registered, custom_objects, module_objects):
        if objects and isinstance(name, str) and name in objects:
            return objects[name]
    return None
