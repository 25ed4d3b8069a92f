"""Products of matrices."""

from maas import _core, ops
from maas.onnx.convert.common import is_float, like
from maas.onnx.registry import converts


def product(a, b):
    """NumPy's matmul in the operands' dtype."""
    if a.dtype != b.dtype:
        raise TypeError(f"both operands must have one dtype, received {a.dtype} and {b.dtype}")
    dtype = a.dtype
    if dtype in ("uint64", "uint32"):
        a, b = ops.cast(a, "int64"), ops.cast(b, "int64")
    return ops.cast(ops.matmul(a, b), dtype)


@converts("MatMul")
def matmul(call, a, b):
    return product(a, b)


@converts("Gemm")
def gemm(call, a, b, c=None):
    alpha, beta = call.attr("alpha", 1.0), call.attr("beta", 1.0)
    if not is_float(a):
        a = ops.transpose(a) if call.attr("transA", 0) else a
        b = ops.transpose(b) if call.attr("transB", 0) else b
        y = product(a, b)
    else:
        y = _core.matmul(a, b, transpose_a=bool(call.attr("transA", 0)), transpose_b=bool(call.attr("transB", 0)))
    y = y if alpha == 1 else _core.multiply(y, like(alpha, y))
    if c is None or beta == 0:
        return y
    return _core.add(y, c if beta == 1 else _core.multiply(c, like(beta, c)))


@converts("Einsum")
def einsum(call, *xs):
    return ops.einsum(call.need("equation").replace(" ", ""), *xs)


@converts("Det")
def det(call, x):
    return ops.det(x)


@converts("FusedMatMul", domain="com.microsoft")
def fused_matmul(call, a, b):
    y = _core.matmul(a, b, transpose_a=bool(call.attr("transA", 0)), transpose_b=bool(call.attr("transB", 0)))
    alpha = call.attr("alpha", 1.0)
    return y if alpha == 1 else _core.multiply(y, like(alpha, y))
