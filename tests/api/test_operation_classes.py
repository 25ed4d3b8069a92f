"""Files name the class that Keras has for a function of `maas.ops`: the module must be where that class lives."""

import importlib
import inspect
import pkgutil

import keras.src.ops
import pytest

import maas
from maas.backend import symbolic


def keras_classes():
    """Modules of every Operation class, by name."""
    found = {}
    for info in pkgutil.iter_modules(keras.src.ops.__path__):
        if info.name.endswith("_test"):
            continue
        module = importlib.import_module(f"keras.src.ops.{info.name}")
        for name, cls in vars(module).items():
            if inspect.isclass(cls) and cls.__module__ == module.__name__:
                found.setdefault(name, []).append(module.__name__)
    return found


CLASSES = keras_classes()


FUNCTIONS = [name for name in dir(maas.ops) if inspect.isfunction(getattr(maas.ops, name, None))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_module(name):
    operation = symbolic.FunctionOperation(name)
    known = CLASSES.get(operation.keras_class_name)
    assert known is None or operation.keras_module in known
