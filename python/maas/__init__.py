"""maas: train, save, compress and serve Keras-style models on an engine of its own."""

from maas._core import __version__

__all__ = ["__version__"]
