"""Names and config dicts of small objects (initializers, regularizers, constraints), one registry per family."""

import inspect

from maas import missing_names
from maas.backend.naming import to_snake_case


class Family:
    """The built-in classes of one kind.

    Args:
        module: str, the module that Keras files name, "keras.initializers".
        classes: the built-in classes.
        aliases: dict of further names.
    """

    def __init__(self, module, classes, aliases=()):
        self.module = module
        self.classes = {c.__name__: c for c in classes}
        self.names = {**{to_snake_case(c.__name__): c for c in classes}, **self.classes, **dict(aliases)}

    def serialize(self, obj):
        """`{"module", "class_name", "config", "registered_name"}`, the format of Keras files."""
        if self.classes.get(type(obj).__name__) is type(obj):
            return {
                "module": self.module,
                "class_name": type(obj).__name__,
                "config": obj.get_config(),
                "registered_name": None,
            }
        from maas.saving.serialization import serialize_keras_object

        return serialize_keras_object(obj)

    def deserialize(self, config, custom_objects=None):
        """Object from its config dict, or from a name."""
        if isinstance(config, str):
            config = {"class_name": config, "config": {}}
        name = config.get("class_name")
        own = config.get("module") in (None, self.module) and not config.get("registered_name")
        if own and name in self.names and not (custom_objects and name in custom_objects):
            return self.names[name].from_config(dict(config.get("config") or {}))
        from maas.saving.serialization import deserialize_keras_object

        return deserialize_keras_object(config, custom_objects=custom_objects)

    def get(self, identifier):
        """Object from None, a name, a config dict, a class, or anything callable.

        Raises:
            ValueError: if the name is unknown or the value is none of these.
        """
        if identifier is None:
            return None
        if isinstance(identifier, dict):
            return self.deserialize(identifier)
        if isinstance(identifier, str):
            if identifier in self.names:
                return self.names[identifier]()
            found = _registered(identifier)
            if found is None:
                raise ValueError(missing_names.unknown_name(self.module[6:-1], identifier, self.names))
            identifier = found
        if inspect.isclass(identifier):
            identifier = identifier()
        if callable(identifier):
            return identifier
        raise ValueError(f"{self.module[6:]}: expected a name, a config dict or a callable, received {identifier!r}")


def _registered(name):
    from maas.saving.serialization import get_registered_object

    return get_registered_object(name)


class Configurable:
    """Base with the `from_config` that these objects share."""

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __repr__(self):
        inside = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({inside})"


def as_float(value, name, owner):
    """`value` as a float.

    Raises:
        ValueError: if it is not a finite, non-negative number.
    """
    ok = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")
    if not ok:
        raise ValueError(f"{owner}: `{name}` must be a non-negative, finite number, received {value!r}")
    return float(value)
