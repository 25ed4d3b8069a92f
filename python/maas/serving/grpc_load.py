"""Load over gRPC. grpcio in Python sends and waits, so its own cost is in every figure: some thousand requests a second
for one process. The HTTP protocols are driven from C++."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from types import SimpleNamespace
from typing import Any

from maas import _core
from maas.serving.grpc import SERVICE, import_grpc
from maas.serving.load import raw_data
from maas.utils.protobuf import bytes_field, fields, varint, varints


def infer_message(model: str, inputs: list[tuple[dict[str, Any], Any]], version: str = "") -> bytes:
    """A `ModelInferRequest` with raw contents, written by hand: protobuf is not needed to send one."""
    message = _text(1, model) + _text(2, version)
    raw = b""
    for spec, array in inputs:
        sizes = b"".join(varint(n) for n in spec["shape"])
        tensor = _text(1, spec["name"]) + _text(2, spec["datatype"]) + bytes_field(3, sizes)
        message += bytes_field(5, tensor)
        raw += bytes_field(7, raw_data(array))
    return message + raw


def _text(field: int, text: str) -> bytes:
    return bytes_field(field, text.encode()) if text else b""


def model_metadata(target: str, model: str, version: str, key: str | None, timeout: float) -> dict[str, Any]:
    """The inputs of a model as `/v2/models/NAME` tells them over HTTP.

    Raises:
        RuntimeError: with the server's own words if it does not tell.
    """
    grpc = import_grpc()
    metadata = [("authorization", f"Bearer {key}")] if key else None
    with grpc.insecure_channel(target) as channel:
        call = channel.unary_unary(f"/{SERVICE}/ModelMetadata")
        try:
            answer = call(_text(1, model) + _text(2, version), timeout=timeout, metadata=metadata)
        except grpc.RpcError as error:
            raise RuntimeError(f"bench: ModelMetadata answered {error.code().name}: {error.details()}") from None
    inputs = []
    for number, tensor in fields(answer):
        if number != 4:
            continue
        spec: dict[str, Any] = {"name": "", "datatype": "", "shape": []}
        for field, value in fields(tensor):
            if field in (1, 2):
                spec[("name", "datatype")[field - 1]] = value.decode()
            elif field == 3:
                spec["shape"] += [value] if isinstance(value, int) else varints(value)
        inputs.append(spec)
    return {"inputs": inputs}


class GrpcLoad:
    """Asks the method ModelInfer with at most `connections` calls at a time.

    What comes back has the fields of `_core.LoadResult`.

    Args:
        target: str, HOST:PORT.
        messages: list of bytes, sent in turn.
        key: str, an API key, or None.
        connections: int, calls at a time, each on a channel of its own.
        rate: float, requests a second of an open loop; 0 is a closed loop.
        poisson: bool, exponential gaps or equal ones.
        seconds: float, measured after `warm_up` seconds.
        requests_limit: int, 0 is no limit.
        timeout: float, seconds for one call.
        seed: int, of the gaps.
    """

    def __init__(
        self,
        target: str,
        messages: list[bytes],
        *,
        key: str | None = None,
        connections: int = 16,
        rate: float = 0,
        poisson: bool = True,
        seconds: float = 10,
        warm_up: float = 1,
        requests_limit: int = 0,
        timeout: float = 10,
        seed: int = 1,
    ) -> None:
        self._grpc = import_grpc()
        self._messages, self._timeout, self._limit = messages, timeout, requests_limit
        self._rate, self._poisson, self._random = rate, poisson, random.Random(seed)
        self._metadata = [("authorization", f"Bearer {key}")] if key else None
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        self._channels = [self._grpc.insecure_channel(target, options) for _ in range(connections)]
        path = f"/{SERVICE}/ModelInfer"
        self._free = deque(channel.unary_unary(path) for channel in self._channels)
        self._waiting: deque[float] = deque()
        self._changed = threading.Condition()
        self._seconds, self._warm_up = seconds, warm_up
        self._in_flight = self._started = 0
        self._done = False

    def run(self) -> SimpleNamespace:
        """Runs the load; the result has the fields of `_core.LoadResult`, with names of gRPC's codes as statuses."""
        self._result = SimpleNamespace(
            latency=_core.LatencyHistogram(), service=_core.LatencyHistogram(), statuses=Counter(), answers=0,
            connect_failed=0, timed_out=0, closed_early=0, invalid=0, cancelled=0, unsent=0, sent=0,
            bytes_in=0, bytes_out=0, first_answer=b"", first_refusal=b"",
        )  # fmt: skip
        self._begin = time.perf_counter() + self._warm_up
        self._end = self._begin + self._seconds
        try:
            self._closed_loop() if self._rate == 0 else self._open_loop()
        finally:
            ended = min(time.perf_counter(), self._end)
            with self._changed:
                self._done = True
                for due in self._waiting:
                    if due >= self._begin:
                        self._result.unsent += 1
                        self._result.latency.record(int((ended - due) * 1e9))
                self._waiting.clear()
                self._changed.wait_for(lambda: self._in_flight == 0, self._timeout + 1)
            for channel in self._channels:
                channel.close()
        self._result.seconds = max(1e-9, ended - self._begin)
        self._result.statuses = dict(self._result.statuses)
        return self._result

    def _over(self) -> bool:
        return time.perf_counter() >= self._end or bool(self._limit and self._started >= self._limit)

    def _closed_loop(self) -> None:
        while not self._over():
            with self._changed:
                if not self._changed.wait_for(lambda: self._free or self._over(), 0.05) or not self._free:
                    continue
                call = self._free.popleft()
            self._send(call, time.perf_counter())

    def _open_loop(self) -> None:
        due = time.perf_counter()
        while not self._over():
            time.sleep(max(0.0, min(due, self._end) - time.perf_counter()))
            if self._over():
                return
            with self._changed:
                call = self._free.popleft() if self._free else None
                if call is None:
                    self._waiting.append(due)
            if call is not None:
                self._send(call, due)
            due += self._random.expovariate(self._rate) if self._poisson else 1 / self._rate

    def _send(self, call: Any, due: float) -> None:
        with self._changed:
            message = self._messages[self._started % len(self._messages)]
            self._started += 1
            self._in_flight += 1
            measured = self._begin <= due < self._end
            self._result.sent += measured
        sent = time.perf_counter()
        future = call.future(message, timeout=self._timeout, metadata=self._metadata)
        future.add_done_callback(lambda f: self._ended(call, f, due, sent, measured))

    def _ended(self, call: Any, future: Any, due: float, sent: float, measured: bool) -> None:
        now, result, next_due = time.perf_counter(), self._result, None
        code = future.code()
        with self._changed:
            if code is self._grpc.StatusCode.OK:
                answer = future.result()
                result.bytes_in += len(answer)
                result.answers += self._begin <= now < self._end
                result.first_answer = result.first_answer or answer
                if measured:
                    result.latency.record(int((now - due) * 1e9))
                    result.service.record(int((now - sent) * 1e9))
            elif measured:
                result.statuses[code.name] += 1
                result.first_refusal = result.first_refusal or future.details().encode()
            self._in_flight -= 1
            if self._waiting and not self._done:
                next_due = self._waiting.popleft()
            else:
                self._free.append(call)
            self._changed.notify()
        if next_due is not None:
            self._send(call, next_due)
