"""maas: train, save, compress and serve Keras-style models on an engine of its own.

`import maas as keras` runs Keras programs. Names are found when they are first used, so that the import stays light.
"""

import importlib

from maas._core import __version__

_SUBMODULES = frozenset(
    "activations applications backend callbacks classical cli config constraints data datasets dtype_policies "
    "export initializers layers legacy losses metrics mixed_precision models onnx ops optimizers preprocessing random "
    "regularizers saving serving testing transforms tree utils wrappers zoo".split()
)
_NAMES = {
    "GradientTape": "maas.backend.gradient_tape",
    "DTypePolicy": "maas.dtype_policies",
    "FloatDTypePolicy": "maas.dtype_policies",
    "Function": "maas.backend.function",
    "Initializer": "maas.initializers",
    "Input": "maas.layers",
    "InputSpec": "maas.layers",
    "KerasTensor": "maas.backend",
    "Layer": "maas.layers",
    "Loss": "maas.losses",
    "Metric": "maas.metrics",
    "Model": "maas.models",
    "Operation": "maas.backend.operation",
    "Optimizer": "maas.optimizers",
    "Regularizer": "maas.regularizers",
    "RematScope": "maas.transforms",
    "Sequential": "maas.models",
    "Server": "maas.serving",
    "StatelessScope": "maas.backend.scopes",
    "SymbolicScope": "maas.backend.scopes",
    "Variable": "maas.backend",
    "custom_gradient": "maas.transforms",
    "device": "maas.backend.devices",
    "from_dlpack": "maas.backend.devices",
    "grad": "maas.transforms",
    "jit": "maas.transforms",
    "list_devices": "maas.backend.devices",
    "name_scope": "maas.backend",
    "remat": "maas.transforms",
    "synchronize": "maas.backend.devices",
    "value_and_grad": "maas.transforms",
}
_CORE = {"set_num_threads", "get_num_threads"}


def version():
    """The version of the package."""
    return __version__


def __getattr__(name):
    if name in _SUBMODULES:
        return importlib.import_module("maas." + name)
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _CORE:
        from maas import _core

        value = getattr(_core, name)
    else:
        from maas.missing_names import missing

        raise missing(__name__, name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_SUBMODULES, *_NAMES, *_CORE})


__all__ = ["__version__", "version", *sorted(_SUBMODULES), *sorted(_NAMES), *sorted(_CORE)]
