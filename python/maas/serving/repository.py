"""Where a server's models come from: a folder of models, or the files that it was started with."""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

from maas import _core
from maas.serving import loading
from maas.serving.servable import make_servable

READY, UNAVAILABLE = "READY", "UNAVAILABLE"
MAX_CONFIG_BYTES = 64 << 10
# All that a client is told of why a model is not there. What exactly went wrong is for the log.
UNLOADED = "unloaded"
NEWER = "a newer version is served"
NO_MEMORY = "not enough memory"
NOT_READ = "its files could not be read"
NOT_LOADED = "its file could not be loaded"


class ModelError(ValueError):
    """What is wrong with a model of a repository, in words for the client."""


def options_of(text: bytes | str) -> dict[str, Any]:
    """The options of a `config.json`, or of the parameter `config` of a load: the words of `Server`'s options.

    Raises:
        ModelError: if it is not a JSON object of known words.
    """
    data = text.encode() if isinstance(text, str) else text
    try:
        _core.check_json(data, 4)
        options = json.loads(data)
    except ValueError:
        options = None
    if not isinstance(options, dict) or options.keys() - set(_core.batching_options):
        words = ", ".join(_core.batching_options)
        raise ModelError(f"the config of a model must be a JSON object of {words}")
    return options


class Repository:
    """What the repository routes of a server do. A subclass says which models there are and opens them.

    Args:
        server: the `maas.Server` that serves the models; it is not kept alive.
    """

    def __init__(self, server: Any):
        self._server = weakref.proxy(server)
        self._lock = threading.Lock()
        self._reasons: dict[str, str] = {}  # of models that are not served
        self._served: dict[str, str] = {}  # name -> version

    def versions(self) -> Mapping[str, list[str]]:
        """Names of all models with their versions, the newest last."""
        raise NotImplementedError

    def open(self, name: str) -> tuple[Any, str, dict[str, Any]]:
        """`(model, version, options)` of the newest version of a model; ModelError if there is none."""
        raise NotImplementedError

    def load_all(self) -> list[str]:
        """Loads every model; what cannot be loaded is said on stderr and in the index. Returns the names served."""
        for name in sorted(self.versions()):
            try:
                self.load(name, {})
            except (ValueError, OSError, RuntimeError, MemoryError):
                continue
        return sorted(self._served)

    def index(self) -> list[tuple[str, str, str, str]]:
        """`(name, version, state, reason)` of every version of every model."""
        versions = dict(self.versions())
        with self._lock:
            served, reasons = dict(self._served), dict(self._reasons)
        live = self._server.models
        for name in live:
            served.setdefault(name, "1")
        rows = []
        for name in sorted(versions.keys() | (served.keys() & set(live))):
            all_versions = versions.get(name, [])
            now = served.get(name)
            for version in dict.fromkeys([*all_versions, *([now] if now else [])]):
                if version == now:
                    rows.append((name, version, READY, ""))
                elif now:
                    rows.append((name, version, UNAVAILABLE, NEWER if version != all_versions[-1] else UNLOADED))
                else:
                    rows.append((name, version, UNAVAILABLE, reasons.get(name, UNLOADED)))
        return rows

    def load(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Loads a model, or loads it again: the old one answers until the new one has taken its place.

        Args:
            name: str.
            parameters: dict; `config` may hold options as JSON text, which win over those of the model's folder.

        Raises:
            ValueError: if there is no such model, it cannot be loaded, or a parameter is not known. The text is for
                clients. The old model stays.
            MemoryError: if there is no memory for it. The old model stays.
        """
        given: dict[str, Any] = {}
        for key, value in parameters.items():
            if key != "config" or not isinstance(value, str):
                raise ModelError("loading a model takes the parameter 'config' alone, a JSON text")
            given = options_of(value)
        try:
            if not _core.valid_name(name):
                raise ModelError("the name of a model is not valid")
            model, version, options = self.open(name)
            servable = make_servable(model, name, version)
            del model
            self._server._core.load_model(servable, self._server._batching | options | given)
        except ModelError as error:
            self._failed(name, str(error))
            raise ModelError(f"model '{name}' could not be loaded: {error}") from None
        except MemoryError:
            self._failed(name, NO_MEMORY)
            raise
        except Exception as error:
            reason = NOT_READ if isinstance(error, OSError) else NOT_LOADED
            self._failed(name, reason)
            print(f"maas: model {name!r} could not be loaded: {type(error).__name__}: {error}", file=sys.stderr)
            raise ModelError(f"model '{name}' could not be loaded: {reason}") from None
        with self._lock:
            self._served[name] = version
            self._reasons.pop(name, None)

    def unload(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Serves a model no longer; its requests in flight are answered.

        Raises:
            ValueError: if it is not served.
        """
        if not self._server.unload(name):
            raise ModelError(f"model '{name}' is not loaded")
        with self._lock:
            self._served.pop(name, None)
            self._reasons[name] = UNLOADED

    def _failed(self, name: str, reason: str) -> None:
        with self._lock:
            if name in self._served:
                return
            # Names that nobody has come from outside, and there is no end to them.
            if _core.valid_name(name) and name in self.versions():
                self._reasons[name] = reason


class Files(Repository):
    """The models that a server was started with; those that came from a path can be loaded again."""

    def __init__(self, server: Any, paths: Mapping[str, Any], version: str):
        super().__init__(server)
        self._paths, self._version = dict(paths), version
        self._served = dict.fromkeys(paths, version)

    def versions(self) -> Mapping[str, list[str]]:
        return dict.fromkeys(self._paths, [self._version])

    def open(self, name: str) -> tuple[Any, str, dict[str, Any]]:
        if name not in self._paths:
            raise ModelError("there is no such model")
        if self._paths[name] is None:
            raise ModelError("it did not come from a file")
        return loading.load(self._paths[name]), self._version, {}


class Folder(Repository):
    """A folder with `<model>/<version>/model.{maas,keras,onnx,h5}`, or `<model>.{maas,keras,onnx,h5}` as version 1.

    The newest version, the highest number, is served. `<model>/config.json` may hold options of the model. What lies
    outside of the folder is never opened, whatever links are in it.

    Raises:
        NotADirectoryError: if it is not a folder.
    """

    def __init__(self, server: Any, folder: str | os.PathLike[str]):
        super().__init__(server)
        self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._fd)

    def versions(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for entry in self._list("."):
            stem, suffix = os.path.splitext(entry)
            if suffix in loading.LOADERS and not entry.endswith(".weights.h5") and _core.valid_name(stem):
                found.setdefault(stem, []).append("1")
            elif _core.valid_name(entry):
                numbers = [v for v in self._list(entry) if _is_version(v)]
                found.setdefault(entry, []).extend(numbers)
        return {name: sorted(set(versions), key=int) for name, versions in found.items() if versions}

    def open(self, name: str) -> tuple[Any, str, dict[str, Any]]:
        versions = self.versions().get(name)
        if not versions:
            raise ModelError("there is no such model")
        version = versions[-1]
        flat = [f"{name}{suffix}" for suffix in loading.LOADERS if version == "1"]
        deep = [f"{name}/{version}/model{suffix}" for suffix in loading.LOADERS]
        paths = [p for p in [*flat, *deep] if self._is_there(p)]
        if len(paths) != 1:
            raise ModelError("it has no model file" if not paths else "it has more than one model file")
        fd = _core.open_beneath(self._fd, paths[0])
        try:
            # Opening a pipe again, by the descriptor's path, would wait for its writer.
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ModelError("it has no model file")
            model = loading.load_open(fd, os.path.splitext(paths[0])[1])
        finally:
            os.close(fd)
        return model, version, self._options(name)

    def _options(self, name: str) -> dict[str, Any]:
        try:
            fd = _core.open_beneath(self._fd, f"{name}/config.json")
        except (FileNotFoundError, NotADirectoryError):
            return {}
        try:
            text = os.read(fd, MAX_CONFIG_BYTES + 1)
        finally:
            os.close(fd)
        return options_of(text if len(text) <= MAX_CONFIG_BYTES else b"")

    def _is_there(self, path: str) -> bool:
        try:
            os.close(_core.open_beneath(self._fd, path))
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def _list(self, path: str) -> Iterable[str]:
        """Names in a folder of the folder; none if it is not one, or leads out."""
        try:
            fd = os.dup(self._fd) if path == "." else _core.open_beneath(self._fd, path)
        except OSError:
            return []
        try:
            return os.listdir(fd)
        except NotADirectoryError:
            return []
        finally:
            os.close(fd)


def _is_version(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18 and (text == "0" or text[0] != "0")
