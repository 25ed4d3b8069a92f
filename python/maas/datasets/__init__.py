"""Data sets for examples and tests; each is imported on first use."""

import importlib

from maas import missing_names

_MODULES = "boston_housing california_housing cifar10 cifar100 digits fashion_mnist imdb mnist reuters".split()
__all__ = list(_MODULES)


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"maas.datasets.{name}")
    raise missing_names.missing(__name__, name)


def __dir__():
    return __all__
