"""From a model of any kind to what the C++ server runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from maas import _core

# Python dtype name -> datatype of the Open Inference Protocol.
DATATYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "bfloat16": "BF16",
    "float32": "FP32",
    "float64": "FP64",
    "bytes": "BYTES",
}


@dataclasses.dataclass
class PythonModel:
    """A function as a model: `outputs = function([input_0, input_1, ...])`, called once per batch.

    Args:
        function: callable; takes a list of NumPy arrays (rows first) and returns one array or a list of arrays.
        inputs: list of `(name, shape, dtype)`; `None` in a shape is a free size, first in every shape for the batch.
            A tensor of dtype "bytes" is an object array of `bytes`; outputs may hold `str` too.
        outputs: list of `(name, shape, dtype)`.
    """

    function: Callable[[list[Any]], Any]
    inputs: Sequence[tuple[str, Sequence[int | None], str]]
    outputs: Sequence[tuple[str, Sequence[int | None], str]]


def _specs(tensors: Sequence[tuple[str, Sequence[int | None], str]]) -> list[tuple[str, str, list[int | None]]]:
    specs = []
    for name, shape, dtype in tensors:
        if dtype not in DATATYPES:
            raise TypeError(f"serving: tensor {name!r} has a dtype that no protocol carries, received {dtype!r}")
        specs.append((str(name), DATATYPES[dtype], [None if d is None else int(d) for d in shape]))
    return specs


def check_name(name: str) -> str:
    """Returns `name` if it can be part of a URL; raises ValueError otherwise."""
    if not _core.valid_name(name):
        raise ValueError(f"serving: a model's name must match [A-Za-z0-9_][A-Za-z0-9_.-]*, received {name!r}")
    return name


def make_servable(model: Any, name: str | None = None, version: str = "1") -> _core.Servable:
    """Wraps `model` for the server.

    Args:
        model: a `_core.Servable`, a `PythonModel`, or a model with `inputs`, `outputs` and `predict_on_batch`.
        name: str, the name in the URL; the model's own name by default.
        version: str.

    Returns:
        A `_core.Servable`.

    Raises:
        TypeError: if `model` is none of these.
        ValueError: if the name cannot be part of a URL.
    """
    if isinstance(model, _core.Servable):
        return model
    if isinstance(model, PythonModel):
        name = name or getattr(model.function, "__name__", "model")
        inputs, outputs, function = _specs(model.inputs), _specs(model.outputs), model.function
    elif callable(getattr(model, "serving_program", None)):
        program, inputs, outputs = model.serving_program()
        return _core.ProgramServable(program, check_name(name or model.name), version, inputs, outputs)
    elif callable(getattr(model, "predict_on_batch", None)):
        from maas.models.programs import inference_program

        program, inputs, outputs = inference_program(model)
        return _core.ProgramServable(program, check_name(name or model.name), version, inputs, outputs)
    else:
        raise TypeError(f"serving: expected a model, a PythonModel or a servable, received {type(model).__name__}")
    return _core.PythonServable(check_name(name), version, inputs, outputs, function)
