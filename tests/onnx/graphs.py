"""Graphs without weights: `strip` makes them, `filled` draws the weights from a seed."""

import pathlib

import numpy as np
import onnx
from onnx import numpy_helper

FOLDER = pathlib.Path(__file__).parent / "models"
_SMALL = 300  # elements of a floating tensor that is kept


def strip(model):
    """The model without its large floating tensors and without notes; what they were like stands in `doc_string`."""
    names = {}
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
        for i, name in enumerate(node.input):
            names.setdefault(name, (node.op_type, i))
    for t in model.graph.initializer:
        a = numpy_helper.to_array(t)
        if t.data_type != onnx.TensorProto.FLOAT or a.size <= _SMALL:
            continue
        op, place = names.get(t.name, ("", 0))
        if op == "BatchNormalization" and place == 4:
            kind = "uniform 0.5 1.5"
        elif op == "BatchNormalization" and place == 1 or (a == 1).all():
            kind = "uniform 0.8 1.2"
        elif len(set(a.reshape(-1)[:500])) <= 2 and a.std() == 0:
            kind = "normal 0.02"
        else:
            kind = f"normal {a.std():.4g}"
        del t.float_data[:]
        t.ClearField("raw_data")
        t.doc_string = kind
    for part in (model, model.graph):
        part.doc_string = ""
        del part.metadata_props[:]
    for v in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        del v.metadata_props[:]
    del model.graph.value_info[:]
    return model


def filled(name, seed=0):
    """The model of a name with weights: onnx.ModelProto."""
    model = onnx.load(FOLDER / f"{name}.onnx")
    rng = np.random.default_rng(seed)
    for t in model.graph.initializer:
        if not t.doc_string:
            continue
        kind, *numbers = t.doc_string.split()
        shape, numbers = tuple(t.dims), [float(n) for n in numbers]
        if kind == "uniform":
            a = rng.random(shape, "float32") * np.float32(numbers[1] - numbers[0]) + np.float32(numbers[0])
        else:
            a = rng.standard_normal(shape, "float32") * np.float32(numbers[0])
        t.raw_data = a.astype("<f4").tobytes()
    return model
