"""Binds the arguments of a layer call to the names of `call`, and finds the tensors among them."""

import functools
import inspect

from maas import tree
from maas.backend.keras_tensor import KerasTensor


def is_tensor(x):
    """True for a tensor of the engine, a variable or a KerasTensor (anything with a shape and a dtype)."""
    return isinstance(x, KerasTensor) or (hasattr(x, "shape") and hasattr(x, "dtype"))


@functools.lru_cache(maxsize=4096)
def call_signature(function):
    """Signature of an unbound `call`, `build` or `compute_output_shape`, without `self`."""
    signature = inspect.signature(function)
    return signature.replace(parameters=list(signature.parameters.values())[1:])


class CallSpec:
    """Bound arguments of one call.

    Attributes:
        arguments: dict of all arguments, defaults included.
        user_arguments: dict of those that the caller gave.
        tensors: dict of those that are tensors or nests of tensors.
    """

    def __init__(self, layer, signature, context_args, args, kwargs):
        # `training` and its like may be given to layers whose `call` does not take them; they are handed down all the
        # same.
        extra = {k: kwargs.pop(k) for k in context_args if k in kwargs and k not in signature.parameters}
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as e:
            raise TypeError(f"{layer._label()}: {e}; the signature is call{signature}") from None
        self.user_arguments = {**extra, **bound.arguments}
        bound.apply_defaults()
        self.arguments = dict(bound.arguments)
        self.tensors, self.nested = {}, set()
        for name, value in self.arguments.items():
            if is_tensor(value):
                self.tensors[name] = value
            elif tree.is_nested(value) and len(value) > 0:
                flat = tree.flatten(value)
                found = [is_tensor(v) for v in flat]
                if all(f or v is None for f, v in zip(found, flat)):
                    self.tensors[name] = value
                    self.nested.add(name)
                elif any(found):
                    raise ValueError(
                        f"{layer._label()}: argument `{name}` must not mix tensors and other values, received {value!r}"
                    )
        self.first = next(iter(self.arguments.values()), None)

    def shapes(self):
        """`{name_shape: shape}` of the tensor arguments, without masks and catch-alls."""
        found = {}
        for name, value in self.tensors.items():
            if name not in ("mask", "args", "kwargs"):
                found[f"{name}_shape"] = tree.map_structure(lambda x: None if x is None else tuple(x.shape), value)
        return found


def shapes_for(owner, function, method, spec):
    """Shape arguments for `build` or `compute_output_shape`.

    A method with one argument gets the shape of the first tensor, whatever the names; with more, each argument
    `x_shape` gets the shape of the call argument `x`.

    Raises:
        ValueError: if such a method has an argument that does not match.
    """
    shapes = spec.shapes()
    parameters = [
        p for p in call_signature(function).parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if len(parameters) == 1:
        return {parameters[0].name: next(iter(shapes.values()), None)}
    found = {}
    for p in parameters:
        if not p.name.endswith("_shape") or p.name[: -len("_shape")] not in spec.arguments:
            raise ValueError(
                f"{owner}: `{method}()` with more than one argument must name them after the arguments of "
                f"`call()` with `_shape` added, "
                f"received `{p.name}`"
            )
        if p.name in shapes:
            found[p.name] = shapes[p.name]
    return found
