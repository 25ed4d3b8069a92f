"""From a file or bytes to a checked `Graph`."""

import os

from maas.onnx.graph import Context, Graph
from maas.onnx.registry import DOMAINS

_OLDEST = 1  # opset of the standard domain
_LIMIT = 2 << 30  # what a protobuf may hold


def read_model(path_or_bytes):
    """`(Graph, name)` of a model.

    Args:
        path_or_bytes: path, or bytes of a ModelProto.
    """
    try:
        from onnx import ModelProto
    except ModuleNotFoundError as e:
        raise ModuleNotFoundError(
            'onnx: reading ONNX models needs the package onnx: pip install "maas[onnx]"', name=e.name
        ) from e

    data, folder, stem, shown = _bytes(path_or_bytes)
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as e:  # noqa: BLE001, protobuf has its own error
        raise ValueError(f"onnx: {shown} is no ONNX model ({type(e).__name__})") from None
    if not model.HasField("graph"):
        raise ValueError(f"onnx: {shown} is no ONNX model, received a file without a graph")
    opsets = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in model.opset_import}
    if not opsets:
        raise ValueError(f"onnx: {shown} must import an opset, received none")
    standard = opsets.get("", DOMAINS[""])
    if not _OLDEST <= standard <= DOMAINS[""]:
        raise NotImplementedError(
            f"onnx: {shown} must have an opset from {_OLDEST} to {DOMAINS['']}, received opset {standard}"
        )
    if model.functions:
        model = _inlined(model, shown)
        opsets = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in model.opset_import}
    graph = Graph(model.graph, Context(opsets, folder))
    for port in graph.inputs + graph.outputs:
        if not port.is_tensor:
            raise NotImplementedError(f"onnx: inputs and outputs must be tensors, '{port.name}' is a {port.kind}")
    return graph, stem or model.graph.name or "model"


def _bytes(given):
    """(bytes, folder, name, what errors call it)."""
    if isinstance(given, (bytes, bytearray, memoryview)):
        return bytes(given), None, None, f"the {len(given)} bytes given"
    path = os.fspath(given)
    if not os.path.exists(path):
        raise FileNotFoundError(f"onnx: model file not found, received {path!r}")
    if not os.path.isfile(path):
        raise ValueError(f"onnx: a model must be a plain file, received {path!r}")
    with open(path, "rb") as file:
        info = os.fstat(file.fileno())
        if info.st_size > _LIMIT:
            raise ValueError(f"onnx: a model file may hold {_LIMIT} bytes, received {info.st_size} in {path!r}")
        data = file.read()
    stem = os.path.splitext(os.path.basename(path))[0]
    return data, os.path.dirname(os.path.abspath(path)), stem, repr(path)


def _inlined(model, shown):
    """The model with its own functions written out."""
    from onnx import inliner

    try:
        return inliner.inline_local_functions(model)
    except Exception as e:  # noqa: BLE001, the inliner raises what C++ gave
        raise ValueError(f"onnx: the functions of {shown} cannot be written out ({e})") from None
