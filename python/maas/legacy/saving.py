"""Objects to and from configs in the form of Keras 2: `{"class_name": ..., "config": ...}`."""

from maas import missing_names
from maas.saving import serialization
from maas.saving.object_registration import get_registered_name

__all__ = ["deserialize_keras_object", "serialize_keras_object"]


def serialize_keras_object(instance):
    """The config of an object, or the name of a function.

    Args:
        instance: object with `get_config()`, function, or None.

    Returns:
        dict with "class_name" and "config", str, or None.

    Raises:
        ValueError: for anything else.
    """
    if instance is None:
        return None
    if hasattr(instance, "get_config"):
        return {"class_name": get_registered_name(type(instance)), "config": _plain(instance.get_config())}
    if hasattr(instance, "__name__"):
        return get_registered_name(instance)
    raise ValueError(
        f"serialize_keras_object: an object with get_config() or a function is needed, received {instance!r}"
    )


def _plain(value):
    """A config whose inner objects are in the form of Keras 2 too."""
    if isinstance(value, dict):
        if "class_name" in value and "config" in value:
            return {
                "class_name": value.get("registered_name") or value["class_name"],
                "config": _plain(value["config"]),
            }
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(v) for v in value)
    return serialize_keras_object(value) if hasattr(value, "get_config") else value


def deserialize_keras_object(identifier, module_objects=None, custom_objects=None, printable_module_name="object"):
    """The object of a config or name.

    Args:
        identifier: dict as `serialize_keras_object` gives it, str (a name), or None.
        module_objects: dict of name to class or function.
        custom_objects: dict of name to class or function.
        printable_module_name: str, for error texts.

    Returns:
        object, function, or None.

    Raises:
        ValueError: for a name that is not known.
        TypeError: for anything else.
    """
    if identifier is None:
        return None
    known = {**(module_objects or {}), **(custom_objects or {})}
    if isinstance(identifier, str):
        found = known.get(identifier)
        if found is None:
            raise ValueError(f"unknown {printable_module_name} '{identifier}'; known are {sorted(known)}")
        return found() if isinstance(found, type) else found
    if not isinstance(identifier, dict):
        raise TypeError(f"a dict, a name or None is needed for a {printable_module_name}, received {identifier!r}")
    return serialization.deserialize_keras_object(identifier, custom_objects=custom_objects, module_objects=known)


__getattr__ = missing_names.getattr_of(__name__)
