"""What converters share: the registry, the context of one conversion, and a base class."""

import numpy as np

from maas import _core, ops

# "module.Class" of scikit-learn -> converter, and the module of this package that brings it.
_CONVERTERS = {}


def converts(*names):
    """Class decorator: the converter of these scikit-learn classes, given as "linear_model.Ridge"."""

    def register(cls):
        for name in names:
            _CONVERTERS[name] = cls
        return cls

    return register


def label_of(estimator):
    """ "linear_model.Ridge" of a scikit-learn estimator, None of anything else."""
    parts = type(estimator).__module__.split(".")
    return f"{parts[1]}.{type(estimator).__name__}" if parts[0] == "sklearn" and len(parts) > 1 else None


def supported():
    """Names of the classes that have a converter."""
    return sorted(n.partition(".")[2] for n in _CONVERTERS)


def unsupported(estimator, what, received):
    """The error for an option that a converter does not know."""
    return NotImplementedError(f"from_sklearn: {type(estimator).__name__} {what}, received {received!r}")


class Context:
    """Variables of one conversion, by name, and how many rows one run may take."""

    def __init__(self):
        self.variables, self.paths, self.tables, self.made, self.rows = {}, {}, {}, {}, 1 << 20

    def path(self, estimator):
        """A name for an estimator's variables: its class, with a number from the second on."""
        name = type(estimator).__name__.lower()
        count = self.paths[name] = self.paths.get(name, -1) + 1
        return f"{name}_{count}" if count else name

    def converter(self, estimator):
        """The converter of a fitted estimator.

        Raises:
            NotImplementedError: if there is none.
            ValueError: if it is not fitted.
        """
        from sklearn.exceptions import NotFittedError
        from sklearn.utils.validation import check_is_fitted

        if id(estimator) in self.made:
            return self.made[id(estimator)]
        cls = _CONVERTERS.get(label_of(estimator))
        if cls is None:
            if not hasattr(estimator, "fit"):
                raise TypeError(f"from_sklearn: expected a fitted estimator, received {estimator!r}")
            of = type(estimator)
            raise NotImplementedError(
                f"from_sklearn: supported are {', '.join(supported())}; received {of.__module__}.{of.__name__}"
            )
        try:
            check_is_fitted(estimator)
        except NotFittedError:
            raise ValueError(f"from_sklearn: call fit first, received an unfitted {estimator!r}") from None
        made = self.made[id(estimator)] = cls(estimator, self)
        return made

    def holds(self, elements):
        """Notes that a run holds so many float64 elements per row at a time, so that it takes fewer rows."""
        self.rows = max(64, min(self.rows, (1 << 20) // max(int(elements), 1)))


class Converter:
    """One estimator. Methods named like scikit-learn's take the tensor x (rows, features) in float64 and give a tensor
    (or a list of them, one per output).

    Args:
        est: the fitted estimator.
        context: a `Context`.
    """

    dtype = "float64"  # of x
    rank = 2

    def __init__(self, est, context):
        self.est, self.context, self._path = est, context, context.path(est)
        self.check()

    def check(self):
        """Raises NotImplementedError for options that are not supported."""

    def takes(self):
        """What x may hold besides numbers: "finite" for nothing, "nan", or "all"."""
        if hasattr(self.est, "__sklearn_tags__"):
            return "nan" if self.est.__sklearn_tags__().input_tags.allow_nan else "finite"
        return "nan" if self.est._get_tags()["allow_nan"] else "finite"

    @property
    def features(self):
        """The number of features, None for any."""
        return getattr(self.est, "n_features_in_", None)

    def functions(self):
        """Names of the methods that both sides have."""
        from maas.classical.model import FUNCTIONS

        return [f for f in FUNCTIONS if hasattr(self, f) and hasattr(self.est, f)]

    def classes(self):
        """One entry per output of `predict`: an array of labels that are not numbers, or None. None: no such output."""

    def sub(self, estimator):
        """The converter of a part."""
        return self.context.converter(estimator)

    def param(self, name, value, dtype="float64"):
        """A variable of this estimator as a tensor; the same one in all functions."""
        name = f"{self._path}/{name}"
        if name not in self.context.variables:
            value = np.ascontiguousarray(value, dtype=dtype)
            self.context.variables[name] = _core.Variable(value, name=name, trainable=False, autocast=False)
        return self.context.variables[name].value


class Classifier(Converter):
    """Adds labels: a classifier gives `predict_index`, the places of its answers in `classes_`."""

    def predict_index(self, x):
        return ops.argmax(self.predict_proba(x), axis=-1)

    def predict(self, x):
        return self.labels(self.predict_index(x), self.est.classes_, "classes")

    def labels(self, index, classes, name):
        """Indices as labels, where these are numbers."""
        classes = np.asarray(classes)
        if classes.dtype.kind in "OUS":
            return ops.cast(index, "int64")
        if np.array_equal(classes, np.arange(len(classes))) and classes.dtype == np.int64:
            return ops.cast(index, "int64")
        return ops.take(self.param(name, classes, classes.dtype), index, axis=0)

    def classes(self):
        return [text_labels(self.est.classes_)]


def text_labels(classes):
    """The labels, or None if they are numbers."""
    classes = np.asarray(classes)
    return classes if classes.dtype.kind in "OUS" else None


def column(x):
    """(rows, 1) as (rows,)."""
    return ops.squeeze(x, axis=-1)


def columns(x, places):
    """Columns of x; a slice where they are one after the other."""
    places = np.asarray(places, "int64")
    if len(places) and np.array_equal(places, np.arange(places[0], places[0] + len(places))):
        return x[:, int(places[0]) : int(places[0]) + len(places)]
    return ops.take(x, places.astype("int32"), axis=1)


def product(x, w):
    """x @ w, for w of one or two axes."""
    return ops.sum(x * w, axis=-1) if len(w.shape) == 1 else ops.matmul(x, w)


def two(p):
    """The probabilities of two classes from that of the second."""
    return ops.stack([1.0 - p, p], axis=-1)


def normalized(p):
    """Rows of scores that are not negative as probabilities; all alike where the sum is 0."""
    total = ops.sum(p, axis=-1, keepdims=True)
    none = ops.equal(total, 0.0)
    n = float(p.shape[-1])
    return ops.where(none, 1.0 / n, p / ops.where(none, 1.0, total))
