"""Saving and loading models: `.keras`, `.weights.h5` and legacy `.h5`, both ways with Keras 3."""

from maas.missing_names import missing
from maas.saving.object_registration import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from maas.saving.serialization import (
    deserialize_keras_object,
    enable_unsafe_deserialization,
    serialize_keras_object,
)

_API = ("load_model", "load_weights", "save_model", "save_weights")
__all__ = [
    "CustomObjectScope",
    "KerasFileEditor",
    "custom_object_scope",
    "deserialize_keras_object",
    "enable_unsafe_deserialization",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]


def __getattr__(name):
    # The file formats are imported on first use; layers need only the registry.
    if name in _API:
        from maas.saving import saving_api

        return getattr(saving_api, name)
    if name == "KerasFileEditor":
        from maas.saving.file_editor import KerasFileEditor

        return KerasFileEditor
    raise missing(__name__, name)
