"""Utilities; each is imported on first use."""

import importlib

from maas.missing_names import missing

_NAMES = {
    "Config": "maas.utils.config",
    "audio_dataset_from_directory": "maas.utils.dataset_utils",
    "get_file": "maas.utils.file_utils",
    "get_source_inputs": "maas.utils.source_inputs",
    "image_dataset_from_directory": "maas.utils.dataset_utils",
    "split_dataset": "maas.utils.dataset_utils",
    "text_dataset_from_directory": "maas.utils.dataset_utils",
    "timeseries_dataset_from_array": "maas.utils.dataset_utils",
    "array_to_img": "maas.utils.image_utils",
    "img_to_array": "maas.utils.image_utils",
    "load_img": "maas.utils.image_utils",
    "pad_sequences": "maas.utils.sequence_utils",
    "plot_model": "maas.utils.model_visualization",
    "save_img": "maas.utils.image_utils",
    "Progbar": "maas.utils.progbar",
    "PyDataset": "maas.data.py_dataset",
    "Sequence": "maas.data.py_dataset",
    "clear_session": "maas.backend",
    "disable_interactive_logging": "maas.utils.io_utils",
    "enable_interactive_logging": "maas.utils.io_utils",
    "is_interactive_logging_enabled": "maas.utils.io_utils",
    "is_keras_tensor": "maas.backend",
    "model_to_dot": "maas.utils.model_visualization",
    "normalize": "maas.utils.numerical",
    "pack_x_y_sample_weight": "maas.data.packing",
    "set_random_seed": "maas.utils.numerical",
    "standardize_dtype": "maas.backend",
    "to_categorical": "maas.utils.numerical",
    "unpack_x_y_sample_weight": "maas.data.packing",
    "custom_object_scope": "maas.saving",
    "CustomObjectScope": "maas.saving",
    "deserialize_keras_object": "maas.saving",
    "get_custom_objects": "maas.saving",
    "get_registered_name": "maas.saving",
    "get_registered_object": "maas.saving",
    "register_keras_serializable": "maas.saving",
    "serialize_keras_object": "maas.saving",
}

__all__ = sorted(_NAMES)


_MODULES = ("bounding_boxes", "legacy")


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"maas.utils.{name}")
    if name not in _NAMES:
        raise missing(__name__, name)
    return getattr(importlib.import_module(_NAMES[name]), name)


def __dir__():
    return [*__all__, *_MODULES]
