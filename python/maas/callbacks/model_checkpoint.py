"""Save the model while it trains."""

import os
import warnings

import numpy as np

from maas.callbacks.monitor import MonitorCallback
from maas.utils.io_utils import print_msg


class ModelCheckpoint(MonitorCallback):
    """Saves the model or its weights after epochs or batches.

    Args:
        filepath: str or path; may hold `{epoch}`, `{batch}` and names of the logs, such as `{val_loss:.2f}`. Ends in
            `.keras` or `.h5` (whole model) or `.weights.h5` (weights).
        monitor: str, the metric's name in the logs.
        verbose: 0 or 1.
        save_best_only: bool; saves only when `monitor` improved.
        save_weights_only: bool.
        mode: `"auto"`, `"min"` or `"max"`.
        save_freq: `"epoch"` or int, a number of batches.
        initial_value_threshold: float or None, the first value to beat.

    Raises:
        ValueError: for another file ending or an unknown `save_freq`.
    """

    def __init__(
        self,
        filepath,
        monitor="val_loss",
        verbose=0,
        save_best_only=False,
        save_weights_only=False,
        mode="auto",
        save_freq="epoch",
        initial_value_threshold=None,
    ):
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose, self.save_best_only, self.save_weights_only = verbose, save_best_only, save_weights_only
        self.save_freq = save_freq
        self._batches_since_save, self._last_batch, self._current_epoch = 0, None, 0
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise ValueError(f"ModelCheckpoint: save_freq must be 'epoch' or an int, received save_freq={save_freq!r}")
        if save_weights_only and not self.filepath.endswith(".weights.h5"):
            raise ValueError(
                f"ModelCheckpoint: filepath must end in .weights.h5 to save weights only, received {self.filepath!r}"
            )
        if not save_weights_only and not self.filepath.endswith((".keras", ".h5")):
            raise ValueError(f"ModelCheckpoint: filepath must end in .keras or .h5, received {self.filepath!r}")

    def _batch_due(self, batch):
        """True if batches are counted; else no batch needs logs."""
        return self.save_freq != "epoch"

    def on_epoch_begin(self, epoch, logs=None):
        self._current_epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.save_freq == "epoch":
            return
        new = batch + 1 if self._last_batch is None or batch <= self._last_batch else batch - self._last_batch
        self._batches_since_save += new
        self._last_batch = batch
        if self._batches_since_save >= self.save_freq:
            self._batches_since_save = 0
            self._save(self._current_epoch, batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor_op is None:
            self._set_monitor_op()
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def _set_monitor_op(self):
        # What to compare with matters only if there is a best one.
        if self.save_best_only:
            super()._set_monitor_op()

    def _should_save(self, epoch, logs, path):
        if not self.save_best_only:
            if self.verbose > 0:
                print_msg(f"\nEpoch {epoch + 1}: saving model to {path}")
            return True
        if self.monitor_op is None:
            self._set_monitor_op()
        current = (logs or {}).get(self.monitor)
        if current is None or np.ndim(current) > 0:
            what = "not in the logs" if current is None else "not a scalar"
            warnings.warn(
                f"ModelCheckpoint: {self.monitor!r} is {what}, the model is saved anyway, "
                f"received {', '.join(logs or {})}",
                stacklevel=4,
            )
            return True
        best = "None" if self.best is None else f"{self.best:.5f}"
        if not self._is_improvement(current, self.best):
            if self.verbose > 0:
                print_msg(f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {best}")
            return False
        if self.verbose > 0:
            text = f"{self.monitor} improved from {best} to {current:.5f}, saving model to {path}"
            print_msg(f"\nEpoch {epoch + 1}: {text}")
        self.best = current
        return True

    def _save(self, epoch, batch, logs):
        path = self._path(epoch, batch, logs or {})
        if not self._should_save(epoch, logs, path):
            return
        if os.path.isdir(path):
            raise IsADirectoryError(f"ModelCheckpoint: filepath must be a file, received the folder {path!r}")
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        if self.verbose > 0:
            print_msg(f"\nEpoch {epoch + 1}: finished saving model to {path}")

    def _path(self, epoch, batch, logs):
        names = dict(logs, epoch=epoch + 1)
        if batch is not None and "batch" not in logs:
            names["batch"] = batch + 1
        try:
            return self.filepath.format(**names)
        except KeyError as e:
            raise KeyError(f"ModelCheckpoint: filepath {self.filepath!r} names {e}, received {sorted(names)}") from e
