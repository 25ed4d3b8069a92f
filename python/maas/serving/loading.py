"""Model files that can be served, by suffix."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

# Suffix -> module and function that read it.
LOADERS = {
    ".keras": ("maas.saving", "load_model"),
    ".h5": ("maas.saving", "load_model"),
    ".hdf5": ("maas.saving", "load_model"),
    ".maas": ("maas.saving.maas_file", "load_graph"),
    ".onnx": ("maas.onnx", "load"),
}


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
    module, function = LOADERS[path.suffix]
    try:
        reader = getattr(importlib.import_module(module), function)
    except (ModuleNotFoundError, AttributeError) as error:
        # Only the reader itself may be missing; anything else is a fault or a missing extra and keeps its own text.
        if isinstance(error, ModuleNotFoundError) and error.name != module:
            raise
        raise NotImplementedError(f"this build cannot read {path.suffix} files, received {str(path)!r}") from error
    return reader(os.fspath(path))
