"""`Variable`: state with a name, a path and arithmetic."""

import numpy as np

from maas import _core
from maas.backend.call_context import trainable_changed
from maas.backend.naming import auto_name, current_path
from maas.backend.scopes import get_stateless_scope
from maas.backend.standardize import standardize_dtype, standardize_shape


class Variable(_core.Variable):
    """A tensor that can be assigned. Layers, optimizers and metrics keep their state in Variables.

    Args:
        initializer: initial value (array, number, tensor), or a callable `(shape, dtype)` that gives it.
        shape: tuple of int, needed with a callable.
        dtype: str, default the dtype of the value, float32 for Python floats.
        trainable: bool, default True.
        name: str without "/"; automatic by default.

    Raises:
        ValueError: for a callable without a shape, or a wrong name.
    """

    def __init__(
        self, initializer, shape=None, dtype=None, trainable=True, autocast=True, aggregation="none", name=None, **_
    ):
        name = name or auto_name("variable")
        if not isinstance(name, str) or "/" in name:
            raise ValueError(f"Variable: `name` must be a string without '/', received {name!r}")
        if callable(initializer):
            if shape is None:
                raise ValueError("Variable: a callable initializer needs a `shape`, received None")
            dtype = standardize_dtype(dtype)
            # Weights that are made while something is traced exist before it and outside it.
            _core.pause_traces()
            try:
                value = initializer(standardize_shape(shape, "Variable"), dtype)
            finally:
                _core.resume_traces()
        else:
            value = initializer
            if dtype is None:
                dtype = "float32" if isinstance(value, float) else getattr(value, "dtype", None)
                dtype = standardize_dtype(dtype) if dtype is not None else standardize_dtype(np.asarray(value).dtype)
                if isinstance(value, (list, tuple)) and dtype == "float64":
                    dtype = "float32"
            else:
                dtype = standardize_dtype(dtype)
        if shape is not None and tuple(np.shape(value)) != tuple(shape):
            value = np.broadcast_to(np.asarray(value), tuple(shape))
        super().__init__(value, dtype=dtype, name=name, trainable=bool(trainable), autocast=bool(autocast))
        scope = current_path()
        self.path = f"{scope}/{name}" if scope else name
        self._trainable = bool(trainable)
        self.aggregation = aggregation
        self.regularizer = None
        self.constraint = None
        self.overwrite_with_gradient = False

    @property
    def trainable(self):
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        if bool(value) != self._trainable:
            trainable_changed()
        self._trainable = bool(value)

    @property
    def ndim(self):
        return len(self.shape)

    @property
    def size(self):
        return int(np.prod(self.shape))

    def assign(self, value):
        """Replace the value; inside a trace, record that the program does so.

        Raises:
            ValueError: if the shape of `value` is another; the variable keeps its value.
        """
        shape = tuple(value.shape) if hasattr(value, "shape") else np.shape(value)
        if shape != self.shape:
            raise ValueError(f"Variable '{self.path}' has shape {self.shape}, received a value of shape {shape}")
        super().assign(value)
        scope = get_stateless_scope()
        if scope is not None:
            scope.note_write(self)
        return self

    def assign_add(self, value):
        """Add to the value."""
        return self.assign(self.value + value)

    def assign_sub(self, value):
        """Subtract from the value."""
        return self.assign(self.value - value)

    def __array__(self, dtype=None, copy=None):
        value = self.numpy()
        return value if dtype is None else value.astype(dtype)

    def __reduce__(self):
        from maas.saving.pickling import reduce_variable

        return reduce_variable(self)

    def __float__(self):
        return float(self.value)

    def __int__(self):
        return int(self.value)

    def __bool__(self):
        return bool(self.value)

    def __getitem__(self, key):
        return self.value[key]

    def __len__(self):
        return self.shape[0]

    def __repr__(self):
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}, value={self.numpy()}>"

    def __format__(self, spec):
        return format(self.value, spec) if spec else str(self)

    __hash__ = object.__hash__
    __array_priority__ = 1000  # NumPy leaves `array + variable` to __radd__


def _forward(name):
    def method(self, *args):
        return getattr(self.value, name)(*args)

    method.__name__ = name
    return method


for _name in (
    "add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod pow rpow matmul rmatmul neg abs "
    "lt le gt ge and rand or ror invert"
).split():
    setattr(Variable, f"__{_name}__", _forward(f"__{_name}__"))
