"""`maas.Server`: the C++ server as an object."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from pathlib import Path
from typing import Any

from maas import _core
from maas.serving import images
from maas.serving.loading import load
from maas.serving.servable import make_servable

_running: weakref.WeakSet[Server] = weakref.WeakSet()


def _servable(model: Any, name: str | None, version: str) -> _core.Servable:
    if isinstance(model, (str, os.PathLike)):
        name = name or Path(model).stem
        model = load(model)
    return make_servable(model, name, version)


def _repository(server: Server, folder: Any, models: Any, version: str) -> Any:
    from maas.serving.repository import Files, Folder

    if folder is None:
        return Files(server, {k: v if isinstance(v, (str, os.PathLike)) else None for k, v in models}, version)
    repository = Folder(server, folder)
    server.names = repository.load_all()
    return repository


class Server:
    """Serves models with the Open Inference Protocol v2 over HTTP, under TLS if it has a certificate.

    The listener, the codec and the batching run in C++ threads; this object starts and stops them.

    ```python
    with maas.Server(model, name="digits", port=0) as server:
        print(server.url)   # http://127.0.0.1:43571
    ```

    A model whose input holds pixels (uint8 or float32, 1 or 3 channels) also takes JPEG and PNG files, as BYTES or as
    `{"b64": ...}` in JSON, if the extra `image` is installed. They must have the input's size, or any where it is free;
    pixels come as numbers from 0 to 255.

    Args:
        model: a model, a path of a model file, a dict of name -> model or path, or the path of a folder of models
            (`maas.serving.repository.Folder` says how it looks); what of a folder cannot be loaded is said on stderr
            and in the repository index.
        name: str, the model's name in URLs; default the file's stem or the model's own name. Not for a folder.
        host: str, IP address or "localhost".
        port: int, 0 takes a free one.
        max_batch_size: int, most rows of one run; a request with more takes several runs.
        max_queue_delay_us: int, how long a batch waits for more rows. 0 runs at once what is there.
        max_queue_size: int, requests that wait for one model; more get status 429.
        threads: int, compute threads of the engine; default is left as it is.
        version: str, the model's version in URLs.
        grpc_port: int, also answer gRPC there (needs the extra `grpc`); 0 takes a free port, None is no gRPC.
        keys: path of a file of API keys (`maas keys create`). Requests without a key of it are refused; the file is
            read again when it changes.
        tls_cert: path of a PEM file with the certificate and its chain. With it both ports speak TLS 1.2 and 1.3 only;
            the files are read again when they change.
        tls_key: path of a PEM file with the key; default the file of the certificate.
        client_ca: path of a PEM file with authorities: clients need a certificate of one of them. Revocation lists in
            the file are obeyed; with one of them, every authority needs one.
        access_log: path of a file that gets one line of JSON for each request, "-" for the standard output. `reload`
            opens it again.
        management_port: int, also answer management there, on 127.0.0.1 (needs the extra `serve`): load, unload,
            index, statistics, keys. 0 takes a free port, None is no management. It asks for a key of scope manage or
            admin; without `keys` one is made, see `management_key`.
        repository_api: bool, clients with a key of scope manage or admin may load and unload models on the data port
            too.
        insecure_no_auth: bool, listen on an address that other machines reach although no keys are asked for.
        options: `preferred_batch_size` (list of int: sizes that do not wait for the delay), `instances` (runs of one
            model at a time), `priority_levels` (a request's `priority` may be 1, the first, up to this) and
            `default_priority`; and further limits of the C++ server, such as `max_body_bytes`, `max_connections`,
            `request_timeout` (seconds), `header_timeout`, `idle_timeout`, `drain_timeout`, `io_threads`.

    Raises:
        ValueError: for an option out of range or unknown.
        ImportError: if `grpc_port` or `management_port` is given and its extra is not installed.
        NotImplementedError: for `tls_cert` in a build without TLS.
        RuntimeError: from `start` if the port cannot be bound; if a file of keys, certificates or the access log
            cannot be opened.
    """

    def __init__(
        self,
        model: Any,
        name: str | None = None,
        host: str = "127.0.0.1",
        port: int = 8000,
        *,
        max_batch_size: int = 32,
        max_queue_delay_us: int = 0,
        max_queue_size: int = 1024,
        threads: int | None = None,
        version: str = "1",
        grpc_port: int | None = None,
        keys: str | os.PathLike[str] | None = None,
        tls_cert: str | os.PathLike[str] | None = None,
        tls_key: str | os.PathLike[str] | None = None,
        client_ca: str | os.PathLike[str] | None = None,
        access_log: str | os.PathLike[str] | None = None,
        management_port: int | None = None,
        repository_api: bool = False,
        insecure_no_auth: bool = False,
        **options: Any,
    ) -> None:
        _core.check_host(host, keys is not None, insecure_no_auth)  # before the time that models take
        folder = model if isinstance(model, (str, os.PathLike)) and os.path.isdir(model) else None
        if folder is not None and name is not None:
            raise ValueError(f"Server: the models of a folder have its names, received name={name!r}")
        models = model if isinstance(model, dict) else {} if folder is not None else {name: model}
        if isinstance(model, dict) and name is not None:
            raise ValueError(f"Server: name is for one model, a dict has its own names, received name={name!r}")
        if not models and folder is None:
            raise ValueError("Server: needs at least one model, received {}")
        if threads is not None:
            import maas

            maas.set_num_threads(threads)
        batching = {
            "max_batch_size": max_batch_size,
            "max_queue_delay_us": max_queue_delay_us,
            "max_queue_size": max_queue_size,
        }
        files = {"keys_file": keys, "tls_cert": tls_cert, "tls_key": tls_key, "client_ca": client_ca}
        files["access_log"] = access_log
        access: dict[str, Any] = {key: os.fspath(path) for key, path in files.items() if path is not None}
        access["insecure_no_auth"] = insecure_no_auth
        batching |= {key: options.pop(key) for key in set(_core.batching_options) & options.keys()}
        servables = [_servable(value, key, version) for key, value in models.items()]
        self.names = [s.name for s in servables]
        self.host = host
        self._scheme = "http" if tls_cert is None else "https"
        self._batching = batching
        self._core = _core.Server(servables, host, port, {**batching, **access, **options})
        self._core.set_image_decoder(images.decode)
        self.management_key: str | None = None
        self._management = None
        if management_port is not None:
            from maas.serving.management import ManagementListener

            self._management = ManagementListener(self._core, management_port, access.get("keys_file"))
        if keys is None and (management_port is not None or repository_api):
            from maas.serving.keys import make

            self.management_key, row = make(scopes=["admin"])
            self._core.add_key(row["id"], row["sha256"], row["scopes"])
        if folder is not None or management_port is not None or repository_api:
            self._repository = _repository(self, folder, zip(self.names, models.values()), version)
            self._core.set_model_store(self._repository, repository_api)
        self._drain_timeout = options.get("drain_timeout", 30.0)
        self._grpc = None
        if grpc_port is not None:
            from maas.serving.grpc import GrpcListener

            self._grpc = GrpcListener(self._core, host, grpc_port, options.get("max_body_bytes", 64 << 20))
        self._stopped = threading.Event()

    @property
    def port(self) -> int:
        """The bound port, once started."""
        return self._core.port

    @property
    def url(self) -> str:
        """Base URL for clients on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"{self._scheme}://[{host}]:{self.port}" if ":" in host else f"{self._scheme}://{host}:{self.port}"

    @property
    def grpc_port(self) -> int | None:
        """The bound port of gRPC, once started; None without gRPC."""
        return self._grpc.port if self._grpc else None

    @property
    def management_port(self) -> int | None:
        """The bound port of management, once started; None without it."""
        return self._management.port if self._management else None

    def set_model_store(self, store: Any, may_change: bool = False) -> None:
        """Answers the repository routes from `store`; call it before `start`.

        Args:
            store: object with `index()` -> list of `(name, version, state, reason)`, `load(name, parameters)` and
                `unload(name, parameters)`. They run on a thread of their own, one call at a time; the text of a
                ValueError goes to the client, other errors are logged.
            may_change: bool, clients with a key of scope manage or admin may load and unload on the data port.
        """
        self._core.set_model_store(store, may_change)

    def start(self) -> Server:
        """Binds the port and begins to answer. Returns the server itself.

        Raises:
            RuntimeError: if a port cannot be bound, or the server runs already.
        """
        # Before anything else: what follows stops the server if it fails.
        if self in _running:
            raise RuntimeError("Server.start: a server starts once, received one that runs")
        if self._management:
            self._management.bind()
        try:
            self._core.start()
            if self._grpc:
                self._grpc.start()
        except BaseException:
            self._core.stop()
            if self._management:
                self._management.join()
            raise
        if self._management:
            self._management.start()
        _running.add(self)
        return self

    def load(self, model: Any, name: str | None = None, *, version: str = "1", **batching: Any) -> str:
        """Serves another model, or a new one in place of the one with its name. Returns the name.

        The model is loaded and warmed up beside the old one and then takes its place at once; requests that the old
        one has begun with are answered by it. No request fails because of a load.

        Args:
            model: a model or a path of a model file.
            name: str, default the file's stem or the model's own name.
            version: str, the model's version in URLs.
            batching: options such as `max_batch_size`, default those of the server.

        Raises:
            ValueError: for a name or an option that is not valid. The old model stays.
        """
        servable = _servable(model, name, version)
        self._core.load_model(servable, self._batching | batching)
        return servable.name

    def unload(self, name: str) -> bool:
        """Serves a model no longer; its requests in flight are answered. Returns whether there was one."""
        return self._core.unload_model(name)

    def reload(self) -> None:
        """Reads API keys and certificates again now, and opens the access log again, which another may have moved away.

        Keys and certificates are read again without this, too, within a second of a change.

        Raises:
            ValueError, RuntimeError: for a file that is not valid or cannot be read. What it held before stays.
        """
        self._core.reload()

    @property
    def models(self) -> list[str]:
        """Names of the models that are served."""
        return self._core.models()

    def stop(self) -> None:
        """Stops accepting, answers what is in flight, ends the threads. Safe to call twice."""
        # All ports drain at the same time; the calls of gRPC end in the core.
        if self._management:
            self._management.begin_stop()
        ended = self._grpc.begin_stop(self._drain_timeout) if self._grpc else None
        self._core.stop()
        if ended:
            ended.wait()
        if self._management:
            self._management.join()
        _running.discard(self)
        self._stopped.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Blocks until `stop` was called, at most `timeout` seconds. Returns whether the server has stopped."""
        return self._stopped.wait(timeout)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


@atexit.register
def _stop_all() -> None:
    # Threads that call Python models must be gone before the interpreter ends.
    for server in list(_running):
        server.stop()
