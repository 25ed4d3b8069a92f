"""Ops that the ONNX standard defines by other ops: nodes of the definition in place of one node."""

import threading

from maas.onnx.dtypes import dtype_code

_cache, _lock = {}, threading.Lock()


def expand(node, values):
    """The graph that defines a node for values of these dtypes, or None where ONNX has no definition.

    Args:
        node: `Node`.
        values: its inputs; None where one is left out.

    Returns:
        `(Graph, names of its inputs)`; left-out inputs have no name.
    """
    from onnx import FunctionProto, NodeProto, defs

    if node.text is None:
        return None
    try:
        schema = defs.get_schema(node.op, node.opset, node.domain)
    except defs.SchemaError:
        return None
    if not (schema.has_function or schema.has_context_dependent_function):
        return None
    key = (
        node.text,
        node.opset,
        tuple(None if v is None else (v.dtype, tuple(v.shape)) for v in values),
    )
    with _lock:
        if key in _cache:
            return _cache[key]
    if schema.has_context_dependent_function:
        text = schema.get_context_dependent_function(node.text, [_type(v) for v in values])
        function = FunctionProto.FromString(text)
    else:
        function = schema.function_body
        if isinstance(function, bytes):
            function = FunctionProto.FromString(function)
    result = _graph(function, node, NodeProto.FromString(node.text), schema, values)
    with _lock:
        if len(_cache) > 256:
            _cache.clear()
        _cache[key] = result
    return result


def _type(value):
    """What ONNX calls the type of a value, as bytes; empty for one that is left out."""
    from onnx import TypeProto, helper

    if value is None:
        return TypeProto().SerializeToString()
    shape = list(value.shape)
    return helper.make_tensor_type_proto(dtype_code(value.dtype), shape).SerializeToString()


def _graph(function, node, called, schema, values):
    from onnx import GraphProto

    from maas.onnx.graph import Context, Graph

    left_out = {name for i, name in enumerate(function.input) if i >= len(values) or values[i] is None}
    given = {a.name: a for a in called.attribute}
    given |= {n: a.default_value for n, a in schema.attributes.items() if n not in given and a.default_value.name}
    proto = GraphProto(name=node.op)
    for name in function.input:
        if name not in left_out:
            proto.input.add(name=name).type.tensor_type.elem_type = 0
    for name in function.output:
        proto.output.add(name=name)
    for item in function.node:
        _copied(proto.node.add(), item, given, left_out)
    made = {n for item in proto.node for n in item.output} | {i.name for i in proto.input}
    for i in reversed(range(len(proto.output))):
        if proto.output[i].name not in made:
            del proto.output[i]
    opsets = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in function.opset_import}
    opsets.setdefault("", node.opset)
    names = [None if n in left_out else n for n in function.input]
    return Graph(proto, Context(opsets)), names, list(function.output)


def _copied(target, item, given, left_out):
    """A node of a definition with the attributes of the call and without inputs that the call leaves out."""
    target.CopyFrom(item)
    for i, name in enumerate(target.input):
        if name in left_out:
            target.input[i] = ""
    for i in reversed(range(len(target.attribute))):
        a = target.attribute[i]
        if a.ref_attr_name:
            if a.ref_attr_name in given:
                name = a.name
                a.CopyFrom(given[a.ref_attr_name])
                a.name = name
            else:
                del target.attribute[i]
        elif a.type == 5:
            for inner in a.g.node:
                _copied(inner, type(inner).FromString(inner.SerializeToString()), given, left_out)
