"""Models: `Sequential`, functional `Model(inputs, outputs)`, subclasses of `Model`."""

import importlib

from maas.missing_names import missing

# Where each name is. It is loaded when it is used: a file that only runs needs no layers.
_HOMES = {
    "Functional": "maas.models.functional",
    "Model": "maas.models.model",
    "Sequential": "maas.models.sequential",
    "clone_model": "maas.models.cloning",
    "load_model": "maas.saving",
    "model_from_json": "maas.models.model",
    "save_model": "maas.saving",
}

__all__ = list(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise missing(__name__, name)
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__():
    return sorted({*globals(), *_HOMES})
