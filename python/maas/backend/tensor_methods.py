"""What a Tensor shares with a NumPy array: methods, `.T`, `f"{t:.2f}"`, so that `np.sum(t)` works, as on a JAX array.

The methods are `maas.ops` functions, so they give Tensors and are traced like these. Names of NumPy that a Tensor does
not have raise an AttributeError that says what to use.
"""

import numpy as np

from maas import _core
from maas.backend.keras_tensor import KerasTensor
from maas.backend.standardize import standardize_dtype


def _ops():
    from maas import ops

    return ops


def _no_out(name, out):
    if out is not None:
        raise TypeError(
            f"{name}: a Tensor is immutable, so there is no out=, received out of type {type(out).__name__}"
        )


def _reduction(name):
    def method(self, axis=None, dtype=None, out=None, keepdims=False):
        _no_out(name, out)
        y = getattr(_ops(), name)(self, axis=axis, keepdims=keepdims)
        return y if dtype is None else _ops().cast(y, dtype)

    return method


def _spread(name):
    def method(self, axis=None, dtype=None, out=None, ddof=0, keepdims=False):
        _no_out(name, out)
        if dtype is not None or ddof != 0:
            raise NotImplementedError(f"{name} of a Tensor: only ddof=0, received ddof={ddof}, dtype={dtype}")
        return getattr(_ops(), name)(self, axis=axis, keepdims=keepdims)

    return method


def _choice(name):
    # argmax, max, all: what comes out has the dtype of the op.
    def method(self, axis=None, out=None, keepdims=False):
        _no_out(name, out)
        return getattr(_ops(), name)(self, axis=axis, keepdims=keepdims)

    return method


def _cumsum(self, axis=None, dtype=None, out=None):
    _no_out("cumsum", out)
    return _ops().cumsum(self, axis=axis, dtype=dtype)


def _clip(self, min=None, max=None, out=None):
    _no_out("clip", out)
    y = self if min is None else _ops().maximum(self, min)
    return y if max is None else _ops().minimum(y, max)


def _round(self, decimals=0, out=None):
    _no_out("round", out)
    return _ops().round(self, decimals)


def _round_number(self, ndigits=None):
    return round(self.item(), ndigits) if ndigits is None and self.ndim == 0 else _ops().round(self, ndigits or 0)


def _shape_of(args):
    return args[0] if len(args) == 1 and isinstance(args[0], (tuple, list)) else args


def _reshape(self, *shape, order="C"):
    if order != "C":
        raise NotImplementedError(f"reshape of a Tensor: only order='C', received order={order!r}")
    return _ops().reshape(self, _shape_of(shape))


def _transpose(self, *axes):
    axes = _shape_of(axes)
    return _ops().transpose(self, axes=None if axes in ((), None, (None,)) else axes)


def _flatten(self, order="C"):
    return _reshape(self, -1, order=order)


def _take(self, indices, axis=None, out=None, mode="raise"):
    _no_out("take", out)
    if mode != "raise":
        raise NotImplementedError(f"take of a Tensor: only mode='raise', received mode={mode!r}")
    return _ops().take(self, indices, axis=axis)


def _format(self, spec):
    if not spec:
        return str(self)
    if self.is_symbolic:
        raise TypeError(
            f"format: a symbolic tensor has no value while it is traced, received one of shape {self.shape}"
        )
    if self.ndim:
        raise TypeError(
            f"format: only a tensor without axes is formatted as a number; take one element, or use .numpy(), "
            f"received shape {self.shape} and format {spec!r}"
        )
    return format(self.item(), spec)


def _iterate(self):
    if not self.ndim:
        raise TypeError("a tensor without axes has nothing to iterate over, received shape ()")
    return iter(_ops().unstack(self))


def _reduce(self):
    from maas.saving.pickling import reduce_tensor

    return reduce_tensor(self)


def _set_item(self, key, value):
    raise TypeError(
        "a Tensor is immutable: change a copy, `a = t.numpy().copy()`, or select with `maas.ops.where`, "
        f"received an assignment at {key!r}"
    )


METHODS = {
    **{name: _reduction(name) for name in ("sum", "mean", "prod")},
    **{name: _spread(name) for name in ("std", "var")},
    **{name: _choice(name) for name in ("max", "min", "any", "all", "argmax", "argmin")},
    "astype": lambda self, dtype: _ops().cast(self, standardize_dtype(dtype)),
    "clip": _clip,
    "cumsum": _cumsum,
    "dot": lambda self, other, out=None: _no_out("dot", out) or _ops().dot(self, other),
    "flatten": _flatten,
    "ravel": _flatten,
    "repeat": lambda self, repeats, axis=None: _ops().repeat(self, repeats, axis=axis),
    "reshape": _reshape,
    "round": _round,
    "squeeze": lambda self, axis=None: _ops().squeeze(self, axis=axis),
    "swapaxes": lambda self, axis1, axis2: _ops().swapaxes(self, axis1, axis2),
    "take": _take,
    "tolist": lambda self: self.numpy().tolist(),
    "transpose": _transpose,
    # A Tensor never changes, so it is its own copy.
    "__copy__": lambda self: self,
    "__deepcopy__": lambda self, memo: self,
    "__reduce__": _reduce,
    "__iter__": _iterate,
    "__format__": _format,
    "__round__": _round_number,
    "__setitem__": _set_item,
}


class _Absent:
    """A name of NumPy arrays that this class does not have. No data descriptor: it hides no attribute."""

    def __init__(self, text):
        self.text = text

    def __get__(self, owner, cls=None):
        raise AttributeError(self.text)


def _install():
    for name, method in METHODS.items():
        method.__name__ = name
        setattr(_core.Tensor, name, method)
    _core.Tensor.T = property(lambda self: _ops().transpose(self), doc="The tensor with its axes in reverse order.")
    for name in dir(np.ndarray):
        if name.startswith("_"):
            continue
        if not hasattr(_core.Tensor, name):
            text = f"a Tensor has no {name!r}: use `maas.ops`, or .numpy() for a NumPy array"
            setattr(_core.Tensor, name, _Absent(text))
        if not hasattr(KerasTensor, name):
            text = f"a KerasTensor has no {name!r}: it stands for a value that is not known yet; use `maas.ops` on it"
            setattr(KerasTensor, name, _Absent(text))
    KerasTensor.numpy = _Absent("a KerasTensor has no 'numpy': it stands for a value that is not known yet")


_install()
