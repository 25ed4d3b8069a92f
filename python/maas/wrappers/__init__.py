"""Models as estimators of scikit-learn; `maas[classical]` brings it."""

import importlib

from maas.missing_names import missing

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]


def __getattr__(name):
    if name not in __all__:
        raise missing(__name__, name)
    try:
        import sklearn  # noqa: F401
    except ImportError:
        raise ImportError(
            f"{name} needs scikit-learn, pip install 'maas[classical]', received no package sklearn"
        ) from None
    return getattr(importlib.import_module("maas.wrappers.sklearn_estimators"), name)


def __dir__():
    return __all__
