"""Serving of models over HTTP: `Server`, and `PythonModel` for models that are plain functions."""

from maas import missing_names
from maas.serving.servable import PythonModel
from maas.serving.server import Server

__all__ = ["PythonModel", "Server"]

__getattr__ = missing_names.getattr_of(__name__)
