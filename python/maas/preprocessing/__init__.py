"""`maas.preprocessing`: `image` and `sequence`, under Keras's old names."""

import importlib

from maas import missing_names

_NAMES = {
    "image_dataset_from_directory": "maas.utils",
    "text_dataset_from_directory": "maas.utils",
    "timeseries_dataset_from_array": "maas.utils",
}
_MODULES = ("image", "sequence")
__all__ = sorted([*_NAMES, *_MODULES])


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"maas.preprocessing.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise missing_names.missing(__name__, name)


def __dir__():
    return __all__
