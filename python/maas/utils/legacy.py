"""The older names of `maas.legacy.saving`."""

from maas import missing_names
from maas.legacy.saving import deserialize_keras_object, serialize_keras_object

__all__ = ["deserialize_keras_object", "serialize_keras_object"]

__getattr__ = missing_names.getattr_of(__name__)
