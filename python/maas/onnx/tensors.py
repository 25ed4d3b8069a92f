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


class Stored:
    """An initialiser before it is read: dtype and shape are checked, its data come from where they lie.

    Args:
        proto: TensorProto.
        folder: str, where external data may lie; None refuses them.
        source: what `wire.split` left the data of this tensor in, None where the proto holds them.
        place: `(begin, size)` in `source`.

    Raises:
        TypeError: for a dtype that the engine does not have.
        ValueError: if sizes and data do not fit.
    """

    def __init__(self, proto, folder=None, source=None, place=None):
        self._where = f"tensor '{proto.name}'"
        self.dtype, self.shape = dtype_name(proto.data_type, self._where), [int(n) for n in proto.dims]
        if any(n < 0 for n in self.shape) or len(self.shape) > 32:
            raise ValueError(f"onnx: {self._where} must have at most 32 sizes >= 0, received {self.shape[:40]}")
        self.size = math.prod(self.shape)
        self._need = (self.size * BITS[self.dtype] + 7) // 8
        if self._need > 1 << 40:
            raise ValueError(
                f"onnx: {self._where} is larger than any model, received shape {self.shape} of {self.dtype}"
            )
        self._proto, self._folder, self._source, self._place = proto, folder, source, place
        if place is not None and proto.data_location != _EXTERNAL:
            self._check(place[1])

    def _check(self, size):
        if size != self._need:
            raise ValueError(
                f"onnx: {self._where} of shape {self.shape} and dtype {self.dtype} needs {self._need} bytes, "
                f"received {size} bytes"
            )

    def _data(self):
        """The bytes, which may lie in memory that is used again."""
        proto = self._proto
        if proto.data_location == _EXTERNAL:
            return external.read(proto, self._folder, self._need)
        if self._place is not None:
            return self._source.read(*self._place)
        if proto.HasField("raw_data"):
            data = proto.raw_data
        else:
            field, bits = _FIELDS[self.dtype]
            values = getattr(proto, field)
            if self.dtype in ("float32", "float64", "int64", "uint64"):
                data = np.array(values, bits).tobytes()
            else:
                # Small types lie in wider fields; their low bits count.
                data = (np.array(values, "int64") & ((1 << 8 * np.dtype(bits).itemsize) - 1)).astype(bits).tobytes()
        self._check(len(data))
        return data

    def tensor(self):
        """The value as a tensor."""
        data = np.frombuffer(self._data(), "u1")
        return _core.Tensor.from_stored_bytes((data != 0).view("u1") if self.dtype == "bool" else data, self.shape,
                                              self.dtype)  # fmt: skip

    def array(self):
        """The value for whoever copies it at once: a NumPy view of the data, a tensor of dtypes that NumPy lacks."""
        if self.dtype not in ("float32", "float64"):
            return self.tensor()
        return np.frombuffer(self._data(), _FIELDS[self.dtype][1]).reshape(self.shape)


def tensor_value(proto, folder=None):
    """The tensor that a `TensorProto` holds.

    Raises:
        TypeError: for a dtype that the engine does not have.
        ValueError: if sizes and data do not fit, or external data cannot be read.
    """
    return Stored(proto, folder).tensor()
