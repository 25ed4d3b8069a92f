"""`KerasTensor`: the symbolic tensor of the functional API. It has a shape, a dtype and a history, and no value."""

from maas import tree
from maas.backend.naming import auto_name
from maas.backend.standardize import standardize_dtype, standardize_shape


class KerasTensor:
    """Placeholder that layers, models and `maas.ops` functions accept in place of an array.

    Args:
        shape: tuple of int or None (unknown size).
        dtype: str, default "float32".
        sparse, ragged: must be False; sparse and ragged tensors do not exist here.
        name: str, default an automatic name.

    Raises:
        ValueError: for a wrong shape or dtype, or if `sparse` or `ragged` is set.
    """

    # NumPy must leave `array + keras_tensor` to __radd__.
    __array_priority__ = 1000

    def __init__(self, shape, dtype="float32", sparse=False, ragged=False, record_history=True, name=None):
        if sparse or ragged:
            raise ValueError(f"KerasTensor: only dense tensors exist, received sparse={sparse}, ragged={ragged}")
        self._shape = standardize_shape(shape, "KerasTensor")
        self._dtype = standardize_dtype(dtype)
        self.name = name or auto_name("KerasTensor")
        self.record_history = record_history

    @property
    def shape(self):
        return self._shape

    @property
    def dtype(self):
        return self._dtype

    @property
    def ndim(self):
        return len(self._shape)

    @property
    def size(self):
        n = 1
        for d in self._shape:
            if d is None:
                return None
            n *= d
        return n

    sparse = False
    ragged = False

    def reshape(self, newshape):
        return _ops().reshape(self, newshape)

    def squeeze(self, axis=None):
        return _ops().squeeze(self, axis)

    def _no_value(self, what, hint=""):
        return TypeError(
            f"{what}: a KerasTensor stands for a value that is not known yet; use layers and `maas.ops` functions "
            f"on it{hint}, "
            f"received {self!r}"
        )

    def __array__(self, *_, **__):
        raise self._no_value("NumPy")

    def __float__(self):
        raise self._no_value("float()")

    def __int__(self):
        raise self._no_value("int()")

    def __bool__(self):
        raise self._no_value("bool()", " and `maas.ops.cond` or `maas.ops.where` for branches")

    def __iter__(self):
        raise self._no_value("iteration")

    def __len__(self):
        raise self._no_value("len()")

    def __getitem__(self, key):
        return _ops().get_item(self, key)

    def __repr__(self):
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    __hash__ = object.__hash__

    def __eq__(self, other):
        # As in Keras, == compares identity, so that tensors work as keys; `maas.ops.equal` compares values.
        return self is other

    def __ne__(self, other):
        return _ops().not_equal(self, other)

    def __neg__(self):
        return _ops().negative(self)

    def __abs__(self):
        return _ops().absolute(self)

    def __invert__(self):
        return _ops().logical_not(self)


def _ops():
    from maas import ops

    return ops


def _binary(name, reflected=False):
    def method(self, other):
        f = getattr(_ops(), name)
        return f(other, self) if reflected else f(self, other)

    return method


for _dunder, _name in {
    "add": "add", "sub": "subtract", "mul": "multiply", "floordiv": "floor_divide", "mod": "mod",
    "pow": "power", "matmul": "matmul", "and": "logical_and", "or": "logical_or", "xor": "logical_xor",
}.items():  # fmt: skip
    setattr(KerasTensor, f"__{_dunder}__", _binary(_name))
    setattr(KerasTensor, f"__r{_dunder}__", _binary(_name, reflected=True))


def _true_divide(a, b):
    from maas.backend.symbolic import symbolic_call

    return symbolic_call("true_divide", (a, b), {})


KerasTensor.__truediv__ = _true_divide
KerasTensor.__rtruediv__ = lambda self, other: _true_divide(other, self)
for _dunder, _name in {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}.items():
    setattr(KerasTensor, f"__{_dunder}__", _binary(_name))


def any_symbolic_tensors(args, kwargs=None):
    """True if a KerasTensor is among the arguments, also inside lists, tuples and dicts."""
    for x in args:
        if isinstance(x, KerasTensor):
            return True
    if len(args) == 1 and not kwargs and not tree.is_nested(args[0]):
        return False
    return any(isinstance(x, KerasTensor) for x in tree.flatten((args, kwargs or {})))
