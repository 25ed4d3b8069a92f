"""Model files that can be served, by suffix."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from maas import _core

# Serving needs no optimizer, loss or metric, so they need not be known, nor take memory.
_BARE = {"compile": False}
# Suffix -> module, function that reads a path, module and function that read the bytes, options of both.
LOADERS: dict[str, tuple[str, str, str, str, dict[str, Any]]] = {
    ".keras": ("maas.saving", "load_model", "maas.saving.keras_file", "load_keras_bytes", _BARE),
    ".h5": ("maas.saving", "load_model", "maas.saving.h5_file", "load_h5_bytes", _BARE),
    ".hdf5": ("maas.saving", "load_model", "maas.saving.h5_file", "load_h5_bytes", _BARE),
    ".maas": ("maas.serving.loading", "load_graph", "", "", {}),
    ".onnx": ("maas.onnx", "load", "maas.onnx", "load", {}),
}


class Graph:
    """What a server needs of a `.maas` file. It imports no layers, so a server of one starts in half the time."""

    def __init__(self, saved: Any, function: str = "predict"):
        if function not in saved.functions:
            raise ValueError(f"the file has no function {function!r}, received {sorted(saved.functions)}")
        self.name = saved.metadata.get("model_name", "model")
        self._saved, self._function = saved, function

    def serving_program(self) -> tuple[Any, list[str], list[str]]:
        """`(program, input names, output names)`: what the server runs."""
        inputs, outputs = self._saved.functions[self._function]
        return self._saved.program(self._function), [x[0] for x in inputs], [x[0] for x in outputs]


def load_graph(path: str) -> Any:
    """A `.maas` file as a `Graph`, or as the `ClassicalModel` that it is."""
    try:
        saved = _core.SavedModel.load(path)
    except (ValueError, TypeError, IndexError, RuntimeError, NotImplementedError) as error:
        raise type(error)(f"{error} (in {path!r})") from None
    if "classical" not in saved.metadata:
        return Graph(saved)
    from maas.saving.maas_file import load_graph as load_classical

    return load_classical(path)


def _reader(module: str, function: str, suffix: str) -> Any:
    try:
        return getattr(importlib.import_module(module), function)
    except (ModuleNotFoundError, AttributeError) as error:
        # Only the reader itself may be missing; anything else is a fault or a missing extra and keeps its own text.
        if isinstance(error, ModuleNotFoundError) and error.name != module:
            raise
        raise NotImplementedError(f"this build cannot read {suffix} files") from error


def load(path: str | os.PathLike[str]) -> Any:
    """Loads a model file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the suffix is not one of `LOADERS`.
        NotImplementedError: if this build has no reader for the suffix.
    """
    path = Path(path)
    if path.suffix not in LOADERS:
        raise ValueError(f"a model file must end in {', '.join(LOADERS)}, received {str(path)!r}")
    if not path.is_file():
        raise FileNotFoundError(f"there is no model file {str(path)!r}")
    module, function, _, _, options = LOADERS[path.suffix]
    return _reader(module, function, path.suffix)(os.fspath(path), **options)


def load_open(fd: int, suffix: str) -> Any:
    """Loads the model file behind a descriptor, whatever its path leads to by now.

    An ONNX file with tensors in other files is refused: only its own bytes are read.

    Args:
        fd: int, open for reading; it stays open.
        suffix: str, one of `LOADERS`.
    """
    path = f"/proc/self/fd/{fd}"
    if suffix == ".maas":
        return load_graph(path)
    from maas.saving.files import read_file

    _, _, module, function, options = LOADERS[suffix]
    return _reader(module, function, suffix)(read_file(path), **options)
