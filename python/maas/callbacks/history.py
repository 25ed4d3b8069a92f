"""The record of a run."""

from maas.callbacks.callback import Callback


class History(Callback):
    """Keeps the logs of every epoch. `fit` returns it.

    Attributes:
        epoch: list of the epochs run.
        history: dict from metric name to the list of its values, one per epoch.
    """

    def __init__(self):
        super().__init__()
        self.history = {}
        self.epoch = []

    def on_train_begin(self, logs=None):
        self.epoch = []

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self

    def __repr__(self):
        last = ", ".join(f"{k}={v[-1]:.4g}" for k, v in self.history.items() if isinstance(v[-1], float))
        return f"<History epochs={len(self.epoch)}{': ' + last if last else ''}>"
