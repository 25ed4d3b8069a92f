"""ONNX models: `load` reads one, `export` writes one. Needs the extra `[onnx]`."""

import importlib

_NAMES = {"load": "maas.onnx.model", "OnnxModel": "maas.onnx.model"}
__all__ = sorted(_NAMES)


def __getattr__(name):
    if name not in _NAMES:
        from maas.missing_names import missing

        raise missing(__name__, name)
    value = globals()[name] = getattr(importlib.import_module(_NAMES[name]), name)
    return value
