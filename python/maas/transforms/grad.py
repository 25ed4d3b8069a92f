"""`grad` and `value_and_grad`: derivatives of Python functions."""

import functools

import numpy as np

from maas import _core, tree
from maas.backend.gradient_tape import GradientTape
from maas.backend.standardize import is_float_dtype
from maas.transforms.leaves import is_array, is_variable, name_of, named


def grad(f, argnums=0, has_aux=False):
    """Function that gives df/dx of a scalar function: `grad(f)(x) = df(x)/dx`.

    Args:
        f: function of nested arrays, tensors or Variables that returns a float scalar (and something else, if
            `has_aux`).
        argnums: int or tuple of int, the positional arguments to differentiate for.
        has_aux: bool; `f` returns `(value, aux)`, and `(gradients, aux)` is given back.

    Returns:
        Function with the arguments of `f`. Gradients are nested like the arguments, zeros where `f` does not depend on
        one. It may be differentiated again, and inside `jit` it becomes a part of the program. Outside, `f` runs op by
        op, so Python may look at values.

    Raises:
        TypeError: if an argument or the value is no float.
        ValueError: if the value is no scalar, or an argument is missing.
    """
    both = value_and_grad(f, argnums, has_aux)

    @functools.wraps(f, updated=())
    def gradient(*args, **kwargs):
        value, gradients = both(*args, **kwargs)
        return (gradients, value[1]) if has_aux else gradients

    return gradient


def value_and_grad(f, argnums=0, has_aux=False):
    """Function that gives `(f(x), df(x)/dx)`; with `has_aux` `((value, aux), gradients)`. See `grad`."""
    if not callable(f):
        raise TypeError(f"grad: a function is needed, received {f!r}")
    single = isinstance(argnums, int)
    nums = (argnums,) if single else tuple(argnums)

    @functools.wraps(f, updated=())
    def both(*args, **kwargs):
        where = f"grad of {name_of(f)}"
        for n in nums:
            if not -len(args) <= n < len(args):
                raise ValueError(f"{where}: argnums names argument {n}, received {len(args)} positional arguments")
        args, at = list(args), [n % len(args) for n in nums]
        for n in dict.fromkeys(at):
            args[n] = tree.map_structure(lambda x, n=n: _own(x, where, n), args[n])
        leaves = [x for n in at for x in tree.flatten(args[n]) if x is not None]
        if _core.is_tracing():
            out, flat = _traced(f, args, kwargs, leaves, has_aux, where)
        else:
            out, flat = _recorded(f, args, kwargs, leaves, has_aux, where)
        from maas import ops

        flat = iter(ops.zeros_like(x) if g is None else g for x, g in zip(leaves, flat))
        gradients = [tree.map_structure(lambda x: None if x is None else next(flat), args[n]) for n in at]
        return out, gradients[0] if single else tuple(gradients)

    return both


def _own(x, where, number):
    """The argument as a value of its own: what else is made from the same tensor is a constant to the derivative."""
    if x is None:
        return None
    if not (is_variable(x) or is_array(x) or isinstance(x, (int, float))):
        raise TypeError(f"{where}: argument {number} must hold float arrays, received {type(x).__name__}")
    if type(x) is float:
        x = np.float32(x)
    dtype = str(x.dtype) if hasattr(x, "dtype") else type(x).__name__
    if not is_float_dtype(dtype):
        raise TypeError(f"{where}: argument {number} must be a float to have a gradient, received {dtype}")
    if is_variable(x):
        return x
    x = x if isinstance(x, _core.Tensor) else _core.Tensor(x)
    return _core.barrier(x) if _core.is_tracing() else _core.copy(x)


def _value_of(out, has_aux, where):
    if has_aux and not (isinstance(out, (tuple, list)) and len(out) == 2):
        raise TypeError(f"{where}: with has_aux the function must return (value, aux), received {type(out).__name__}")
    value = out[0] if has_aux else out
    if is_variable(value):
        value = value.value
    if isinstance(value, (np.ndarray, np.generic, float)):
        value = _core.Tensor(np.asarray(value, None if hasattr(value, "dtype") else "float32"))
    if not isinstance(value, _core.Tensor):
        raise TypeError(f"{where}: the function must return a float scalar, received {type(value).__name__}")
    if not is_float_dtype(value.dtype):
        raise TypeError(f"{where}: the function must return a float scalar, received dtype {value.dtype}")
    if len(value.shape):
        raise ValueError(f"{where}: the function must return a scalar, received shape {value.shape}")
    return value, (value, out[1]) if has_aux else value


def _traced(f, args, kwargs, leaves, has_aux, where):
    # A variable's value before the function may write it.
    sources = [x.value if is_variable(x) else x for x in leaves]
    value, out = _value_of(_call(f, args, kwargs, where), has_aux, where)
    return out, _core.gradients(value, sources)


def _recorded(f, args, kwargs, leaves, has_aux, where):
    with GradientTape(watch_accessed_variables=False) as tape:
        for x in leaves:
            tape.watch(x)
        value, out = _value_of(_call(f, args, kwargs, where), has_aux, where)
    return out, tape.gradient(value, leaves) if leaves else []


def _call(f, args, kwargs, where):
    try:
        return f(*args, **kwargs)
    except Exception as e:
        raise named(e, where)  # noqa: B904, the same error
