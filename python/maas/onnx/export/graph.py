"""The recorded graph of a model as Python reads it: nodes with their parameters, dtypes and sizes."""

import ast
import json
import struct

import numpy as np

from maas import _core

_SMALL = 1024  # elements of a stored tensor that ops may look into; a larger one is a placeholder


class Value:
    """One value: its name in the ONNX graph (once it is written), dtype and sizes (ints and `Dim`s).

    `array` holds the bytes of a stored one, as they lie in the encoded model.
    """

    def __init__(self, tensor, array=None, wanted=None):
        self.tensor, self.array, self.wanted = tensor, array, wanted
        self.name = None

    @property
    def dtype(self):
        return self.tensor.dtype

    @property
    def dims(self):
        return list(self.tensor.dims)

    @property
    def shape(self):
        return list(self.tensor.shape)

    @property
    def ndim(self):
        return self.tensor.ndim


class Node:
    """One op: name, parameters, values of its inputs and outputs."""

    def __init__(self, op, params, inputs, outputs):
        self.op, self.params, self.inputs, self.outputs = op, params, inputs, outputs


def read_pieces(pieces):
    """(the function `predict`, dict of tensor name to array of bytes, dtype and shape) of an encoded `.maas` file."""
    head = bytes(pieces[0])
    (size,) = struct.unpack("<Q", head[:8])
    entries = json.loads(head[8 : 8 + size])
    graph = json.loads(entries.pop("__metadata__")["graph"])
    at, places = 0, {}
    for piece in pieces[1:]:
        places[at] = piece
        at += len(piece)
    tensors = {n: places[e["data_offsets"][0]] for n, e in entries.items() if e["data_offsets"][0] in places}
    return next(f for f in graph["functions"] if f["name"] == "predict"), tensors


def size_of(text, symbols, pick):
    """An expression of sizes by `pick`, which has `add`, `multiply`, `floordiv`, `minimum`, `maximum`."""
    names = {"floordiv": pick.floordiv, "max": pick.maximum, "min": pick.minimum}

    def walk(e):
        if isinstance(e, ast.Constant):
            return e.value
        if isinstance(e, ast.Name):
            return symbols[e.id]
        if isinstance(e, ast.UnaryOp):
            return pick.multiply(-1, walk(e.operand))
        if isinstance(e, ast.BinOp):
            a, b = walk(e.left), walk(e.right)
            if isinstance(e.op, ast.Sub):
                return pick.add(a, pick.multiply(-1, b))
            return pick.multiply(a, b) if isinstance(e.op, ast.Mult) else pick.add(a, b)
        return names[e.func.id](*(walk(a) for a in e.args))

    return walk(ast.parse(text, mode="eval").body)


class Dims:
    """Arithmetic of ints and `Dim`s."""

    add = staticmethod(lambda a, b: a + b)
    multiply = staticmethod(lambda a, b: a * b)
    floordiv = staticmethod(lambda a, b: a // b)

    @staticmethod
    def maximum(a, b):
        if isinstance(a, int):
            return max(a, b) if isinstance(b, int) else b.max(a)
        return a.max(b)

    @staticmethod
    def minimum(a, b):
        if isinstance(a, int):
            return min(a, b) if isinstance(b, int) else b.min(a)
        return a.min(b)


def replay(function, tensors):
    """Runs the graph once more on placeholders, so that every value has a dtype and sizes.

    Returns:
        `(inputs, nodes, outputs, symbols)`: `(name, Value)` pairs, `Node`s, `(name, Value)` pairs, and for every symbol
        the place it is read from, `(number of the input, axis)`.
    """
    made, inputs, nodes, symbols, where = [], [], [], {}, {}
    with _core.Trace() as trace:
        for item in function["nodes"]:
            if "input" in item:
                tensor = trace.input(item["shape"], dtype=item["dtype"], name=item["input"])
                for axis, (text, dim) in enumerate(zip(item["shape"], tensor.dims)):
                    if isinstance(text, str) and text not in symbols:
                        symbols[text], where[text] = dim, (len(inputs), axis)
                inputs.append((item["input"], Value(tensor)))
                made.append([inputs[-1][1]])
            elif "op" in item:
                ins = [made[i][j] for i, j in item["in"]]
                params = {k: _parameter(k, v, symbols) for k, v in item.get("params", {}).items()}
                nodes.append(_replayed(item["op"], ins, params, item.get("params", {})))
                made.append(nodes[-1].outputs)
            else:
                made.append([_stored(item, tensors, trace)])
    outputs = [(name, made[i][j]) for name, (i, j) in function["outputs"]]
    return inputs, nodes, outputs, where


def _replayed(op, ins, params, raw):
    if any(isinstance(v, list) and v and isinstance(v[0], dict) for v in raw.values()):
        raise NotImplementedError(f"export: branches and loops have no writer to ONNX, received the op '{op}'")
    results = getattr(_core, op)(*(v.tensor for v in ins), **params)
    results = results if isinstance(results, (tuple, list)) else [results]
    node = Node(op, params, ins, [Value(r) for r in results])
    node.raw = raw
    return node


def _parameter(name, value, symbols):
    if isinstance(value, list) and any(isinstance(v, str) for v in value):
        return [size_of(v, symbols, Dims) if isinstance(v, str) else v for v in value]
    if value in ("inf", "-inf", "nan") and name != "mode":
        return float(value)
    return value


def _stored(item, tensors, trace):
    key, dtype, shape = item.get("state", item.get("constant")), item["dtype"], item["shape"]
    if isinstance(key, str):
        data = np.asarray(tensors[key]).view("u1")
        if data.size <= _SMALL:
            tensor = _core.Tensor.from_stored_bytes(data, shape, dtype)
        else:
            tensor = trace.input(shape, dtype=dtype, name="")
        return Value(tensor, data, key if "state" in item else None)
    array = np.array(key, "float64").reshape(shape)
    tensor = _core.Tensor(array, dtype) if "float" in dtype else _core.Tensor(np.array(key).reshape(shape), dtype)
    return Value(tensor, tensor.stored_bytes(), None)
