"""The Open Inference Protocol over gRPC: grpcio carries the bytes, the C++ server reads and writes them."""

from __future__ import annotations

import functools
import threading
import time
import urllib.parse
from collections.abc import Iterator
from concurrent import futures
from typing import Any

SERVICE = "inference.GRPCInferenceService"
# Path of a call -> name in the C++ server.
UNARY = {
    f"/{SERVICE}/{name}": name
    for name in (
        "ServerLive",
        "ServerReady",
        "ServerMetadata",
        "ModelReady",
        "ModelMetadata",
        "ModelConfig",
        "ModelStatistics",
        "ModelInfer",
        "RepositoryIndex",
        "RepositoryModelLoad",
        "RepositoryModelUnload",
    )
} | {"/grpc.health.v1.Health/Check": "HealthCheck"}
STREAM = f"/{SERVICE}/ModelStreamInfer"
# Each call that waits for its model holds a thread, and each open stream does; more calls wait their turn, and more
# than MAX_CALLS are refused. Streams leave threads for calls.
THREADS = 64
MAX_CALLS = 1024
MAX_STREAMS = 32


def import_grpc() -> Any:
    """The module `grpc`; an ImportError that names the extra if it is not installed."""
    try:
        import grpc
    except ImportError as error:
        raise ImportError("gRPC needs the extra 'grpc': pip install maas[grpc]") from error
    return grpc


def _metadata(given: Any, name: str) -> str:
    values = [value for key, value in given or () if key == name]
    # Two keys are refused as one that nobody has; two traces are none.
    return str(values[0]) if len(values) == 1 else "\0" * len(values)


def _peer(context: Any) -> str:
    """Address and port, as HTTP's access log has them: grpcio says "ipv6:%5B::1%5D:1234"."""
    return urllib.parse.unquote(context.peer()).partition(":")[2]


class _Clients:
    """Whether a call's client certificate is valid now: a connection may be older than its revocation."""

    def __init__(self, core: Any):
        self._core = core
        pem = core.tls_pem()
        self.asked = pem is not None and bool(pem[2])
        self._known: tuple[int, dict[bytes, float]] = (0, {})

    def valid(self, context: Any) -> bool:
        if not self.asked:
            return True
        chain = context.auth_context()
        pem = b"".join(chain.get("x509_pem_cert_chain") or chain.get("x509_pem_cert") or [])
        now, generation = time.monotonic(), self._core.tls_generation
        # A check costs more than a small model; what it said holds for a second, as long as no file changed.
        known = self._known if self._known[0] == generation else (generation, {})
        if known[1].get(pem, -1.0) < now:
            if not self._core.trusts_client(pem):
                return False
            if len(known[1]) > 1000:
                known[1].clear()
            known[1][pem] = now + 1
            self._known = known
        return True


class GrpcListener:
    """A gRPC port of a running `_core.Server`.

    Args:
        core: the `_core.Server` that answers.
        host: str, IP address or "localhost".
        port: int, 0 takes a free one.
        max_message_bytes: int, longest message that is read; longer ones get RESOURCE_EXHAUSTED.

    The port speaks TLS if the server does, with the same certificates.

    Raises:
        ImportError: if grpcio is not installed.
        RuntimeError: from `start` if the port cannot be bound.
    """

    def __init__(self, core: Any, host: str, port: int, max_message_bytes: int = 64 << 20):
        self._grpc = import_grpc()
        self._core = core
        self._where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._clients = _Clients(core)
        self._streams = threading.Semaphore(MAX_STREAMS)
        self._limit = max_message_bytes
        self.port = port
        self._server: Any = None

    def start(self) -> None:
        grpc = self._grpc
        listener = self

        class Calls(grpc.GenericRpcHandler):
            def service(self, details: Any) -> Any:
                name = "ModelStreamInfer" if details.method == STREAM else UNARY.get(details.method)
                if name is None:
                    return None
                given = details.invocation_metadata
                key, trace = _metadata(given, "authorization"), _metadata(given, "traceparent")
                code, text = listener._core.grpc_admits(name, key, trace)
                if code != 0:
                    # A handler of streams, because that of one message would first read the message.
                    return grpc.stream_stream_rpc_method_handler(functools.partial(listener._refuse, code, text))
                if details.method == STREAM:
                    return grpc.stream_stream_rpc_method_handler(listener._stream)
                return grpc.unary_unary_rpc_method_handler(functools.partial(listener._ask, name))

        server = grpc.server(
            futures.ThreadPoolExecutor(THREADS, thread_name_prefix="maas-grpc"),
            handlers=[Calls()],
            maximum_concurrent_rpcs=MAX_CALLS,
            options=[
                ("grpc.max_receive_message_length", self._limit),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_metadata_size", 16 << 10),
                # A port that somebody else listens on is an error, not half of the calls.
                ("grpc.so_reuseport", 0),
            ],
        )
        credentials = self._credentials()
        if credentials is None:
            self.port = server.add_insecure_port(self._where)
        else:
            self.port = server.add_secure_port(self._where, credentials)
        server.start()
        self._server = server

    def _credentials(self) -> Any:
        grpc, core = self._grpc, self._core
        if core.tls_pem() is None:
            return None

        def configuration() -> Any:
            cert, key, client_ca = core.tls_pem()
            return grpc.ssl_server_certificate_configuration([(key, cert)], client_ca or None)

        given = core.tls_generation
        lock = threading.Lock()

        def changed() -> Any:  # asked at every handshake; None leaves what is there
            nonlocal given
            with lock:
                now = core.tls_generation
                if now == given:
                    return None
                given = now
                return configuration()

        asks = bool(core.tls_pem()[2])
        return grpc.dynamic_ssl_server_credentials(configuration(), changed, require_client_authentication=asks)

    def begin_stop(self, seconds: float) -> Any:
        """Refuses new calls and gives those in flight so many seconds. Returns an event of the end, or None."""
        server, self._server = self._server, None
        return server.stop(seconds) if server else None

    def _abort(self, context: Any, code: int, text: str) -> None:
        context.abort(next(c for c in self._grpc.StatusCode if c.value[0] == code), text)

    def _refuse(self, code: int, text: str, _: Iterator[bytes], context: Any) -> Iterator[bytes]:
        self._abort(context, code, text)
        yield b""  # never reached: it makes this a generator, as a handler of streams is

    def _ask(self, name: str, message: bytes, context: Any) -> bytes:
        if not self._clients.valid(context):
            context.abort(self._grpc.StatusCode.UNAUTHENTICATED, "the client's certificate is not valid any more")
        left = context.time_remaining()
        # A deadline that has passed is not "no deadline".
        seconds = 0.0 if left is None else max(left, 1e-6)
        given = context.invocation_metadata()
        key, trace = _metadata(given, "authorization"), _metadata(given, "traceparent")
        code, text, answer, own = self._core.grpc(name, message, key, trace, _peer(context), seconds)
        if own and name != "ModelStreamInfer":
            context.set_trailing_metadata((("traceresponse", own),))
        if code != 0:
            self._abort(context, code, text)
        return answer

    def _stream(self, messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
        if not self._streams.acquire(blocking=False):
            context.abort(self._grpc.StatusCode.RESOURCE_EXHAUSTED, "too many streams are open")
        try:
            for message in messages:
                yield self._ask("ModelStreamInfer", message, context)
        finally:
            self._streams.release()
