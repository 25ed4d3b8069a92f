"""Logs of every epoch as a CSV file."""

import csv
import os

import numpy as np

from maas.callbacks.callback import Callback


class CSVLogger(Callback):
    """Writes one row per epoch, and keeps the file readable after every epoch.

    Args:
        filename: str or path.
        separator: str, one character.
        append: bool; adds to a file that exists.
    """

    def __init__(self, filename, separator=",", append=False):
        super().__init__()
        self.filename, self.sep, self.append = os.fspath(filename), separator, append
        self.keys, self.writer, self.csv_file = None, None, None
        self._header = True

    def on_train_begin(self, logs=None):
        self._close()
        if self.append and os.path.exists(self.filename):
            self._header = os.path.getsize(self.filename) == 0
        self.csv_file = open(self.filename, "a" if self.append else "w", newline="")
        self.writer, self.keys = None, None

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        if self.writer is None:
            self.keys = sorted(logs)
            if self.keys and not any(k.startswith("val_") for k in self.keys):
                # Validation may run in later epochs only; its columns must be there from the start.
                self.keys += [f"val_{k}" for k in self.keys]
            self.writer = csv.DictWriter(self.csv_file, fieldnames=["epoch", *self.keys], delimiter=self.sep)
            if self._header:
                self.writer.writeheader()
        row = {key: _cell(logs.get(key, "NA")) for key in self.keys}
        self.writer.writerow({"epoch": epoch, **row})
        self.csv_file.flush()

    def on_train_end(self, logs=None):
        self._close()

    def _close(self):
        if self.csv_file is not None:
            self.csv_file.close()
            self.csv_file = None


def _cell(value):
    if isinstance(value, str) or np.ndim(value) == 0:
        return value
    return '"[' + ", ".join(map(str, value)) + ']"'
