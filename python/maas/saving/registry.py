"""The closed registry: which classes and functions of ours a file may name, and under which Keras names we save them.

A file never causes an import by name and never reaches an attribute of a module. A name is looked up in tables made
from the public names of our own packages, and each entry must be a class of the right base.
"""

import functools
import importlib
import re
import types

# kind (as in Keras's module names) -> (our package, name of the base class in it or None, "package.module:Base")
_KINDS = {
    "layers": ("maas.layers", "maas.layers.layer:Layer"),
    "models": ("maas.models", "maas.layers.layer:Layer"),
    "initializers": ("maas.initializers", "maas.initializers.base:Initializer"),
    "regularizers": ("maas.regularizers", "maas.regularizers:Regularizer"),
    "constraints": ("maas.constraints", "maas.constraints:Constraint"),
    "losses": ("maas.losses", "maas.losses.loss:Loss"),
    "metrics": ("maas.metrics", "maas.metrics.metric:Metric"),
    "optimizers": ("maas.optimizers", "maas.optimizers.optimizer:Optimizer"),
    "optimizers.schedules": ("maas.optimizers.schedules", "maas.optimizers.schedules:LearningRateSchedule"),
    "dtype_policies": ("maas.dtype_policies", "maas.dtype_policies:DTypePolicy"),
    "applications": ("maas.applications.own_layers", "maas.layers.layer:Layer"),
    "zoo": ("maas.zoo", "maas.layers.layer:Layer"),
}
_KINDS_OF_KERAS = [kind for kind in _KINDS if kind != "zoo"]
_FUNCTION_KINDS = ("activations", "losses", "metrics", "regularizers", "initializers", "constraints")
# What the bare module "keras" may hold.
_TOP_LEVEL = ("models", "dtype_policies", "layers")
_NOT_FUNCTIONS = frozenset(["get", "serialize", "deserialize", "compute_fans", "initial_value"])
_ROOTS = frozenset(["keras", "tf_keras", "maas"])
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def is_plain_name(name):
    """Whether this can be a class or function name: no dots, no leading underscore, ASCII, of sane length."""
    return isinstance(name, str) and len(name) <= 100 and _NAME.fullmatch(name) is not None


def kinds_of_module(module):
    """The kinds that a module string of a file stands for; () if it is none of Keras's.

    "keras.layers" and "keras.src.layers.core.dense" are both "layers"; "keras" alone holds models and dtype policies.
    """
    if not isinstance(module, str) or len(module) > 200:
        return ()
    parts = module.split(".")
    if parts[0] not in _ROOTS or not all(is_plain_name(p) for p in parts):
        return ()
    rest = parts[2:] if parts[1:2] == ["src"] else parts[1:]
    if not rest:
        return _TOP_LEVEL
    if rest[:2] == ["optimizers", "schedules"]:
        return ("optimizers.schedules",)
    if rest[:2] == ["optimizers", "legacy"]:
        return ("optimizers",)
    return (rest[0],) if rest[0] in _KINDS or rest[0] in ("ops", "activations") else ()


def _base(kind):
    module, _, name = _KINDS[kind][1].partition(":")
    return getattr(importlib.import_module(module), name)


@functools.cache
def classes(kind):
    """dict of name to class: the public classes of one of our packages that derive from the kind's base."""
    package = importlib.import_module(_KINDS[kind][0])
    base = _base(kind)
    names = getattr(package, "__all__", None) or dir(package)
    found = {n: getattr(package, n) for n in names if is_plain_name(n)}
    return {n: c for n, c in found.items() if isinstance(c, type) and issubclass(c, base)}


@functools.cache
def functions(kind):
    """dict of name to function: the public functions of one of our packages."""
    package = importlib.import_module(f"maas.{kind}")
    names = getattr(package, "__all__", None) or dir(package)
    found = {n: getattr(package, n) for n in names if is_plain_name(n) and n not in _NOT_FUNCTIONS}
    own = {n: f for n, f in found.items() if isinstance(f, types.FunctionType)}
    return {n: f for n, f in own.items() if f.__module__.startswith("maas.")}


def find_class(module, name):
    """Our class for a saved (module, class name), or None.

    Args:
        module: str as in the file, or None (Keras 2), which searches every kind for a name that is unique.
    """
    if not is_plain_name(name):
        return None
    if module is None:
        found = {id(c): c for kind in _KINDS_OF_KERAS for n, c in classes(kind).items() if n == name}
        return next(iter(found.values())) if len(found) == 1 else None
    for kind in kinds_of_module(module):
        if kind in _KINDS and name in classes(kind):
            return classes(kind)[name]
    return None


def find_function(module, name):
    """Our function for a saved (module, name), or None; "builtins" and None search every family."""
    if not is_plain_name(name):
        return None
    kinds = _FUNCTION_KINDS if module in (None, "builtins") else kinds_of_module(module)
    for kind in kinds:
        if kind in _FUNCTION_KINDS and name in functions(kind):
            return functions(kind)[name]
    return None


def is_operation_module(module):
    """Whether a saved node calls an op ("keras.src.ops.numpy"), not a layer."""
    return kinds_of_module(module) == ("ops",)


@functools.cache
def _keras_names():
    names = {}
    for kind in _KINDS_OF_KERAS:
        for name, cls in classes(kind).items():
            # Aliases share a class; the class's own name wins.
            if name == cls.__name__ and cls not in names:
                module = "keras" if kind in ("models", "dtype_policies") else f"keras.{kind}"
                names[cls] = (module, name, None)
            # Keras does not export these classes, so its files name the internal module.
            if name == "Functional":
                names[cls] = ("keras.src.models.functional", "Functional", "Functional")
            elif kind == "applications":
                names[cls] = (f"keras.src.applications.{cls.keras_home}", name, name)
    return names


def keras_name(cls):
    """(module, class name, registered name) under which Keras saves this class of ours; None for other classes."""
    if not getattr(cls, "__module__", "").startswith("maas."):
        return None
    return _keras_names().get(cls)


def keras_function_name(function):
    """(module, name) of one of our functions, or None."""
    if not getattr(function, "__module__", "").startswith("maas."):
        return None
    for kind in _FUNCTION_KINDS:
        for name, known in functions(kind).items():
            if known is function and name == function.__name__:
                return f"keras.{kind}", name
    return None
