"""Activations by name (`get("relu")`), as functions, or as any callable."""

from maas import missing_names
from maas.activations import activations as _module
from maas.activations.activations import (
    celu,
    elu,
    exponential,
    gelu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    linear,
    log_sigmoid,
    log_softmax,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    swish,
    tanh,
    tanh_shrink,
    threshold,
)

__all__ = [
    "celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu",
    "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu",
    "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign",
    "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh", "tanh_shrink", "threshold",
    "deserialize", "get", "serialize",
]  # fmt: skip
_NAMES = {n: getattr(_module, n) for n in __all__[:-3]}


def get(identifier):
    """Activation function from None (linear), a name, a config dict, or a callable.

    Raises:
        ValueError: if the name is unknown or the value is none of these.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str) and identifier in _NAMES:
        return _NAMES[identifier]
    if isinstance(identifier, (str, dict)):
        return deserialize(identifier)
    if callable(identifier):
        return identifier
    raise ValueError(f"activations: expected a name, a config dict or a callable, received {identifier!r}")


def serialize(activation):
    """The name of a built-in function; a config dict for anything else."""
    name = getattr(activation, "__name__", None)
    if _NAMES.get(name) is activation:
        return name
    from maas.saving.serialization import serialize_keras_object

    config = serialize_keras_object(activation)
    if isinstance(config, dict) and config.get("class_name") == "function" and config.get("registered_name") is None:
        raise ValueError(
            "activations: a function of your own must be registered with "
            "`maas.saving.register_keras_serializable()` to be saved, "
            f"received {activation!r}"
        )
    return config


def deserialize(config, custom_objects=None):
    """Activation from what `serialize` returned.

    Raises:
        ValueError: if the name is unknown.
    """
    if isinstance(config, str):
        if custom_objects and config in custom_objects:
            return custom_objects[config]
        if config in _NAMES:
            return _NAMES[config]
        from maas.saving.serialization import get_registered_object

        found = get_registered_object(config)
        if found is None:
            raise ValueError(missing_names.unknown_name("activation", config, _NAMES))
        return found
    if (
        config.get("class_name") == "function"
        and config.get("registered_name") in _NAMES
        and config.get("module") == "builtins"
    ):
        return _NAMES[config["registered_name"]]
    from maas.saving.serialization import deserialize_keras_object

    return deserialize_keras_object(config, custom_objects=custom_objects)


__getattr__ = missing_names.getattr_of(__name__)
