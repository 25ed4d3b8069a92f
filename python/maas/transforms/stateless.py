"""Calls that take the values of variables and give back those they would write: what JAX-style loops are made of."""

import operator

from maas import _core
from maas.transforms.jit import Jitted
from maas.transforms.leaves import recorded


class _Calls(dict):
    """The compiled stateless calls of an object. A copy of the object starts without any."""

    def __reduce__(self):
        return _Calls, ()


def stateless(owner, name, f, variables, values, args, kwargs, options=()):
    """`f(*args, **kwargs)` while variables read as the given values; no variable changes.

    Outside traces the call is compiled once per signature, and kept by the owner.

    Args:
        owner: the layer, optimizer or metric that is called.
        name: str, for errors.
        f: function that reads and writes the variables; the same one whenever owner, name and options are the same.
        variables: tuple of lists of Variables.
        values: tuple of lists of their values.
        options: tuple of what else `f` depends on.

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
    run = _overlaid(f, variables)
    if _core.is_tracing():
        return run(values, args, kwargs)
    values = tuple([v.value if hasattr(v, "assign") else v for v in part] for part in values)
    if _core.is_recording():
        return recorded(run, (values, args, kwargs), {})
    return _compiled(owner, (name, options), run, variables)(values, args, kwargs)


def _overlaid(f, variables):
    """`f` as a function of the values of its variables, to be called inside a trace."""
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

    return run


def _compiled(owner, call, run, variables):
    """The `Jitted` of a call, made anew when the owner has other variables or plain attributes."""
    calls = owner.__dict__.get("_stateless_calls")
    if calls is None:
        calls = _Calls()
        object.__setattr__(owner, "_stateless_calls", calls)
    made_for = ([list(own) for own in variables], _plain_attributes(owner))
    known = calls.get(call)
    if known is None or not _same(known[0], made_for):
        known = calls[call] = (made_for, Jitted(run, (), (), False))
    return known[1]


def _plain_attributes(owner):
    """What a trace of the owner may have read as a constant; layers and optimizers have a version that `jit` knows."""
    if hasattr(owner, "_version"):
        return ()
    return tuple((k, v) for k, v in owner.__dict__.items() if isinstance(v, (bool, int, float, str, type(None))))


def _same(a, b):
    lists = zip(a[0], b[0], strict=True)
    return a[1] == b[1] and all(len(x) == len(y) and all(map(operator.is_, x, y)) for x, y in lists)
