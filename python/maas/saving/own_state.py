"""Reading and writing the variables of single objects, and changing many of them all at once or not at all."""

import contextlib
import warnings

import numpy as np


def label(obj):
    """`Dense 'head'`: how messages name an object."""
    return f"{type(obj).__name__} '{getattr(obj, 'name', '')}'"


def _base_methods():
    from maas.layers.layer import Layer
    from maas.optimizers.optimizer import Optimizer

    return Layer, Optimizer


def own_variables(obj):
    """The variables of an object itself, in the order of its files; None if its class stores them its own way."""
    layer, optimizer = _base_methods()
    if isinstance(obj, layer):
        if type(obj).load_own_variables is not layer.load_own_variables:
            return None
        return list(obj._trainable_variables) + list(obj._non_trainable_variables)
    if isinstance(obj, optimizer):
        custom = getattr(type(obj), "load_own_variables", None)
        if custom is not getattr(optimizer, "load_own_variables", None):
            return None
        return list(obj.variables)
    return [] if not hasattr(obj, "save_own_variables") else None


def saved_state(obj):
    """dict of key ("0", "1", ...) to Variable or array: what goes into the file for one object."""
    variables = own_variables(obj)
    if variables is not None:
        return {str(i): v for i, v in enumerate(variables)}
    store = {}
    obj.save_own_variables(store)
    return store


def is_compatible(stored, wanted):
    """Whether values of one dtype may go into a variable of another: only within integers, floats or bools."""
    kinds = ("float", "bfloat", "uint", "int", "bool", "complex")
    kind = [
        next((k for k in kinds if str(d).startswith(k)), str(d)).removeprefix("b").removeprefix("u")
        for d in (stored, wanted)
    ]
    return kind[0] == kind[1]


def check_values(where, variables, values, names=None):
    """Compare the shapes and dtypes of stored values with those of variables.

    Args:
        where: str, "Dense 'head'".
        variables: list of Variables.
        values: list of anything with `.shape` and `.dtype`.

    Returns:
        None, or the text of the first mismatch.
    """
    names = names or [getattr(v, "path", v.name) for v in variables]
    if len(variables) != len(values):
        return (
            f"{where}: expected {len(variables)} variables {names}, "
            f"received {len(values)} of shapes {[tuple(v.shape) for v in values]} from the file"
        )
    for name, variable, value in zip(names, variables, values):
        if tuple(variable.shape) != tuple(value.shape):
            found = tuple(value.shape)
            return f"{where}: variable '{name}' has shape {tuple(variable.shape)}, received {found} from the file"
        if not is_compatible(value.dtype, variable.dtype):
            return f"{where}: variable '{name}' has dtype {variable.dtype}, received {value.dtype} from the file"
    return None


@contextlib.contextmanager
def all_or_nothing(variables):
    """Context in which variables are written; an exception puts the old values back."""
    before = [(v, v.numpy()) for v in variables]
    try:
        yield
    except BaseException:
        for variable, value in before:
            variable.assign(value)
        raise


class Changes:
    """Assignments that have been checked and are made together at the end."""

    def __init__(self, skip_mismatch=False):
        self.skip_mismatch = skip_mismatch
        self.assignments = []  # (variable, array)
        self.custom = []  # (object, dict of arrays): classes with load_own_variables of their own
        self.objects = []

    def mismatch(self, text):
        """Raise, or warn where the caller asked to skip."""
        if not self.skip_mismatch:
            raise ValueError(text)
        warnings.warn(f"skipped: {text}", stacklevel=5)

    def add(self, obj, variables, arrays):
        self.assignments.extend(zip(variables, arrays))
        self.objects.append(obj)

    def commit(self, model_variables=None):
        """Write everything.

        Args:
            model_variables: all variables of a model that was there before, so that a failure can put them back; None
                for a model that was made for this file and is dropped on failure.
        """
        if model_variables is None:
            touched = []
        else:
            # A class with its own way of loading may touch any of them.
            touched = model_variables if self.custom else [v for v, _ in self.assignments]
        with all_or_nothing(touched):
            for variable, array in self.assignments:
                variable.assign(np.asarray(array))
            for obj, store in self.custom:
                try:
                    obj.load_own_variables(store)
                except (TypeError, KeyError, AttributeError, IndexError) as e:
                    raise ValueError(f"{label(obj)}: load_own_variables failed ({type(e).__name__}: {e})") from e
            for obj in self.objects:
                if hasattr(obj, "finalize_state"):
                    obj.finalize_state()
