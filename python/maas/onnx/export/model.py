"""From a model to the bytes of an ONNX file."""

import contextlib
import hashlib
import os
import re

import numpy as np

from maas.onnx import wire
from maas.onnx.dtypes import dtype_code
from maas.onnx.export.graph import read_pieces, replay
from maas.onnx.export.writer import OPSET, Writer
from maas.saving.atomic import atomic_write
from maas.utils.protobuf import head

_LIMIT = (2 << 30) - (1 << 20)  # bytes of weights; a protobuf holds 2 GB
_IR_VERSION = 9


def encode_onnx(model, input_signature=None):
    """The bytes of `model` as an ONNX file: what `predict` computes, with open sizes kept open.

    Args:
        model: a built model.
        input_signature: specs of the inputs, for a subclassed model that was never called on data.

    Raises:
        ModuleNotFoundError: without the extra `[onnx]`.
        NotImplementedError: for an op that has no writer.
        ValueError: for a model that is not built, or of more than 2 GB.
    """
    proto, initializers = _parts(model, input_signature)
    if _size(initializers) > _LIMIT:
        raise ValueError(
            f"{model.name}: bytes of an ONNX model hold at most 2 GB, received {_size(initializers)} bytes of weights; "
            "export it to a path"
        )
    return b"".join(_pieces(proto, initializers))


def write_onnx_file(model, path, overwrite=True, input_signature=None):
    """Writes `model` to `path`, piece by piece; weights of more than 2 GB go to a file beside it.

    That file is called `<path>.<hash of the weights>.data`, so that at every moment the model at `path` has the weights
    that it was written with. Those of the model that was there before are removed last.

    The arguments are those of `encode_onnx`.

    Raises:
        FileExistsError: if a file is there and `overwrite` is False.
    """
    path = os.fspath(path)
    proto, initializers = _parts(model, input_signature)
    beside = f"{path}.{_hash(initializers)}.data" if _size(initializers) > _LIMIT else None
    before = _data_files(path)
    try:
        with atomic_write(path, overwrite) as file:
            if beside is not None:
                with atomic_write(beside) as data:
                    initializers = list(_moved_out(initializers, data, os.path.basename(beside)))
            for piece in _pieces(proto, initializers):
                file.write(piece)
    except BaseException:
        if beside is not None and beside not in before:
            _remove(beside)
        raise
    for old in before:
        if old != beside:
            _remove(old)


def _data_files(path):
    """Files of weights that a model at `path` has, or that a process left which was killed while it wrote one."""
    folder, name = os.path.split(path)
    if not os.path.isdir(folder or "."):
        return []  # atomic_write says so
    pattern = re.compile(re.escape(name) + r"\.[0-9a-f]{16}\.data")
    return [os.path.join(folder, entry) for entry in os.listdir(folder or ".") if pattern.fullmatch(entry)]


def _remove(path):
    with contextlib.suppress(FileNotFoundError):
        os.remove(path)


def _hash(initializers):
    """16 hexadecimal digits of the bytes of all weights."""
    digest = hashlib.sha256()
    for _, array in initializers:
        digest.update(_raw(array))
    return digest.hexdigest()[:16]


def _raw(array):
    """The bytes of an array; a copy only where they do not lie in order."""
    return np.ascontiguousarray(array).reshape(-1).view("u1").data


def _parts(model, input_signature):
    """(ModelProto without initialisers, the initialisers)."""
    try:
        from onnx import helper
    except ModuleNotFoundError as e:
        raise ModuleNotFoundError(
            'onnx: writing ONNX models needs the package onnx: pip install "maas[onnx]"', name=e.name
        ) from e
    from maas.saving.maas_file import encode_maas

    pieces = encode_maas(model, with_training_state=False, input_signature=input_signature)
    function, tensors = read_pieces(pieces)
    inputs, nodes, outputs, where = replay(function, tensors)
    writer = Writer(model.name, inputs, where)
    for name, _ in outputs:
        writer.unique(name)
    for node in nodes:
        writer.node(node)
    infos = []
    for name, value in outputs:
        writer.nodes.append(helper.make_node("Identity", [writer.name(value)], [name]))
        infos.append(helper.make_tensor_value_info(name, dtype_code(value.dtype), _declared(value.tensor)))
    read = {name for node in writer.nodes for name in node.input}
    shapes = {item["input"]: item["shape"] for item in function["nodes"] if "input" in item}
    ports = [helper.make_tensor_value_info(n, dtype_code(v.dtype), shapes[n]) for n, v in inputs]
    graph = helper.make_graph(writer.nodes, model.name, ports, infos)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="maas")
    proto.ir_version = _IR_VERSION
    return proto, [(t, a) for t, a in writer.initializers if t.name in read]


def _size(initializers):
    return sum(array.nbytes for _, array in initializers)


def _pieces(proto, initializers):
    """The bytes of the model in pieces. The data of an initialiser are copied when their turn comes."""
    graph = proto.graph.SerializeToString()
    heads, size = [], len(graph)
    for tensor, array in initializers:
        text = tensor.SerializeToString()
        if array is not None:
            text += head(wire.RAW_DATA, array.nbytes)
        heads.append(head(wire.INITIALIZER, len(text) + (0 if array is None else array.nbytes)) + text)
        size += len(heads[-1]) + (0 if array is None else array.nbytes)
    proto.ClearField("graph")
    yield proto.SerializeToString() + head(wire.GRAPH, size)
    yield graph
    for text, (_, array) in zip(heads, initializers):
        yield text
        if array is not None:
            yield _raw(array)


def _moved_out(initializers, file, location):
    """The initialisers with their data in another file."""
    at = 0
    for tensor, array in initializers:
        tensor.data_location = 1  # EXTERNAL
        for key, value in (("location", location), ("offset", at), ("length", array.nbytes)):
            tensor.external_data.add(key=key, value=str(value))
        file.write(_raw(array))
        at += array.nbytes
        yield tensor, None


def _declared(tensor):
    """Sizes of an output: an int, or a name for an open one."""
    return [d if isinstance(d, int) else str(d).split("#")[0] for d in tensor.dims]
