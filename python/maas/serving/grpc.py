"""The Open Inference Protocol over gRPC: grpcio carries the bytes, the C++ server reads and writes them."""

from __future__ import annotations

import functools
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
# Each call that waits for its model holds a thread; more calls wait their turn.
THREADS = 64


def import_grpc() -> Any:
    """The module `grpc`; an ImportError that names the extra if it is not installed."""
    try:
        import grpc
    except ImportError as error:
        raise ImportError("gRPC needs the extra 'grpc': pip install maas[grpc]") from error
    return grpc


def _authorization(context: Any) -> str:
    values = [value for key, value in context.invocation_metadata() if key == "authorization"]
    # Two keys are refused as one that nobody has.
    return str(values[0]) if len(values) == 1 else "\0" * len(values)


class GrpcListener:
    """A gRPC port of a running `_core.Server`.

    Args:
        core: the `_core.Server` that answers.
        host: str, IP address or "localhost".
        port: int, 0 takes a free one.
        max_message_bytes: int, longest message that is read.
        credentials: of `grpc.ssl_server_credentials`, None for no encryption.

    Raises:
        ImportError: if grpcio is not installed.
        RuntimeError: from `start` if the port cannot be bound.
    """

    def __init__(self, core: Any, host: str, port: int, max_message_bytes: int = 64 << 20, credentials: Any = None):
        self._grpc = import_grpc()
        self._core = core
        self._where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._credentials = credentials
        self._limit = max_message_bytes
        self.port = port
        self._server: Any = None

    def start(self) -> None:
        grpc = self._grpc
        listener = self

        class Calls(grpc.GenericRpcHandler):
            def service(self, details: Any) -> Any:
                if details.method == STREAM:
                    return grpc.stream_stream_rpc_method_handler(listener._stream)
                name = UNARY.get(details.method)
                if name is None:
                    return None
                return grpc.unary_unary_rpc_method_handler(functools.partial(listener._ask, name))

        server = grpc.server(
            futures.ThreadPoolExecutor(THREADS, thread_name_prefix="maas-grpc"),
            handlers=[Calls()],
            options=[
                ("grpc.max_receive_message_length", self._limit),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_metadata_size", 16 << 10),
                # A port that somebody else listens on is an error, not half of the calls.
                ("grpc.so_reuseport", 0),
            ],
        )
        if self._credentials is None:
            self.port = server.add_insecure_port(self._where)
        else:
            self.port = server.add_secure_port(self._where, self._credentials)
        server.start()
        self._server = server

    def begin_stop(self, seconds: float) -> Any:
        """Refuses new calls and gives those in flight so many seconds. Returns an event of the end, or None."""
        server, self._server = self._server, None
        return server.stop(seconds) if server else None

    def _ask(self, name: str, message: bytes, context: Any) -> bytes:
        left = context.time_remaining()
        # A deadline that has passed is not "no deadline".
        seconds = 0.0 if left is None else max(left, 1e-6)
        code, text, answer = self._core.grpc(name, message, _authorization(context), seconds)
        if code != 0:
            context.abort(next(c for c in self._grpc.StatusCode if c.value[0] == code), text)
        return answer

    def _stream(self, messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
        for message in messages:
            yield self._ask("ModelStreamInfer", message, context)
