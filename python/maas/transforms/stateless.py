"""Calls that take the values of variables and give back those they would write: what JAX-style loops are made of."""

from maas import _core
from maas.transforms.jit import Jitted
from maas.transforms.leaves import recorded


def stateless(name, f, variables, values, args, kwargs):
    """`f(*args, **kwargs)` while variables read as the given values; no variable changes.

    Args:
        name: str, for errors.
        f: function that reads and writes the variables.
        variables: tuple of lists of Variables.
        values: tuple of lists of their values.

    Returns:
        `(outputs, values)`: what `f` returned, and the values after it, nested like `variables`.

    Raises:
        ValueError: if the lists differ in length or a shape does not fit.
    """
    values = tuple(list(v) for v in values)
    for own, given in zip(variables, values):
        if len(own) != len(given):
            raise ValueError(f"{name}: {len(own)} values of variables are needed, received {len(given)}")
        for variable, value in zip(own, given):
            if tuple(value.shape) != tuple(variable.shape):
                raise ValueError(
                    f"{name}: '{variable.path}' has shape {tuple(variable.shape)}, received {tuple(value.shape)}"
                )
    flat = [v for own in variables for v in own]

    def run(values, args, kwargs):
        trace = _core.current_trace()
        given = [v for part in values for v in part]
        trace.overlay(flat, given)
        try:
            outputs = f(*args, **kwargs)
        finally:
            after = iter(trace.end_overlay(flat))
        return outputs, tuple([next(after) for _ in own] for own in variables)

    if _core.is_tracing():
        return run(values, args, kwargs)
    values = tuple([v.value if hasattr(v, "assign") else v for v in part] for part in values)
    if _core.is_recording():
        return recorded(run, (values, args, kwargs), {})
    return Jitted(run, (), (), False)(values, args, kwargs)
