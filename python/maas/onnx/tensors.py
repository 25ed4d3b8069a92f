"""From `TensorProto` to a tensor of the engine: bytes in the file, in typed fields, or in a file beside it."""

import math

import numpy as np

from maas import _core
from maas.onnx import external
from maas.onnx.dtypes import BITS, dtype_name

# Field that holds the elements of a dtype where raw_data does not, and the NumPy dtype of its elements' bits.
_FIELDS = {
    "float32": ("float_data", "<f4"),
    "float64": ("double_data", "<f8"),
    "int64": ("int64_data", "<i8"),
    "uint64": ("uint64_data", "<u8"),
    "uint32": ("uint64_data", "<u4"),
    "int32": ("int32_data", "<i4"),
    "uint16": ("int32_data", "<u2"),
    "int16": ("int32_data", "<i2"),
    "float16": ("int32_data", "<u2"),
    "bfloat16": ("int32_data", "<u2"),
    "uint8": ("int32_data", "u1"),
    "int8": ("int32_data", "i1"),
    "bool": ("int32_data", "u1"),
    "int4": ("int32_data", "u1"),
    "float8_e4m3fn": ("int32_data", "u1"),
    "float8_e5m2": ("int32_data", "u1"),
}
_EXTERNAL = 1  # TensorProto.EXTERNAL


def tensor_value(proto, folder=None):
    """The tensor that a `TensorProto` holds.

    Args:
        proto: TensorProto.
        folder: str, where external data may lie; None refuses them.

    Raises:
        TypeError: for a dtype that the engine does not have.
        ValueError: if sizes and data do not fit, or external data cannot be read.
    """
    where = f"tensor '{proto.name}'"
    dtype, shape = dtype_name(proto.data_type, where), [int(n) for n in proto.dims]
    if any(n < 0 for n in shape) or len(shape) > 32:
        raise ValueError(f"onnx: {where} must have at most 32 sizes >= 0, received {shape[:40]}")
    count = math.prod(shape)
    need = (count * BITS[dtype] + 7) // 8
    if need > 1 << 40:
        raise ValueError(f"onnx: {where} is larger than any model, received shape {shape} of {dtype}")
    field, bits = _FIELDS[dtype]
    if proto.data_location == _EXTERNAL:
        data = external.read(proto, folder, need)
    elif proto.HasField("raw_data"):
        data = proto.raw_data
    else:
        values = getattr(proto, field)
        if dtype in ("float32", "float64", "int64", "uint64"):
            data = np.array(values, bits).tobytes()
        else:
            # Small types lie in wider fields; their low bits count.
            data = (np.array(values, "int64") & ((1 << 8 * np.dtype(bits).itemsize) - 1)).astype(bits).tobytes()
    if len(data) != need:
        raise ValueError(
            f"onnx: {where} of shape {shape} and dtype {dtype} needs {need} bytes, received {len(data)} bytes"
        )
    if dtype == "bool":
        data = (np.frombuffer(data, "u1") != 0).tobytes()
    return _core.Tensor.from_stored_bytes(np.frombuffer(data, "u1"), shape, dtype)
