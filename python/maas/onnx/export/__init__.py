"""Models written as ONNX: the Graph op by op, one writer function for each; importing this fills the table."""

from maas.onnx.export import (  # noqa: F401
    attention,
    elementwise,
    index,
    linear,
    norm,
    recurrent,
    reduce,
    shape,
    window,
)
from maas.onnx.export.model import encode_onnx, write_onnx_file

__all__ = ["encode_onnx", "write_onnx_file"]
