"""Data sets for examples and tests."""

from maas import missing_names
from maas.datasets import digits

__all__ = ["digits"]

__getattr__ = missing_names.getattr_of(__name__)
