"""The chain of callbacks of one run."""

from maas import tree
from maas.callbacks.callback import Callback, defines, pythonify_logs
from maas.callbacks.history import History
from maas.callbacks.progbar_logger import ProgbarLogger

# Where a batch method counts as defined: Keras's default train methods call the plain batch methods.
_ALSO = {"on_train_batch_begin": ("on_batch_begin",), "on_train_batch_end": ("on_batch_end",)}


def _due(callback, name):
    """The function that says whether a batch method has work, if method and function come from the same class."""
    owner = next((k for k in type(callback).__mro__ if "_batch_due" in k.__dict__), None)
    if owner is None or name in callback.__dict__ or getattr(type(callback), name) is not getattr(owner, name):
        return None
    return callback._batch_due


class CallbackList(Callback):
    """Calls every callback in order: those given, then `History`, then the progress bar.

    Args:
        callbacks: callback, or (nested) list of callbacks.
        add_history: bool; adds a `History` if there is none.
        add_progbar: bool; adds a `ProgbarLogger` if there is none.
        model: the model that runs.
        **params: `verbose`, `epochs`, `steps`.
    """

    def __init__(self, callbacks=None, add_history=False, add_progbar=False, model=None, **params):
        super().__init__()
        self.callbacks = [c for c in tree.flatten(callbacks) if c is not None] if callbacks else []
        for c in self.callbacks:
            if isinstance(c, type):
                raise TypeError(f"callbacks must be Callback objects, such as {c.__name__}(), received the class {c!r}")
            if not hasattr(c, "set_model"):
                raise TypeError(f"callbacks must be Callback objects, received {c!r}")
        self._history = next((c for c in self.callbacks if isinstance(c, History)), None)
        self._progbar = next((c for c in self.callbacks if isinstance(c, ProgbarLogger)), None)
        if self._history is None and add_history:
            self._history = History()
            self.callbacks.append(self._history)
        if self._progbar is None and add_progbar:
            self._progbar = ProgbarLogger()
            self.callbacks.append(self._progbar)
        if model is not None:
            self.set_model(model)
        self.set_params(params)
        self._find_batch_hooks()

    def _find_batch_hooks(self):
        """Bound batch methods, so that a step pays only for those that exist."""
        for name in ("train_batch_begin", "train_batch_end", "test_batch_begin", "test_batch_end"):
            setattr(self, f"_{name}", self._hooks(f"on_{name}"))
        self._predict_batch_begin = self._hooks("on_predict_batch_begin")
        self._predict_batch_end = self._hooks("on_predict_batch_end")

    def _hooks(self, name):
        return [(getattr(c, name), _due(c, name)) for c in self.callbacks if defines(c, name, *_ALSO.get(name, ()))]

    def append(self, callback):
        """Adds a callback at the end."""
        self.callbacks.append(callback)
        self._find_batch_hooks()

    def set_params(self, params):
        self.params = params
        if params:
            for c in self.callbacks:
                c.set_params(params)

    def set_model(self, model):
        super().set_model(model)
        if self._history is not None:
            model.history = self._history
        for c in self.callbacks:
            c.set_model(model)

    @staticmethod
    def _run(hooks, batch, logs):
        # `logs` may be a function, called only if somebody looks. A hook that says when it is due is skipped before.
        made = None
        for hook, due in hooks:
            if due is None or due(batch):
                if made is None:
                    made = logs() if callable(logs) else pythonify_logs(logs)
                hook(batch, logs=made)

    def on_batch_begin(self, batch, logs=None):
        self.on_train_batch_begin(batch, logs)

    def on_batch_end(self, batch, logs=None):
        self.on_train_batch_end(batch, logs)

    def on_train_batch_begin(self, batch, logs=None):
        if self._train_batch_begin:
            self._run(self._train_batch_begin, batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        if self._train_batch_end:
            self._run(self._train_batch_end, batch, logs)

    def on_test_batch_begin(self, batch, logs=None):
        if self._test_batch_begin:
            self._run(self._test_batch_begin, batch, logs)

    def on_test_batch_end(self, batch, logs=None):
        if self._test_batch_end:
            self._run(self._test_batch_end, batch, logs)

    def on_predict_batch_begin(self, batch, logs=None):
        if self._predict_batch_begin:
            self._run(self._predict_batch_begin, batch, logs)

    def on_predict_batch_end(self, batch, logs=None):
        if self._predict_batch_end:
            self._run(self._predict_batch_end, batch, logs)

    def _all(self, name, *args):
        *args, logs = args
        logs = pythonify_logs(logs)
        for c in self.callbacks:
            getattr(c, name)(*args, logs)

    def on_epoch_begin(self, epoch, logs=None):
        self._all("on_epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self._all("on_epoch_end", epoch, logs)

    def on_train_begin(self, logs=None):
        self._all("on_train_begin", logs)

    def on_train_end(self, logs=None):
        self._all("on_train_end", logs)

    def on_test_begin(self, logs=None):
        self._all("on_test_begin", logs)

    def on_test_end(self, logs=None):
        self._all("on_test_end", logs)

    def on_predict_begin(self, logs=None):
        self._all("on_predict_begin", logs)

    def on_predict_end(self, logs=None):
        self._all("on_predict_end", logs)
