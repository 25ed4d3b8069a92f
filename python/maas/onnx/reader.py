"""From a file or bytes to a checked `Graph`."""

import contextlib
import os

from maas.onnx.graph import Context, Graph
from maas.onnx.registry import DOMAINS
from maas.onnx.wire import BytesSource, FileSource, split

_OLDEST = 1  # opset of the standard domain
_LIMIT = 2 << 30  # what a protobuf may hold


@contextlib.contextmanager
def opened(path_or_bytes):
    """`(Graph, name)` of a model, whose initialisers can be read while the context is open.

    Args:
        path_or_bytes: path, or bytes of a ModelProto.
    """
    try:
        from onnx import ModelProto
    except ModuleNotFoundError as e:
        raise ModuleNotFoundError(
            'onnx: reading ONNX models needs the package onnx: pip install "maas[onnx]"', name=e.name
        ) from e

    source, folder, stem, shown = _source(path_or_bytes)
    try:
        model = ModelProto()
        try:
            data, places = split(source)
            model.ParseFromString(data)
        except Exception as e:  # noqa: BLE001, protobuf has its own error
            raise ValueError(f"onnx: {shown} is no ONNX model ({type(e).__name__})") from None
        if model.functions and places:
            # Functions are written out by code that takes whole models.
            data, places = bytes(source.read(0, source.size)), {}
            model = ModelProto.FromString(data)
        graph, name = _checked_graph(model, folder, shown, source, places)
        yield graph, stem or name or "model"
    finally:
        source.close()


def _checked_graph(model, folder, shown, source, places):
    """The graph of a ModelProto and its name."""
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
    graph = Graph(model.graph, Context(opsets, folder, source, places))
    # An output may leave its type to the nodes.
    for port in graph.inputs + [o for o in graph.outputs if o.kind != "nothing"]:
        if not port.is_tensor:
            raise NotImplementedError(f"onnx: inputs and outputs must be tensors, '{port.name}' is a {port.kind}")
    return graph, model.graph.name


def _source(given):
    """(source, folder, name, what errors call it)."""
    if isinstance(given, (bytes, bytearray, memoryview)):
        return BytesSource(given), None, None, f"the {len(given)} bytes given"
    path = os.fspath(given)
    stem = os.path.splitext(os.path.basename(path))[0]
    return FileSource(path, _LIMIT), os.path.dirname(os.path.abspath(path)), stem, repr(path)


def _inlined(model, shown):
    """The model with its own functions written out."""
    from onnx import inliner

    try:
        return inliner.inline_local_functions(model)
    except Exception as e:  # noqa: BLE001, the inliner raises what C++ gave
        raise ValueError(f"onnx: the functions of {shown} cannot be written out ({e})") from None
