"""The management listener: a port of loopback where models are loaded and keys are made. FastAPI on uvicorn.

Its routes are a table in C++ (`_core.routes(management=True)`), and `authorise` in C++ decides on the route that
matched, as it does for the data port. Nothing of FastAPI is imported before the thread of the listener runs.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import socket
import sys
import threading
from typing import Any

from maas import _core

HOST = "127.0.0.1"
MAX_BODY_BYTES = 1 << 20
MAX_DEPTH = 16
MAX_HEADER_BYTES = 16 << 10
MAX_HEADERS = 100
MAX_URL_BYTES = 8 << 10
MAX_CONNECTIONS = 128
SECONDS = 10.0  # for a request's header, and for its body
IDLE_SECONDS = 15
# Hosts that a browser may have been told to come for. Any other name may be a page's own that leads here by DNS.
HOSTS = ("127.0.0.1", "localhost", "[::1]")
EXTRA = "the management port needs the extra 'serve': pip install maas[serve]"


def available() -> bool:
    """Whether the extra `serve` is installed."""
    return all(importlib.util.find_spec(name) for name in ("fastapi", "uvicorn", "h11"))


class Refused(Exception):
    """A request that is answered with a status and a text."""

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None):
        super().__init__(text)
        self.status, self.text, self.headers = status, text, headers or {}


def check_origin(headers: list[tuple[bytes, bytes]]) -> None:
    """Refuses what comes from a web page: a `Host` that is not this one's, an `Origin` that is not this host.

    Raises:
        Refused: with 400, 403 or 421.
    """
    hosts = [value.decode("latin-1") for key, value in headers if key == b"host"]
    origins = [value.decode("latin-1") for key, value in headers if key == b"origin"]
    if len(hosts) != 1:
        raise Refused(400, "a request needs one Host")
    name, colon, port = hosts[0].rpartition(":") if not hosts[0].endswith("]") else (hosts[0], "", "")
    if not colon:
        name = hosts[0]
    if name.lower() not in HOSTS or (colon and not (port.isascii() and port.isdigit())):
        raise Refused(421, "this host is not served here")
    if any(origin.lower() not in (f"http://{hosts[0]}".lower(), f"https://{hosts[0]}".lower()) for origin in origins):
        raise Refused(403, "requests from other origins are not answered")


def check_size(scope: Any) -> None:
    """Refuses heads that are too large. uvicorn looks at those alone that come in pieces.

    Raises:
        Refused: with 414 or 431.
    """
    close = {"Connection": "close"}
    if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_URL_BYTES:
        raise Refused(414, "the URL is too long", close)
    headers = scope["headers"]
    if len(headers) > MAX_HEADERS or sum(len(key) + len(value) + 4 for key, value in headers) > MAX_HEADER_BYTES:
        raise Refused(431, "the header is too large", close)


def checked_json(body: bytes) -> dict[str, Any]:
    """The object of a body; it is read by Python only once its depth is known to be small.

    Raises:
        Refused: with 400 if it is not a JSON object.
    """
    try:
        _core.check_json(body or b"{}", MAX_DEPTH)
        value = json.loads(body or b"{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refused(400, "the body must be a JSON object")
    return value


class Keys:
    """The routes of the file of keys. Without a file there is nothing to change."""

    SHOWN = ("id", "name", "scopes", "models", "created", "expires", "requests_per_second", "burst")
    GIVEN = ("name", "scopes", "models", "expires_in", "requests_per_second", "burst")

    def __init__(self, core: Any, path: str | None):
        self._core, self._path = core, path

    def _file(self) -> str:
        if self._path is None:
            raise Refused(409, "the server was started without a file of keys")
        return self._path

    def list(self, name: str, body: bytes) -> tuple[int, Any]:
        from maas.serving import keys

        rows = keys.read(self._file())
        return 200, {"keys": [{field: row.get(field) for field in self.SHOWN} for row in rows]}

    def add(self, name: str, body: bytes) -> tuple[int, Any]:
        from maas.serving import keys

        path, given = self._file(), checked_json(body)
        if given.keys() - set(self.GIVEN):
            raise Refused(400, f"a key is made of {', '.join(self.GIVEN)}")
        try:
            if not all(isinstance(given.get(field, []), list) for field in ("scopes", "models")):
                raise TypeError
            text, row = keys.make(**given)
        except (ValueError, TypeError, OverflowError):
            raise Refused(400, "a key has a name of 128 characters, scopes, models and numbers above 0") from None
        self._write(keys.add, path, row)
        return 201, {"id": row["id"], "key": text}

    def revoke(self, name: str, body: bytes) -> tuple[int, Any]:
        from maas.serving import keys

        path = self._file()
        rows = keys.read(path)
        if not any(row["id"] == name for row in rows):
            raise Refused(404, "there is no key of this id")
        if not any("admin" in row.get("scopes", ()) for row in rows if row["id"] != name):
            raise Refused(409, "the last key of an admin is revoked by `maas keys revoke` alone")
        try:
            self._write(keys.revoke, path, name)
        except ValueError:
            raise Refused(404, "there is no key of this id") from None
        return 200, {}

    def _write(self, function: Any, *arguments: Any) -> None:
        try:
            function(*arguments)
        except OSError as error:
            print(f"maas: the file of keys could not be written: {error}", file=sys.stderr)
            raise Refused(507, "the file of keys could not be written") from None
        self._core.refresh_keys()


def make_app(core: Any, keys_path: str | None) -> Any:
    """The FastAPI application. Every route of it is a `Guarded`, made from the table in C++.

    Args:
        core: a `_core.Server`.
        keys_path: str, the file of keys, or None.
    """
    from fastapi import FastAPI
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import Response
    from starlette.routing import Match, Route

    own = Keys(core, keys_path)
    handlers = {"keys_list": own.list, "keys_add": own.add, "keys_revoke": own.revoke}

    def answer(status: int, body: bytes, headers: dict[str, str], content_type: str = "application/json") -> Response:
        # No page may read, show or keep any of it.
        fixed = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return Response(body, status, {**fixed, **headers, "Content-Type": content_type})

    def refusal(error: Refused) -> Response:
        return answer(error.status, json.dumps({"error": error.text}).encode(), error.headers)

    def authorise(route: str, name: str, headers: list[tuple[bytes, bytes]]) -> Any:
        values = [value.decode("latin-1") for key, value in headers if key == b"authorization"]
        # Two keys are refused as one that nobody has.
        decision = core.authorise(route, name, values[0] if len(values) == 1 else "\0" * len(values))
        if decision.status != 200:
            more = {"Connection": "close"}
            if decision.status == 401:
                more["WWW-Authenticate"] = 'Bearer realm="maas"'
            if decision.status == 429:
                more["Retry-After"] = str(decision.retry_after)
            raise Refused(decision.status, decision.text, more)
        return decision

    async def body_of(scope: Any, receive: Any) -> bytes:
        headers = dict(scope["headers"])
        close = {"Connection": "close"}
        if b"content-encoding" in headers:
            raise Refused(415, "the body must not be encoded", close)
        parts, size = [], 0
        try:
            async with asyncio.timeout(SECONDS):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise Refused(400, "the body did not end", close)
                    size += len(message.get("body", b""))
                    if size > MAX_BODY_BYTES:
                        raise Refused(413, "the body is too large", close)
                    parts.append(message.get("body", b""))
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            raise Refused(408, "the request body took too long", close) from None

    class Guarded(Route):
        """A route of the table: nobody gets to it, by any method, whom `authorise` has not let through."""

        def __init__(self, name: str, pattern: str, methods: list[str], scopes: list[str]):
            super().__init__(pattern, self._unreachable, methods=methods, name=name)
            self.scopes = scopes

        async def _unreachable(self, request: Any) -> Any:
            raise AssertionError("handle() answers")

        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            try:
                response = await self._answer(scope, receive)
            except Refused as error:
                response = refusal(error)
            await response(scope, receive, send)

        async def _answer(self, scope: Any, receive: Any) -> Response:
            name = next(iter(scope["path_params"].values()), "")
            decision = authorise(self.name, name, scope["headers"])
            try:
                if self.matches(scope)[0] is not Match.FULL:
                    allow = ", ".join(sorted(self.methods or ()))
                    raise Refused(405, "the method is not allowed here", {"Allow": allow, "Connection": "close"})
                if name and not _core.valid_name(name):
                    raise Refused(404, "Request for a model or version name that is not valid")
                body = await body_of(scope, receive) if scope["method"] == "POST" else b""
                if self.name in handlers:
                    status, value = await run_in_threadpool(handlers[self.name], name, body)
                    return answer(status, json.dumps(value).encode(), {})
                status, lines, kind, text = await run_in_threadpool(core.manage, self.name, name, body, decision)
                headers = dict(line.split(": ", 1) for line in lines.splitlines())
                return answer(status, text, headers, kind)
            finally:
                decision.release()

    async def missing(scope: Any, receive: Any, send: Any) -> None:
        try:
            authorise("none", "", scope["headers"])
            raise Refused(404, "there is no such route", {"Connection": "close"})
        except Refused as error:
            await refusal(error)(scope, receive, send)

    class App(FastAPI):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                return
            begun = False

            async def watched(message: Any) -> None:
                nonlocal begun
                begun = True
                await send(message)

            try:
                check_size(scope)
                check_origin(scope["headers"])
                # A path has one spelling: no name that can be valid needs a percent sign.
                if b"%" in scope["raw_path"]:
                    await missing(scope, receive, watched)
                else:
                    await super().__call__(scope, receive, watched)
            except Refused as error:
                await refusal(error)(scope, receive, watched)
            except Exception as error:
                print(f"maas: a management request failed: {type(error).__name__}: {error}", file=sys.stderr)
                if not begun:
                    await refusal(Refused(500, "internal error", {"Connection": "close"}))(scope, receive, watched)

    app = App(title="maas", openapi_url=None, docs_url=None, redoc_url=None)
    app.router.redirect_slashes = False
    app.router.default = missing
    app.router.routes[:] = [Guarded(*row) for row in _core.routes(management=True)]
    return app


def _protocol() -> type:
    """uvicorn's protocol with limits that it lacks: time for a header, connections, and our form of errors."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Protocol(H11Protocol):
        _late: Any = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > MAX_CONNECTIONS:
                transport.abort()
                return
            self._late = self.loop.call_later(SECONDS, self._close_if_late)

        def data_received(self, data: bytes) -> None:
            if self._late is None and self._between():
                self._late = self.loop.call_later(SECONDS, self._close_if_late)
            super().data_received(data)
            if not self._between():
                self._forget()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            text = b'{"error":"the request is not valid HTTP"}'
            head = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n"
            self.transport.write(head + b"Content-Length: %d\r\n\r\n" % len(text) + text)
            self.transport.close()

        def _between(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def _forget(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

        def _close_if_late(self) -> None:
            self._late = None
            if self._between():
                self.transport.close()

    return Protocol


class ManagementListener:
    """The management port of a running `_core.Server`, on a thread of its own.

    Args:
        core: the `_core.Server` that answers.
        port: int, 0 takes a free one.
        keys_path: str, the server's file of keys, or None.

    Raises:
        ImportError: if the extra `serve` is not installed.
        RuntimeError: from `bind` if the port cannot be bound.
    """

    def __init__(self, core: Any, port: int, keys_path: str | None):
        if not available():
            raise ImportError(EXTRA)
        self._core, self._keys_path = core, keys_path
        self.port = port
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._server: Any = None
        self._stopping = threading.Event()
        self.ready = threading.Event()

    def bind(self) -> None:
        """Takes the port; connections wait until `start`."""
        taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind((HOST, self.port))
            taken.listen(MAX_CONNECTIONS)
        except (OSError, OverflowError) as error:
            taken.close()
            text = getattr(error, "strerror", None) or "the port must be in [0, 65535]"
            raise RuntimeError(f"cannot listen on {HOST}:{self.port}: {text}") from None
        self._socket, self.port = taken, taken.getsockname()[1]

    def start(self) -> None:
        """Begins to answer, once FastAPI has been imported on the thread of the listener."""
        self._thread = threading.Thread(target=self._run, name="maas-management", daemon=True)
        self._thread.start()

    def begin_stop(self) -> None:
        """Asks the listener to end. `join` waits for it."""
        self._stopping.set()
        if self._server is not None:
            self._server.should_exit = True

    def join(self) -> None:
        if self._thread is not None:
            self._thread.join(10)
        if self._socket is not None:
            self._socket.close()

    def _run(self) -> None:
        try:
            import uvicorn

            config = uvicorn.Config(
                make_app(self._core, self._keys_path),
                http=_protocol(),
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=5,
                h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            )
            self._server = uvicorn.Server(config)
            self._server.should_exit = self._stopping.is_set()
            self.ready.set()
            self._server.run(sockets=[self._socket])
        except BaseException as error:
            print(f"maas: the management port has ended: {type(error).__name__}: {error}", file=sys.stderr)
        finally:
            self.ready.set()
