"""Data sets for examples and tests."""

from maas.datasets import digits

__all__ = ["digits"]
