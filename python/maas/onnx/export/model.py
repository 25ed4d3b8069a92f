"""From a model to the bytes of an ONNX file."""

import os

import numpy as np

from maas.onnx import wire
from maas.onnx.dtypes import dtype_code
from maas.onnx.export.graph import read_pieces, replay
from maas.onnx.export.writer import OPSET, Writer
from maas.onnx.wire import varint
from maas.saving.atomic import atomic_write

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
    """Writes `model` to `path`, piece by piece; weights of more than 2 GB go to a file `<path>.data` beside it.

    The arguments are those of `encode_onnx`.

    Raises:
        FileExistsError: if a file is there and `overwrite` is False.
    """
    path = os.fspath(path)
    proto, initializers = _parts(model, input_signature)
    beside = f"{path}.data" if _size(initializers) > _LIMIT else None
    with atomic_write(path, overwrite) as file:
        if beside is not None:
            with atomic_write(beside, overwrite) as data:
                initializers = list(_moved_out(initializers, data, os.path.basename(beside)))
        for piece in _pieces(proto, initializers):
            file.write(piece)


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
        head = tensor.SerializeToString()
        if array is not None:
            head += varint(wire.RAW_DATA << 3 | 2) + varint(array.nbytes)
        length = len(head) + (0 if array is None else array.nbytes)
        heads.append(varint(wire.INITIALIZER << 3 | 2) + varint(length) + head)
        size += len(heads[-1]) + (0 if array is None else array.nbytes)
    proto.ClearField("graph")
    yield proto.SerializeToString() + varint(wire.GRAPH << 3 | 2) + varint(size)
    yield graph
    for head, (_, array) in zip(heads, initializers):
        yield head
        if array is not None:
            yield np.ascontiguousarray(array).reshape(-1).view("u1").data


def _moved_out(initializers, file, location):
    """The initialisers with their data in another file."""
    at = 0
    for tensor, array in initializers:
        tensor.data_location = 1  # EXTERNAL
        for key, value in (("location", location), ("offset", at), ("length", array.nbytes)):
            tensor.external_data.add(key=key, value=str(value))
        file.write(np.ascontiguousarray(array).reshape(-1).view("u1").data)
        at += array.nbytes
        yield tensor, None


def _declared(tensor):
    """Sizes of an output: an int, or a name for an open one."""
    return [d if isinstance(d, int) else str(d).split("#")[0] for d in tensor.dims]
