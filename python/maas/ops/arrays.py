"""NumPy's smaller functions, composed of others."""

import math

import numpy as np

from maas import _core
from maas.backend import is_float_dtype, result_type
from maas.backend.config import floatx
from maas.backend.symbolic import op
from maas.ops.core import _LIMITS, as_tensor, cast

__all__ = [
    "allclose",
    "array",
    "copy",
    "cross",
    "cumprod",
    "diff",
    "divide_no_nan",
    "isclose",
    "log10",
    "logspace",
    "multi_hot",
    "nan_to_num",
    "ndim",
    "select",
    "size",
]


@op
def array(x, dtype=None):
    """`x` as a Tensor; the same as `convert_to_tensor`."""
    from maas.ops.core import convert_to_tensor

    return convert_to_tensor(x, dtype)


@op
def copy(x):
    """The values of `x` in a tensor of their own."""
    return _core.copy(as_tensor(x))


@op
def ndim(x):
    """The number of axes of `x`."""
    return as_tensor(x).ndim


@op
def size(x):
    """The number of elements of `x`: an int where sizes are known, else a symbolic size."""
    return math.prod(as_tensor(x).dims)


@op
def log10(x):
    """`y = log10(x)`, element by element.

    Args:
        x: Tensor.
    """
    x = as_tensor(x)
    x = x if is_float_dtype(x.dtype) else cast(x, floatx())
    return _core.multiply(_core.log2(x), math.log10(2))


@op
def divide_no_nan(x1, x2):
    """`y = x1 / x2`, 0 where `x2` is 0.

    Args:
        x1, x2: Tensors that broadcast.
    """
    x1, x2 = as_tensor(x1), as_tensor(x2)
    none = _core.equal(x2, 0)
    return _core.where(none, 0.0, _core.divide(x1, _core.where(none, cast(1, x2.dtype), x2)))


@op
def isclose(x1, x2, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Whether `|x1 - x2| <= atol + rtol * |x2|`, element by element; infinities are close to themselves.

    Args:
        x1, x2: Tensors that broadcast.
        rtol, atol: numbers.
        equal_nan: bool, whether a NaN is close to a NaN.

    Returns:
        Tensor of bool.
    """
    x1, x2 = as_tensor(x1), as_tensor(x2)
    dtype = result_type(x1.dtype, x2.dtype, float)
    x1, x2 = cast(x1, dtype), cast(x2, dtype)
    near = _core.less_equal(
        _core.absolute(_core.subtract(x1, x2)), _core.add(float(atol), _core.multiply(_core.absolute(x2), float(rtol)))
    )
    finite = _core.logical_and(_core.isfinite(x1), _core.isfinite(x2))
    close = _core.logical_or(_core.logical_and(near, finite), _core.equal(x1, x2))
    return _core.logical_or(close, _core.logical_and(_core.isnan(x1), _core.isnan(x2))) if equal_nan else close


@op
def allclose(x1, x2, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Whether all elements are close: `all(isclose(x1, x2))`, a Tensor of one bool."""
    return _core.all(isclose(x1, x2, rtol, atol, equal_nan), axis=[], keepdims=False)


@op
def nan_to_num(x, nan=0.0, posinf=None, neginf=None):
    """`x` with numbers in place of NaN and infinities.

    Args:
        x: Tensor.
        nan: number for NaN.
        posinf, neginf: numbers for the infinities; None takes the greatest and the least of the dtype.
    """
    x = as_tensor(x)
    if not is_float_dtype(x.dtype):
        return x
    low, high = _LIMITS[x.dtype]
    infinite, positive = _core.isinf(x), _core.greater(x, 0.0)
    ends = _core.where(
        positive, cast(float(high if posinf is None else posinf), x.dtype), float(low if neginf is None else neginf)
    )
    return _core.where(_core.isnan(x), cast(float(nan), x.dtype), _core.where(infinite, ends, x))


def _at(name, axis, rank):
    if not -rank <= axis < rank:
        raise ValueError(f"{name}: axis must be in [{-rank}, {rank}), received axis={axis}")
    return axis % rank


def _cut(x, axis, begin, end):
    low, high = [0] * x.ndim, list(x.dims)
    low[axis], high[axis] = begin, end
    return _core.slice(x, begin=low, end=high, step=[1] * x.ndim)


@op
def diff(a, n=1, axis=-1):
    """Differences of neighbours along one axis, taken `n` times: `y[i] = a[i + 1] - a[i]`.

    Args:
        a: Tensor; of booleans, whether neighbours differ.
        n: int.
        axis: int.

    Raises:
        ValueError: if `n` is negative or `axis` is out of range.
    """
    x = as_tensor(a)
    if n < 0:
        raise ValueError(f"diff: n must be at least 0, received n={n}")
    axis = _at("diff", axis, x.ndim)
    for _ in range(n):
        if x.shape[axis] == 0:
            return x
        later, earlier = _cut(x, axis, 1, x.dims[axis]), _cut(x, axis, 0, x.dims[axis] - 1)
        x = _core.logical_xor(later, earlier) if x.dtype == "bool" else _core.subtract(later, earlier)
    return x


@op
def cumprod(x, axis=None, dtype=None):
    """Running product: `y[j] = x[0] * ... * x[j]` along one axis.

    Args:
        x: Tensor of any shape. Booleans are multiplied in int32, integers wrap.
        axis: int, or None for the flat order of elements.
        dtype: dtype of the products; that of `x` if None.

    Returns:
        Tensor of the shape of `x`, flat if `axis` is None. The gradient is right where elements are 0 too.

    Raises:
        ValueError: if `axis` is out of range.
    """
    x = as_tensor(x)
    if dtype is not None:
        x = cast(x, dtype)
    elif x.dtype == "bool":
        x = cast(x, "int32")
    result = x.dtype
    if result == "bool":
        x = cast(x, "int32")
    if axis is None:
        x, axis = _core.reshape(x, shape=[-1]), 0
    axis = _at("cumprod", axis, x.ndim)
    if x.shape[axis] == 0:
        return cast(x, result)
    # y[0] = x[0], y[j] = x[j] y[j - 1] + 0
    first = _cut(x, axis, 0, 1)
    behind = [0] * x.ndim
    behind[axis] = x.dims[axis] - 1
    rest = _core.pad(first, before=[0] * x.ndim, after=behind, value=0.0)
    return cast(_core.linear_scan(x, rest, axis=axis), result)


@op
def cross(x1, x2, axisa=-1, axisb=-1, axisc=-1, axis=None):
    """Cross product of vectors of two or three elements: `y = (a1 b2 - a2 b1, a2 b0 - a0 b2, a0 b1 - a1 b0)`.

    Args:
        x1, x2: Tensors whose other axes broadcast.
        axisa, axisb: int, the vectors' axes in `x1` and `x2`.
        axisc: int, the vectors' axis in the result.
        axis: int that stands for all three, or None.

    Returns:
        Tensor; of two vectors of two elements only the third component, without an axis.

    Raises:
        ValueError: if a vector has another size.
    """
    from maas.ops.shape import stack
    from maas.ops.views import moveaxis

    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = as_tensor(x1), as_tensor(x2)
    dtype = result_type(a.dtype, b.dtype)
    a = cast(moveaxis(a, _at("cross", axisa, a.ndim), -1), dtype)
    b = cast(moveaxis(b, _at("cross", axisb, b.ndim), -1), dtype)
    if a.shape[-1] not in (2, 3) or b.shape[-1] not in (2, 3):
        raise ValueError(f"cross: vectors must have 2 or 3 elements, received shapes {a.shape} and {b.shape}")

    def part(x, i):
        return _core.reshape(_cut(x, x.ndim - 1, i, i + 1), shape=list(x.dims[:-1])) if i < x.shape[-1] else None

    def product(left, right):
        return None if left is None or right is None else _core.multiply(left, right)

    def minor(i, j):
        """a[i] b[j] - a[j] b[i] where what is missing is 0."""
        left, right = product(part(a, i), part(b, j)), product(part(a, j), part(b, i))
        if left is None:
            return _core.negative(right)
        return left if right is None else _core.subtract(left, right)

    if a.shape[-1] == b.shape[-1] == 2:
        return minor(0, 1)
    y = stack([minor(1, 2), minor(2, 0), minor(0, 1)], axis=-1)
    return moveaxis(y, -1, _at("cross", axisc, y.ndim))


@op
def logspace(start, stop, num=50, endpoint=True, base=10, dtype=None, axis=0):
    """`num` numbers from `base^start` to `base^stop` at equal ratios.

    Args:
        start, stop: numbers.
        num: int.
        endpoint: bool, whether `base^stop` is the last one.
        base: number.
        dtype: str, default float32.
        axis: must be 0.
    """
    if axis != 0:
        raise NotImplementedError(f"logspace: axis must be 0, received {axis}")
    return _core.Tensor(np.logspace(float(start), float(stop), num, endpoint, base), dtype or floatx())


@op
def multi_hot(inputs, num_classes=None, axis=-1, dtype=None, sparse=False, **kwargs):
    """1 at every place that a row of `inputs` names, 0 elsewhere; indices out of range are left out.

    Args:
        inputs: Tensor of integers (n,) or (batch, n, ...).
        num_classes: int, size of the new axis.
        axis: int, place of the new axis before the rows are joined.
        dtype: str, default float32.
        sparse: must be False.

    Raises:
        NotImplementedError: for `sparse=True`.
    """
    from maas.ops.shape import one_hot

    num_classes = kwargs.pop("num_tokens", num_classes)
    if kwargs or num_classes is None:
        raise ValueError(f"multi_hot: num_classes is needed and nothing else is known, received {sorted(kwargs)}")
    if sparse:
        raise NotImplementedError("multi_hot: sparse tensors are not available, received sparse=True")
    x = as_tensor(inputs)
    y = one_hot(cast(x, "int32"), num_classes, axis=axis, dtype=dtype)
    return _core.max(y, axis=[1 if x.ndim > 1 else 0], keepdims=False)


@op
def select(condlist, choicelist, default=0):
    """The element of the first choice whose condition holds, else `default`.

    Args:
        condlist: list of Tensors of bool.
        choicelist: list of Tensors, as many; all broadcast.
        default: number or Tensor.
    """
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError(f"select: one choice per condition is needed, received {len(condlist)} and {len(choicelist)}")
    y = default
    for condition, choice in zip(reversed(list(condlist)), reversed(list(choicelist))):
        y = _core.where(cast(condition, "bool"), as_tensor(choice), y)
    return y
