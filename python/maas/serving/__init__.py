"""Serving of models over HTTP: `Server`, and `PythonModel` for models that are plain functions."""

from maas.serving.servable import PythonModel
from maas.serving.server import Server

__all__ = ["PythonModel", "Server"]
