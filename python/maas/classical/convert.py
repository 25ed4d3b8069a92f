"""`from_sklearn`: a fitted estimator as a `ClassicalModel`."""

import importlib
import json

import numpy as np

from maas import _core
from maas.classical import base
from maas.classical.model import FUNCTIONS, SERVE, ClassicalModel, TracedFunctions

# Every family registers its converters.
_FAMILIES = (
    "linear discriminant svm trees boosting voting neighbors naive_bayes cluster decomposition scaling discretize "
    "encoders impute compose selection multiple calibration neural dummy"
).split()


def from_sklearn(estimator, name=None):
    """A fitted scikit-learn estimator as a graph with the same predictions, probabilities and transforms.

    The graph computes in float64, as scikit-learn does, and compares float32 features in decision trees where
    scikit-learn does. Sums may run in another order: results agree to some float64 epsilons. Pipelines, searches and
    ensembles become one graph. Where training points are equally far, k-nearest neighbours takes the first ones;
    scikit-learn's choice depends on its search tree.

    Args:
        estimator: a fitted estimator.
        name: str, the model's name; default the class's in lower case.

    Returns:
        A `ClassicalModel` with those of `predict`, `predict_proba`, `decision_function` and `transform` that the
        estimator has. `save("x.maas")` writes a file that needs no scikit-learn. The server's outputs are named like
        the methods, `predict` and `predict_proba` where there are both; labels that are not numbers are served as
        their places in `classes`.

    Raises:
        ImportError: without scikit-learn.
        TypeError: if `estimator` is no estimator.
        ValueError: if it is not fitted.
        NotImplementedError: for a class or an option that is not supported, naming what is.
    """
    try:
        import sklearn  # noqa: F401
    except ImportError as e:
        raise ImportError("from_sklearn needs scikit-learn: pip install 'maas[classical]'") from e
    for family in _FAMILIES:
        importlib.import_module(f"maas.classical.{family}")
    context = base.Context()
    converter = context.converter(estimator)
    name = name or type(estimator).__name__.lower()
    traces = {f: _trace(converter, [f]) for f in converter.functions()}
    if not traces:
        raise NotImplementedError(
            f"from_sklearn: supported are the methods {', '.join(FUNCTIONS)}; received a "
            f"{type(estimator).__name__} without one of them"
        )
    served = [f for f in ("predict", "predict_proba") if f in traces] or [next(iter(traces))]
    traces[SERVE] = _trace(converter, served)
    classes = converter.classes() if "predict" in traces else None
    if classes is not None and all(c is None for c in classes):
        classes = None
    info = {
        "estimator": type(estimator).__name__,
        "rows": max(1, context.rows),
        "takes": converter.takes(),
        "classes": classes and [None if c is None else [_text(v) for v in c] for c in classes],
    }
    metadata = {"model_name": name, "classical": json.dumps(info)}
    return ClassicalModel(TracedFunctions(traces, context.variables, metadata))


def _text(value):
    if isinstance(value, bytes):
        raise NotImplementedError(f"from_sklearn: labels must be numbers or text, received {value!r}")
    if isinstance(value, (str, bool, int, float, type(None))):
        return value
    return value.item() if isinstance(value, np.generic) else _not_a_label(value)


def _not_a_label(value):
    raise NotImplementedError(f"from_sklearn: labels must be numbers or text, received {value!r}")


def _trace(converter, functions):
    """`(trace, inputs, outputs, input names, output names)` of some of a converter's methods."""
    outputs, names = [], []
    with _core.Trace() as trace:
        shape = ["batch"] if converter.rank == 1 else ["batch", converter.features]
        x = trace.input(shape, dtype=converter.dtype, name="x")
        for function in functions:
            made = getattr(converter, function)(x)
            parts = made if isinstance(made, list) else [made]
            outputs += parts
            names += [function] if len(parts) == 1 else [f"{function}_{i}" for i in range(len(parts))]
    return trace, [x], outputs, ["x"], names
