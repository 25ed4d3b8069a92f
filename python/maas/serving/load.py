"""Load on a server: which requests to send, and what came of them (`maas bench`)."""

from __future__ import annotations

import base64
import dataclasses
import ipaddress
import json
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Any

from maas import _core

PROTOCOLS = ("oip", "oip-binary", "tfs", "http", "grpc")
# Datatype of the Open Inference Protocol -> NumPy's.
NUMPY = {
    "BOOL": "?",
    **{f"{sign}INT{8 * size}": f"<{sign.lower() or 'i'}{size}" for sign in ("", "U") for size in (1, 2, 4, 8)},
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


@dataclasses.dataclass
class Target:
    """Where requests go, taken from a URL such as `http://127.0.0.1:8000`.

    Args:
        host: str, name or address.
        port: int.
        path: str, the path in the URL, "" if it has none.
    """

    host: str
    port: int
    path: str = ""

    @classmethod
    def parse(cls, url: str) -> Target:
        """Raises ValueError for anything but `http://HOST[:PORT][/PATH]`."""
        parts = urllib.parse.urlsplit(url if "//" in url else f"http://{url}")
        try:
            port = parts.port or 80
        except ValueError:
            port = None
        if parts.scheme != "http" or not parts.hostname or port is None or parts.username is not None:
            raise ValueError(f"bench: the URL must be http://HOST:PORT (TLS is not spoken), received {url!r}")
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        return cls(parts.hostname, port, path if path != "/" else "")

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def check(self, allow_remote: bool = False) -> None:
        """Raises ValueError if the host is another machine and `allow_remote` is not set."""
        if allow_remote:
            return
        try:
            found = {entry[4][0] for entry in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)}
        except OSError as error:
            raise ValueError(f"bench: the host has no address ({error.strerror}), received {self.host!r}") from None
        if not all(ipaddress.ip_address(address).is_loopback for address in found):
            raise ValueError(f"bench: only --allow-remote loads another machine, received {self.host!r}")


def request_bytes(
    target: Target,
    path: str,
    body: bytes,
    content_type: str = "application/json",
    headers: Sequence[tuple[str, str]] = (),
    keep_alive: bool = True,
) -> bytes:
    """One HTTP/1.1 POST, head and body.

    Raises:
        ValueError: for a header or path with a line end in it, or one that the generator writes itself.
    """
    own = [("Host", target.authority), ("Content-Type", content_type), ("Content-Length", str(len(body)))]
    for name, _ in headers:
        if name.lower() in ("host", "content-length", "connection", "transfer-encoding"):
            raise ValueError(f"bench: the generator writes this header itself, received {name!r}")
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in [*own, *headers])]
    if not keep_alive:
        lines.append("Connection: close")
    if any("\r" in line or "\n" in line for line in lines) or not path.startswith("/") or " " in path:
        raise ValueError(f"bench: path and headers must be single words and lines, received {path!r}, {headers!r}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def get_json(target: Target, path: str, key: str | None = None, timeout: float = 10.0) -> Any:
    """What a GET of `path` answers; an error names the status and the text that came."""
    request = urllib.request.Request(f"http://{target.authority}{path}")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=timeout) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        text = error.read()[:200].decode(errors="replace")
        raise RuntimeError(f"bench: {path} answered {error.code}: {text}") from None


def random_inputs(metadata: dict[str, Any], rows: int, free: int, rng: Any) -> list[tuple[dict[str, Any], Any]]:
    """Values for the inputs of a model, from its metadata.

    Args:
        metadata: dict, the answer of `/v2/models/NAME`.
        rows: int, for the first free size of each input.
        free: int, for its other free sizes.
        rng: `numpy.random.Generator`.

    Returns:
        List of `(the input's name, shape and datatype, array)`; an array of bytes for BYTES.

    Raises:
        ValueError: for a datatype that has no NumPy form.
    """
    import numpy as np

    found = []
    for spec in metadata["inputs"]:
        shape = [size if size >= 0 else free if i else rows for i, size in enumerate(spec["shape"])]
        kind = spec["datatype"]
        if kind == "BYTES":
            array = np.full(shape, b"some text", object)
        elif kind not in NUMPY:
            raise ValueError(f"bench: input {spec['name']!r} has a datatype without NumPy form, received {kind!r}")
        elif "FP" in kind:
            # As many digits as clients send; random bits of float64 would be twice the text.
            array = rng.standard_normal(shape).astype(np.float32).astype(NUMPY[kind])
        else:
            array = rng.integers(0, 2, shape).astype(NUMPY[kind])  # valid for indices too
        found.append(({"name": spec["name"], "shape": shape, "datatype": kind}, array))
    return found


def _listed(array: Any, flat: bool) -> Any:
    """Elements for JSON: of the Open Inference Protocol in one list, of TensorFlow Serving nested, bytes as base64."""
    array = array.ravel() if flat else array
    if array.dtype == object:
        return [text.decode() for text in array] if flat else _base64(array.tolist())
    # Float32 as its own shortest text, not as that of the float64 beside it.
    if array.dtype.kind == "f" and array.dtype.itemsize <= 4:
        import numpy as np

        return np.vectorize(lambda v: float(str(v)), otypes=[float])(array).tolist()
    return array.tolist()


def oip_body(inputs: Sequence[tuple[dict[str, Any], Any]]) -> tuple[str, bytes, list[tuple[str, str]]]:
    """`(content type, body, headers)` of an Open Inference Protocol request in JSON."""
    tensors = [{**spec, "data": _listed(array, flat=True)} for spec, array in inputs]
    return "application/json", json.dumps({"inputs": tensors}).encode(), []


def raw_data(array: Any) -> bytes:
    """Elements as the protocol's binary tensors hold them; texts each after its length."""
    if array.dtype == object:
        return b"".join(len(text).to_bytes(4, "little") + text for text in array.ravel())
    return array.tobytes()


def oip_binary_body(inputs: Sequence[tuple[dict[str, Any], Any]]) -> tuple[str, bytes, list[tuple[str, str]]]:
    """The same with binary tensors both ways."""
    raw = [raw_data(array) for _, array in inputs]
    tensors = [
        {**spec, "parameters": {"binary_data_size": len(data)}} for (spec, _), data in zip(inputs, raw, strict=True)
    ]
    head = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}}).encode()
    return (
        "application/octet-stream",
        head + b"".join(raw),
        [("Inference-Header-Content-Length", str(len(head)))],
    )


def tfs_body(inputs: Sequence[tuple[dict[str, Any], Any]]) -> tuple[str, bytes, list[tuple[str, str]]]:
    """`(content type, body, headers)` of a TensorFlow Serving predict request: rows, or columns of several inputs."""
    if len(inputs) == 1:
        body: dict[str, Any] = {"instances": _listed(inputs[0][1], flat=False)}
    else:
        body = {"inputs": {spec["name"]: _listed(array, flat=False) for spec, array in inputs}}
    return "application/json", json.dumps(body).encode(), []


def _base64(nested: Any) -> Any:
    if isinstance(nested, list):
        return [_base64(n) for n in nested]
    return {"b64": base64.b64encode(nested).decode()}


BODIES = {"oip": oip_body, "oip-binary": oip_binary_body, "tfs": tfs_body}


def model_path(protocol: str, model: str, version: str | None = None) -> str:
    """Path of the inference route of a model."""
    middle = f"/versions/{version}" if version else ""
    if protocol == "tfs":
        return f"/v1/models/{model}{middle}:predict"
    return f"/v2/models/{model}{middle}/infer"


def model_requests(
    target: Target,
    protocol: str,
    model: str,
    *,
    version: str | None = None,
    rows: int = 1,
    free: int = 16,
    variants: int = 8,
    key: str | None = None,
    headers: Sequence[tuple[str, str]] = (),
    keep_alive: bool = True,
    seed: int = 1,
) -> list[bytes]:
    """Requests with random inputs for a model that the server at `target` describes.

    Args:
        target: `Target`.
        protocol: "oip", "oip-binary" or "tfs".
        model: str, its name.
        version: str, or None for the server's choice.
        rows: int, of each request.
        free: int, for sizes other than the batch that the model leaves open.
        variants: int, requests with values of their own; they are sent in turn.
        key: str, an API key.
        headers: further header lines, `(name, value)`.
        keep_alive: bool, False asks the server to close after each answer.
        seed: int, of the values.

    Returns:
        List of whole HTTP requests.
    """
    import numpy as np

    metadata = get_json(target, f"/v2/models/{urllib.parse.quote(model)}", key)
    rng = np.random.default_rng(seed)
    more = [*headers, *([("Authorization", f"Bearer {key}")] if key else [])]
    requests = []
    for _ in range(variants):
        content_type, body, own = BODIES[protocol](random_inputs(metadata, rows, free, rng))
        path = target.path + model_path(protocol, model, version)
        requests.append(request_bytes(target, path, body, content_type, [*own, *more], keep_alive))
    return requests


def run(requests: Sequence[bytes], target: Target, **options: Any) -> _core.LoadResult:
    """Sends `requests` in turn, as `options` of `_core.LoadOptions` say, and returns what came of it.

    Raises:
        ValueError: for an option out of range, or a host that is not this machine without `allow_remote`.
        RuntimeError: if the host has no address.
    """
    load = _core.LoadOptions()
    load.host, load.port, load.requests = target.host, target.port, list(requests)
    for name, value in options.items():
        setattr(load, name, value)
    return _core.run_load(load)


def percentiles(histogram: _core.LatencyHistogram) -> dict[str, float]:
    """p50, p90, p99, p99.9, mean and max, in microseconds."""
    found = {name: histogram.percentile(share) / 1e3 for name, share in SHARES.items()}
    return {**found, "max": histogram.max / 1e3, "mean": histogram.mean / 1e3}


def summary(result: Any, rows: int = 1) -> dict[str, Any]:
    """A result as plain numbers for tables and JSON. Latencies are in microseconds."""
    errors = {
        name: getattr(result, name)
        for name in ("connect_failed", "timed_out", "closed_early", "invalid", "cancelled", "unsent")
        if getattr(result, name)
    }
    for status, n in result.statuses.items():
        if isinstance(status, str):  # of gRPC
            errors[f"code {status}"] = n
        elif not 200 <= status < 300:
            errors[f"status {status}"] = n
    return {
        "requests_per_second": result.answers / result.seconds,
        "rows_per_second": rows * result.answers / result.seconds,
        "answers": result.answers,
        "seconds": result.seconds,
        "latency_us": percentiles(result.latency),
        "service_us": percentiles(result.service),
        "errors": errors,
        "bytes_in": result.bytes_in,
        "bytes_out": result.bytes_out,
    }
