"""ONNX models: `load` reads one, `export` writes one. Needs the extra `[onnx]`."""

import importlib

_NAMES = {"load": "maas.onnx.model", "OnnxModel": "maas.onnx.model"}
__all__ = sorted(_NAMES)


def __getattr__(name):
    if name not in _NAMES:
        raise AttributeError(f"module 'maas.onnx' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_NAMES[name]), name)
    return value
