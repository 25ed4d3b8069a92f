"""Objects to config dicts and back, in the format of Keras 3: `{"module", "class_name", "config", "registered_name"}`.

Loading is closed: names are looked up in `registry` (our classes) and in what the caller gave or registered. Nothing is
imported by name and no byte code is read, so there is no unsafe mode.
"""

import contextlib
import threading
import types

import numpy as np

from maas.backend.standardize import numpy_dtype
from maas.saving import registry
from maas.saving.object_registration import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    scoped_objects,
)

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "enable_unsafe_deserialization",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "object_sharing_scope",
    "register_keras_serializable",
    "serialize_keras_object",
]
_DTYPES = frozenset(
    "float16 float32 float64 bfloat16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool float8_e4m3fn "
    "float8_e5m2 int4".split()
)
_shared = threading.local()


def refuse_unsafe_mode(safe_mode):
    """`safe_mode=False` exists in Keras's signatures and is refused, so that nobody believes that it did something."""
    if not safe_mode:
        raise ValueError(
            "maas never runs code from a model file, so there is no unsafe mode; pass the functions and classes that "
            f"the file names in custom_objects={{name: object}}, received safe_mode={safe_mode!r}"
        )


def enable_unsafe_deserialization():
    """Refused: maas never runs code from a model file.

    Raises:
        ValueError: always; it says what to do instead.
    """
    refuse_unsafe_mode(False)


@contextlib.contextmanager
def object_sharing_scope():
    """Context in which an object that appears several times is saved with one `shared_object_id` and loaded once."""
    outer = getattr(_shared, "saved", None), getattr(_shared, "loaded", None)
    _shared.saved, _shared.loaded = {}, {}
    try:
        yield
    finally:
        _shared.saved, _shared.loaded = outer


# ---- saving


def serialize_keras_object(obj):
    """Config dict of an object: plain values, containers, arrays, layers, losses, registered objects and functions.

    Raises:
        TypeError: if the object has no `get_config` and is none of these.
    """
    if obj is None or isinstance(obj, (str, bool, int, float)):
        return obj
    if isinstance(obj, (list, tuple)):
        # A copy, so that a list subclass with tracking becomes a plain list.
        items = [serialize_keras_object(x) for x in obj]
        return tuple(items) if isinstance(obj, tuple) else items
    if isinstance(obj, dict):
        return {k: serialize_keras_object(v) for k, v in obj.items()}
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode("utf-8")}}
    if isinstance(obj, slice):
        parts = {k: serialize_keras_object(getattr(obj, k)) for k in ("start", "stop", "step")}
        return {"class_name": "__slice__", "config": parts}
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, np.generic) or (isinstance(obj, np.ndarray) and obj.ndim == 0):
        return obj.item()
    if isinstance(obj, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": obj.tolist(), "dtype": obj.dtype.name}}
    if isinstance(obj, np.dtype):
        return obj.name
    if hasattr(obj, "_keras_history"):
        history = obj._keras_history
        place = [history.operation.name, history.node_index, history.tensor_index]
        return {
            "class_name": "__keras_tensor__",
            "config": {"shape": list(obj.shape), "dtype": obj.dtype, "keras_history": place},
        }
    if not hasattr(obj, "get_config") and hasattr(obj, "__array__") and hasattr(obj, "dtype"):
        return {"class_name": "__tensor__", "config": {"value": np.asarray(obj).tolist(), "dtype": str(obj.dtype)}}
    if isinstance(obj, (types.FunctionType, types.BuiltinFunctionType)):
        return _serialize_function(obj)
    return _serialize_instance(obj)


def _serialize_function(function):
    known = registry.keras_function_name(function)
    if known is not None:
        module, name = "builtins", known[1]
        return {"module": module, "class_name": "function", "config": name, "registered_name": name}
    # A lambda is saved by name only, never as byte code; loading asks for it in custom_objects.
    name = get_registered_name(function)
    return {"module": "builtins", "class_name": "function", "config": name, "registered_name": name}


def _serialize_instance(obj):
    cls = type(obj)
    if not hasattr(obj, "get_config"):
        if isinstance(obj, type):
            raise TypeError(f"serialize_keras_object takes an instance, not a class, received {obj!r}")
        raise TypeError(f"cannot save an object whose class has no get_config() method, received {obj!r}")
    config = obj.get_config()
    if not isinstance(config, dict):
        raise TypeError(f"{cls.__name__}.get_config() must return a dict, received {config!r}")
    known = registry.keras_name(cls)
    if known is not None:
        module, class_name, registered_name = known
    elif hasattr(obj, "keras_class_name") and hasattr(obj, "keras_module"):
        module, class_name = obj.keras_module, obj.keras_class_name
        registered_name = class_name
    else:
        module, class_name, registered_name = cls.__module__, cls.__name__, get_registered_name(cls)
        if module == "__main__":
            module = None
    out = {
        "module": module,
        "class_name": class_name,
        "config": serialize_keras_object(config),
        "registered_name": registered_name,
    }
    for key, method in (("build_config", "get_build_config"), ("compile_config", "get_compile_config")):
        extra = getattr(obj, method)() if hasattr(obj, method) else None
        if extra is not None and (extra or key == "build_config"):
            out[key] = serialize_keras_object(extra)
    saved = getattr(_shared, "saved", None)
    if saved is not None:
        # (number, first config, object): the object is kept so that its id cannot be given to another one.
        number, first, _ = saved.setdefault(id(obj), (len(saved) + 1, out, obj))
        if first is not out:
            first["shared_object_id"] = out["shared_object_id"] = number
    return out


# ---- loading


def deserialize_keras_object(config, custom_objects=None, safe_mode=True, **kwargs):
    """Object from what `serialize_keras_object` or Keras 3 wrote.

    Args:
        config: plain value, list or dict.
        custom_objects: dict of name to class or function, in addition to scopes and registered ones.
        safe_mode: only True is possible.
        module_objects: dict of name to class or function, looked up before the registry.

    Raises:
        ValueError: for a class or function that is neither ours nor given, for byte code, or for a config that the
            class does not accept.
    """
    module_objects = kwargs.pop("module_objects", None)
    if kwargs:
        raise TypeError(f"deserialize_keras_object: unknown arguments, received {sorted(kwargs)}")
    refuse_unsafe_mode(safe_mode)
    try:
        with CustomObjectScope(custom_objects):
            return _Reader(module_objects or {}).read(config, top=True)
    except RecursionError:
        raise ValueError("the config is nested too deeply to be loaded") from None


class _Reader:
    def __init__(self, module_objects):
        self.module_objects = module_objects

    def read(self, config, top=False):
        if top and isinstance(config, str):
            # Functions of old files are bare strings; other strings are themselves.
            found = get_registered_object(config)
            if found is not None:
                return found
            return self._make(self.module_objects[config], {}) if config in self.module_objects else config
        if config is None or isinstance(config, (str, bool, int, float)):
            return config
        if isinstance(config, (list, tuple)):
            return [self.read(x) for x in config]
        if not isinstance(config, dict):
            if callable(config) or hasattr(config, "get_config"):
                return config  # already an object
            raise TypeError(f"cannot make an object from a value of this type, received {config!r}")
        if "class_name" not in config or "config" not in config:
            return {k: self.read(v) for k, v in config.items()}
        name, inner = config["class_name"], config["config"]
        if not isinstance(name, str):
            raise ValueError(f"class_name must be a string, received {name!r}")
        if name.startswith("__"):
            return self._read_value(name, inner)
        if name == "function":
            return self._read_function(config)
        return self._read_instance(config, name, {} if inner is None else inner)

    def _read_value(self, name, inner):
        if name == "__lambda__":
            raise ValueError(
                "the file holds a Python lambda as byte code, which maas never runs; pass the function in "
                "custom_objects, received class_name='__lambda__'"
            )
        if not isinstance(inner, dict):
            raise ValueError(f"{name}: config must be a dict, received {type(inner).__name__}")
        try:
            if name == "__keras_tensor__":
                from maas.backend.keras_tensor import KerasTensor

                tensor = KerasTensor(_shape(inner["shape"]), dtype=_dtype(inner["dtype"]))
                tensor._pre_serialization_keras_history = inner["keras_history"]
                return tensor
            if name == "__numpy__":
                return np.array(inner["value"], dtype=numpy_dtype(_dtype(inner["dtype"])))
            if name == "__tensor__":
                from maas import ops

                return ops.convert_to_tensor(inner["value"], dtype=_dtype(inner["dtype"]))
            if name == "__bytes__":
                return inner["value"].encode("utf-8")
            if name == "__slice__":
                return slice(*(self.read(inner[k]) for k in ("start", "stop", "step")))
            if name == "__ellipsis__":
                return Ellipsis
        except (KeyError, TypeError, AttributeError, OverflowError) as e:
            raise ValueError(f"{name}: damaged config ({type(e).__name__}: {e})") from None
        raise ValueError(f"the file names an unknown kind of value, received class_name={name[:100]!r}")

    def _read_function(self, config):
        name = config["config"]
        if not isinstance(name, str):
            raise ValueError(f"a function must be given by its name, received {type(name).__name__}")
        for key in (config.get("registered_name"), name):
            found = get_registered_object(key)
            if found is not None:
                return found
        found = self.module_objects.get(name) or registry.find_function(config.get("module"), name)
        if found is None:
            # Keras up to 3.6 saved registered functions without their package.
            endings = [f for key, f in get_custom_objects().items() if key.endswith(f">{name}")]
            found = endings[0] if len(endings) == 1 else None
        if found is None:
            raise _unknown("function", config, name)
        return found

    def _read_instance(self, config, name, inner):
        if "shared_object_id" in config and isinstance(config["shared_object_id"], int):
            known = (getattr(_shared, "loaded", None) or {}).get(config["shared_object_id"])
            if known is not None:
                return known
        if not isinstance(inner, dict):
            raise ValueError(f"'{name[:100]}': config must be a dict, received {type(inner).__name__}")
        obj = self._instance(config, name, inner)
        self._build_and_compile(obj, config, name)
        loaded = getattr(_shared, "loaded", None)
        if loaded is not None and isinstance(config.get("shared_object_id"), int):
            loaded[config["shared_object_id"]] = obj
        return obj

    def _instance(self, config, name, inner):
        registered_name, module = config.get("registered_name"), config.get("module")
        for key in (registered_name, name):
            custom = get_registered_object(key)
            if custom is not None:
                return self._make(custom, inner)
        if name in self.module_objects:
            return self._make(self.module_objects[name], inner)
        if registry.is_operation_module(module):
            from maas.backend.symbolic import operation_from_config

            if not registry.is_plain_name(name):
                raise _unknown("class", config, name)
            return operation_from_config(name, {k: self.read(v) for k, v in inner.items()})
        cls = registry.find_class(module, name)
        if cls is None or registered_name not in (None, name):
            raise _unknown("class", config, name)
        if name == "Lambda":
            inner = _with_given_function(inner)
        return self._make(cls, inner)

    def _make(self, cls, inner):
        if not isinstance(cls, type):
            return cls  # a function, or a ready object, that the caller gave
        if not hasattr(cls, "from_config"):
            raise ValueError(f"the class needs a from_config() method to be loaded, received {cls!r}")
        try:
            return cls.from_config(inner)
        except (NotImplementedError, RecursionError):
            raise
        except (TypeError, KeyError, AttributeError, IndexError, ArithmeticError, RuntimeError) as e:
            # Constructors meet values here that no caller in his right mind would give.
            raise ValueError(
                f"{cls.__name__} cannot be made from its config: {type(e).__name__}: {e}; received {_short(inner)}"
            ) from e

    def _build_and_compile(self, obj, config, name):
        for key, method, done in (
            ("build_config", "build_from_config", "built"),
            ("compile_config", "compile_from_config", "compiled"),
        ):
            extra = config.get(key)
            if not extra or not hasattr(obj, method) or (key == "build_config" and getattr(obj, "built", False)):
                continue
            if not isinstance(extra, dict):
                raise ValueError(f"'{name}': {key} must be a dict, received {type(extra).__name__}")
            try:
                getattr(obj, method)(extra)
            except (TypeError, KeyError, AttributeError, IndexError, OverflowError) as e:
                raise ValueError(f"'{name}': damaged {key} ({type(e).__name__}: {e}), received {_short(extra)}") from e
            if key == "compile_config" and hasattr(obj, done):
                with contextlib.suppress(AttributeError):  # a read-only property sets itself
                    setattr(obj, done, True)


def _with_given_function(inner):
    """The config of a `Lambda` layer with the caller's function put in, found by its name or by the layer's name."""
    function, layer = inner.get("function"), inner.get("name")
    if callable(function):
        return inner
    by_name = (
        function.get("config") if isinstance(function, dict) and function.get("class_name") == "function" else None
    )
    for key in (by_name, layer):
        found = get_registered_object(key)
        if found is not None:
            return {**inner, "function": found}
    raise UnknownObjectError(
        "a Lambda layer loads only if its function is given, because maas never runs code from a file: "
        f"custom_objects={{{layer!r}: function}}; received names {sorted(scoped_objects())}",
        str(layer),
    )


class UnknownObjectError(ValueError):
    """The file names a class or function that is neither maas's nor given nor registered.

    Attributes:
        name: str, under which it must be given.
    """

    def __init__(self, text, name):
        super().__init__(text)
        self.name = name


def _unknown(what, config, name):
    text = (
        f"the file names a {what} that maas does not have; if it is yours, pass it in custom_objects={{name: {what}}} "
        "or register it with register_keras_serializable(), "
        f"received {name[:100]!r} of module {str(config.get('module'))[:100]!r}, "
        f"registered name {str(config.get('registered_name'))[:100]!r}"
    )
    return UnknownObjectError(text, name)


def _short(value):
    text = repr(value)
    return text if len(text) <= 300 else text[:300] + "..."


def _shape(shape):
    # A nested shape belongs to a tensor of tensors, which we do not have.
    if not isinstance(shape, (list, tuple)) or not all(n is None or (isinstance(n, int) and n >= 0) for n in shape):
        raise ValueError(f"a shape must be a list of sizes, received {_short(shape)}")
    return tuple(shape)


def _dtype(name):
    if name not in _DTYPES:
        raise ValueError(f"unknown dtype, received {_short(name)}")
    return name
