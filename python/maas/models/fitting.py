"""`fit`: epochs of training steps, with validation and callbacks."""

import numbers
import warnings

import numpy as np

from maas.backend import config
from maas.callbacks import CallbackList
from maas.callbacks.callback import pythonify_logs
from maas.data import EpochIterator, get_data_adapter
from maas.data.arrays import split_for_validation
from maas.data.packing import unpack_x_y_sample_weight
from maas.models import data_checks


class Fitting:
    """Mixin of `Trainer`: `fit`, and the loop over the steps of an epoch."""

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        initial_epoch=0,
        steps_per_epoch=None,
        validation_steps=None,
        validation_batch_size=None,
        validation_freq=1,
    ):
        """Trains for a number of epochs.

        Args:
            x: array, list or dict of arrays, `PyDataset`, generator or any iterable of batches
                `(x,)`, `(x, y)` or `(x, y, sample_weight)`.
            y: targets in the form of the outputs; None if `x` yields them.
            batch_size: int, 32 by default.
            epochs: int, the number of the last epoch.
            verbose: "auto", 0 (nothing), 1 (bar) or 2 (one line per epoch).
            callbacks: list of `Callback`.
            validation_split: float in [0, 1); the last rows validate. Ignored if `validation_data` is given.
            validation_data: `(x, y)`, `(x, y, sample_weight)` or a source of batches.
            shuffle: bool, or "batch"; arrays only.
            class_weight: dict from class to weight.
            sample_weight: array of one weight per sample (or per time step), or nested like `y`.
            initial_epoch: int, the first epoch.
            steps_per_epoch, validation_steps: int or None (a whole pass).
            validation_batch_size: int, `batch_size` by default.
            validation_freq: int, or list of the epochs (from 1) after which to validate.

        Returns:
            `History`.

        Raises:
            ValueError, TypeError, IndexError: for data that does not fit; the model stays usable.
        """
        self._assert_compiled("fit")
        if not isinstance(epochs, (int, np.integer)):
            raise TypeError(f"epochs must be an int, received epochs={epochs!r}")
        limit = config.max_epochs()
        if limit is not None and limit < epochs:
            warnings.warn(f"fit ends after epoch {limit}: maas.config.set_max_epochs says so", stacklevel=2)
            epochs = limit
        if not isinstance(validation_split, numbers.Real) or not 0 <= validation_split < 1:
            raise ValueError(f"validation_split must be a number in [0, 1), received {validation_split!r}")
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = split_for_validation(x, y, sample_weight, validation_split)
        adapter = get_data_adapter(
            x, y, sample_weight, batch_size, steps_per_epoch, shuffle, class_weight, self._input_dtypes
        )
        data = EpochIterator(adapter, steps_per_epoch)
        validation = None
        if validation_data is not None:
            _check_validation_freq(validation_freq)
            parts = validation_data
            data_checks.check_validation_data(parts, needs_targets=self._compile_loss is not None)
            if isinstance(parts, (list, tuple)):
                val_x, val_y, val_weight = unpack_x_y_sample_weight(parts)
            else:
                val_x, val_y, val_weight = parts, None, None
            val_adapter = get_data_adapter(
                val_x,
                val_y,
                val_weight,
                validation_batch_size or batch_size,
                validation_steps,
                input_dtypes=self._input_dtypes,
            )
            validation = EpochIterator(val_adapter, validation_steps)
        layout, key, arrays = data.peek()
        self._step("train", layout, key)
        if validation is not None and val_adapter.in_memory():
            # Compiled before the first epoch, so that wrong data is known before it has been trained.
            val_layout, val_key, _ = validation.peek()
            self._step("test", val_layout, val_key)
        watch = self._check_data(adapter.in_memory() or (layout, arrays), validation and val_adapter.in_memory())
        if not isinstance(callbacks, CallbackList):
            callbacks = CallbackList(
                callbacks,
                add_history=True,
                add_progbar=verbose != 0,
                model=self,
                verbose=verbose,
                epochs=epochs,
                steps=data.num_batches,
            )
        self._set(stop_training=False, _initial_epoch=initial_epoch, _fit_data=data, _fit_step=None)
        logs = {}
        finished = False
        callbacks.on_train_begin()
        try:
            # BackupAndRestore may have changed where it begins.
            initial_epoch, resumed = self._initial_epoch, self._fit_step is not None
            for epoch in range(initial_epoch, epochs):
                if epoch > initial_epoch and data.exhausted():
                    _warn_exhausted("training stops", epoch, epochs)
                    break
                if not resumed:
                    self.reset_metrics()
                resumed = False
                callbacks.on_epoch_begin(epoch)
                logs = self._run_epoch("train", data, callbacks, watch, epoch)
                self._set(_fit_step=None)
                due = validation is not None and _is_validation_epoch(epoch + 1, validation_freq)
                if due and validation.exhausted():
                    _warn_exhausted("validation stops", epoch, epochs)
                    validation = due = None
                if due:
                    found = self._evaluate(validation, callbacks)
                    logs.update({f"val_{name}": value for name, value in found.items()})
                callbacks.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
            finished = True
        finally:
            self._set(_fit_data=None)
            if self.optimizer is not None and self.optimizer.built and epochs > 0:
                self.optimizer.finalize_variable_values(self.trainable_variables)
            if finished:
                callbacks.on_train_end(logs)
        return self.history

    def _check_data(self, train, validation):
        """Looks once at data of the form (layout, arrays); returns what looks at the loss later."""
        own_step = getattr(type(self).train_step, "__module__", "").startswith("maas.models")
        own_loss = getattr(type(self).compute_loss, "__module__", "").startswith("maas.models")
        # A step or loss of the user's own may change the labels before it compares.
        if self._compile_loss is not None and own_step and own_loss:
            for layout, arrays in filter(None, (train, validation)):
                data_checks.check_labels(self._compile_loss.targets, layout, arrays)
        layout, arrays = train
        return data_checks.LossWatch(done=data_checks.warn_of_values(layout.names, arrays))

    def _run_epoch(self, kind, data, callbacks, watch=None, epoch=0):
        """All steps of an epoch; returns the logs after the last one."""
        train = kind == "train"
        begin = callbacks.on_train_batch_begin if train else callbacks.on_test_batch_begin
        end = callbacks.on_train_batch_end if train else callbacks.on_test_batch_end
        has_begin = bool(callbacks._train_batch_begin if train else callbacks._test_batch_begin)
        has_end = bool(callbacks._train_batch_end if train else callbacks._test_batch_end)
        step_key, version, step, program, outputs = None, None, None, None, None

        def logs():
            return pythonify_logs(step.unflatten(outputs))

        for number, (layout, key, arrays) in data.epoch():
            if has_begin:
                begin(number)
            # Callbacks may change the optimizer, which makes another program.
            new_key = key is not step_key and key != step_key
            if new_key or self.run_eagerly or ((has_begin or has_end) and version != self._version_key()):
                step = self._step(kind, layout, key)
                step_key, version, program = key, self._version_key(), step.program
            outputs = program(*arrays)
            if has_end:
                end(number, logs)
            if watch is not None and number % data_checks.EVERY == 0:
                watch.look(step, outputs, number, epoch)
            if self.stop_training if train else self.stop_evaluating:
                break
        if outputs is None and train and self._fit_step:
            # Killed between the last batch of an epoch and its end: the metrics hold what it came to.
            return pythonify_logs(self.get_metrics_result())
        if outputs is None:
            raise ValueError(f"{self.name}: the data must yield at least one batch, received none")
        if watch is not None:
            watch.look(step, outputs, number, epoch)
        return logs()


def _warn_exhausted(what, done, epochs):
    warnings.warn(
        f"the data ran out, so {what} after {done} of {epochs} epochs: a generator is read once; make it yield "
        "steps_per_epoch * epochs batches, or pass an iterable that starts anew",
        stacklevel=3,
    )


def _check_validation_freq(freq):
    if not isinstance(freq, (int, list, tuple, set)):
        raise ValueError(
            f"validation_freq must be an int or a list of epochs, received validation_freq={freq!r} "
            f"of type {type(freq).__name__}"
        )


def _is_validation_epoch(epoch, freq):
    return epoch % freq == 0 if isinstance(freq, int) else epoch in freq
