"""The base class of callbacks, and the logs they get."""

import weakref

HOOKS = tuple(
    f"on_{where}_{when}"
    for where in ("epoch", "batch", "train_batch", "test_batch", "predict_batch", "train", "test", "predict")
    for when in ("begin", "end")
)


class Callback:
    """Base class of callbacks: `fit`, `evaluate` and `predict` call its methods as they go.

    Attributes:
        params: dict with `verbose`, `epochs` and `steps`.
        model: the model that runs.

    Batch methods that a subclass does not define cost nothing. `logs` maps metric names to numbers and belongs to the
    callback chain: what a callback writes into it, the next one sees.
    """

    def __init__(self):
        self.params = None
        self._model = None

    def set_params(self, params):
        """Called once, before the run."""
        self.params = params

    def set_model(self, model):
        """Called once, before the run."""
        # Weak: a model holds its history, and a cycle would keep both alive until the collector runs.
        self._model = None if model is None else weakref.ref(model)

    @property
    def model(self):
        """The model that runs; None once it is gone."""
        return None if self._model is None else self._model()

    def __getstate__(self):
        # A copy belongs to no model; `fit` gives it one.
        return {**self.__dict__, "_model": None}

    def on_batch_begin(self, batch, logs=None):
        """The same as `on_train_batch_begin`."""

    def on_batch_end(self, batch, logs=None):
        """The same as `on_train_batch_end`."""

    def on_epoch_begin(self, epoch, logs=None):
        """At the start of an epoch of `fit`."""

    def on_epoch_end(self, epoch, logs=None):
        """At the end of an epoch of `fit`; `logs` holds training and validation results (prefix `val_`)."""

    def on_train_batch_begin(self, batch, logs=None):
        """Before a training step."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch, logs=None):
        """After a training step; `logs` holds the results of the epoch so far."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch, logs=None):
        """Before a step of `evaluate`, also inside `fit`."""

    def on_test_batch_end(self, batch, logs=None):
        """After a step of `evaluate`, also inside `fit`."""

    def on_predict_batch_begin(self, batch, logs=None):
        """Before a step of `predict`."""

    def on_predict_batch_end(self, batch, logs=None):
        """After a step of `predict`; `logs["outputs"]` are the outputs of the batch."""

    def on_train_begin(self, logs=None):
        """At the start of `fit`."""

    def on_train_end(self, logs=None):
        """At the end of `fit`; `logs` are those of the last epoch."""

    def on_test_begin(self, logs=None):
        """At the start of `evaluate`, also inside `fit`."""

    def on_test_end(self, logs=None):
        """At the end of `evaluate`, also inside `fit`."""

    def on_predict_begin(self, logs=None):
        """At the start of `predict`."""

    def on_predict_end(self, logs=None):
        """At the end of `predict`."""


def defines(callback, *names):
    """True if the class or the object of `callback` has its own version of one of the methods."""
    for name in names:
        own = getattr(callback, name, None)
        if own is not None and getattr(own, "__func__", own) is not getattr(Callback, name):
            return True
    return False


def pythonify_logs(logs):
    """Logs with keys in order and scalars as Python floats."""
    result = {}
    for key, value in sorted((logs or {}).items()):
        if isinstance(value, dict):
            result.update(pythonify_logs(value))
            continue
        try:
            value = float(value)
        except (TypeError, ValueError):  # a vector (one value per class) stays an array
            if hasattr(value, "numpy"):
                value = value.numpy()
        result[key] = value
    return result
