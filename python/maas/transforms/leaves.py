"""What functions take and return, leaf by leaf."""

import numpy as np

from maas import _core, tree
from maas.backend.keras_tensor import KerasTensor


def name_of(f):
    """How errors call a function."""
    return getattr(f, "__name__", None) or getattr(f, "name", None) or type(f).__name__


def is_variable(x):
    return isinstance(x, _core.Variable) or hasattr(x, "__maas_variable__")


def is_array(x):
    """True for what becomes an input of a program: NumPy arrays and numbers, Tensors, other array types."""
    if isinstance(x, (_core.Tensor, np.ndarray, np.generic)):
        return True
    return not is_variable(x) and not isinstance(x, KerasTensor) and hasattr(x, "__array__") and hasattr(x, "dtype")


def named(error, where):
    """Puts the function's name in front of the text of an error that came out of it; gives the error back."""
    if error.args and isinstance(error.args[0], str) and not getattr(error, "_named", False):
        error.args = (f"{where}: {error.args[0]}", *error.args[1:])
        try:
            error._named = True
        except AttributeError:
            pass
    return error


def recorded(f, args, kwargs):
    """`f(*args, **kwargs)` for an `f` that must be traced, while a tape records: its ops run one by one."""
    call = (list(args), dict(kwargs))
    values = [x if isinstance(x, _core.Tensor) else _core.Tensor(x) for x in tree.flatten(call) if is_array(x)]
    with _core.Trace() as trace:
        symbols = [trace.input(v.shape, dtype=v.dtype, name=f"input_{i}") for i, v in enumerate(values)]
        places = iter(symbols)
        args, kwargs = tree.map_structure(lambda x: next(places) if is_array(x) else x, call)
        outputs = f(*args, **kwargs)
        flat = [x.value if is_variable(x) else x for x in tree.flatten(outputs)]
    traced = [getattr(y, "is_symbolic", False) for y in flat]
    results = iter(_core.evaluate([y for y, t in zip(flat, traced) if t], symbols, values))
    return tree.pack_sequence_as(outputs, [next(results) if t else y for y, t in zip(flat, traced)])
