"""From a model to the bytes of an ONNX file."""

from maas.onnx.dtypes import dtype_code
from maas.onnx.export.graph import read_pieces, replay
from maas.onnx.export.writer import OPSET, Writer

_LIMIT = (2 << 30) - (1 << 20)  # what a protobuf holds
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
    try:
        from onnx import helper
    except ModuleNotFoundError as e:
        raise ModuleNotFoundError(
            'onnx: writing ONNX models needs the package onnx: pip install "maas[onnx]"', name=e.name
        ) from e
    from maas.saving.maas_file import encode_maas

    pieces = encode_maas(model, with_training_state=False, input_signature=input_signature)
    if sum(len(p) for p in pieces) > _LIMIT:
        raise ValueError(f"{model.name}: an ONNX file holds at most 2 GB, received a larger model")
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
    graph = helper.make_graph(
        writer.nodes,
        model.name,
        [helper.make_tensor_value_info(n, dtype_code(v.dtype), shapes[n]) for n, v in inputs],
        infos,
        [t for t in writer.initializers if t.name in read],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="maas")
    proto.ir_version = _IR_VERSION
    return proto.SerializeToString()


def _declared(tensor):
    """Sizes of an output: an int, or a name for an open one."""
    return [d if isinstance(d, int) else str(d).split("#")[0] for d in tensor.dims]
