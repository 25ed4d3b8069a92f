"""Products of matrices and some linear algebra."""

from maas.backend import result_type
from maas.onnx.export.writer import writes


@writes("matmul")
def matmul(w, n):
    dtype = result_type(*(v.dtype for v in n.inputs))
    operands = []
    for value, key in zip(n.inputs, ("transpose_a", "transpose_b")):
        if n.params.get(key):
            axes = [*range(value.ndim - 2), value.ndim - 1, value.ndim - 2]
            operands.append(w.cast(w.transposed(value, axes), dtype, value.dtype))
        else:
            operands.append(w.cast(value, dtype))
    return w.emit("MatMul", operands)


@writes("det")
def det(w, n):
    return w.emit("Det", n.inputs)
