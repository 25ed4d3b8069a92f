"""`evaluate`, `predict` and the functions on single batches."""

import numpy as np

from maas.callbacks import CallbackList
from maas.callbacks.callback import pythonify_logs
from maas.data import EpochIterator, get_data_adapter
from maas.data.arrays import class_weight_to_sample_weights
from maas.data.batch import key_of, prepare_batch
from maas.models.compile_metrics import CompileMetrics


class Evaluating:
    """Mixin of `Trainer`: test and prediction on data, and one step of any kind on one batch."""

    def evaluate(
        self,
        x=None,
        y=None,
        batch_size=None,
        verbose="auto",
        sample_weight=None,
        steps=None,
        callbacks=None,
        return_dict=False,
        **kwargs,
    ):
        """Loss and metrics on data, in test mode.

        Args:
            x, y, sample_weight, batch_size: as in `fit`.
            verbose: "auto", 0, 1 or 2.
            steps: int or None, the number of batches.
            callbacks: list of `Callback`.
            return_dict: bool; a dict from name to value in place of a list.

        Returns:
            The loss alone if there are no metrics, else a list in the order of `metrics_names`, or a dict.
        """
        self._assert_compiled("evaluate")
        if kwargs:
            raise ValueError(f"evaluate: unknown arguments, received {sorted(kwargs)}")
        adapter = get_data_adapter(x, y, sample_weight, batch_size, steps, input_dtypes=self._input_dtypes)
        data = EpochIterator(adapter, steps)
        if not isinstance(callbacks, CallbackList):
            callbacks = CallbackList(
                callbacks,
                add_progbar=verbose != 0,
                model=self,
                verbose=verbose,
                epochs=1,
                steps=data.num_batches,
            )
        logs = self._evaluate(data, callbacks)
        return logs if return_dict else self._flatten_metrics_in_order(logs)

    def _evaluate(self, data, callbacks):
        data.reset()
        self._set(stop_evaluating=False)
        callbacks.on_test_begin()
        self.reset_metrics()
        logs = self._run_epoch("test", data, callbacks)
        callbacks.on_test_end(logs)
        return logs

    def _flatten_metrics_in_order(self, logs):
        names = []
        for m in self.metrics:
            names.extend(sub.name for sub in m.metrics) if isinstance(m, CompileMetrics) else names.append(m.name)
        values = [logs[name] for name in names if name in logs]
        values += [logs[name] for name in sorted(logs) if name not in names]
        return values[0] if len(values) == 1 else values

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """Outputs for data, in test mode.

        Args:
            x: as in `fit`; targets in it are not read.
            batch_size: int, 32 by default.
            verbose: "auto", 0, 1 or 2.
            steps: int or None, the number of batches.
            callbacks: list of `Callback`.

        Returns:
            NumPy array, or arrays nested like the outputs.
        """
        # One small array again: what its form decides is known, and looking anew would take longer than to answer.
        small = (
            type(x) is np.ndarray
            and verbose == 0
            and callbacks is None
            and steps is None
            and x.ndim > 0
            and (batch_size is None or type(batch_size) is int)
            and 0 < len(x) <= (32 if batch_size is None else batch_size)
            and x.flags.c_contiguous
        )
        form, step = self._step_cache.quick if small else (None, None)  # read once: other threads predict, too
        if form is not None and form == self._form_of(x):
            self._set(stop_predicting=False)
            return step.unflatten([np.asarray(o) for o in step.program(x)])

        adapter = get_data_adapter(x, None, None, batch_size, steps, input_dtypes=self._input_dtypes)
        data = EpochIterator(adapter, steps)
        if not isinstance(callbacks, CallbackList):
            callbacks = CallbackList(
                callbacks,
                add_progbar=verbose != 0,
                model=self,
                verbose=verbose,
                epochs=1,
                steps=data.num_batches,
            )
        self._set(stop_predicting=False)
        callbacks.on_predict_begin()
        results, step, step_key = [], None, None
        for number, (layout, key, arrays) in data.epoch():
            callbacks.on_predict_batch_begin(number)
            if key is not step_key and key != step_key:
                step, step_key = self._step("predict", layout, key), key
            outputs = [np.asarray(o) for o in step.program(*arrays)]
            results.append(outputs)
            if callbacks._predict_batch_end:
                callbacks.on_predict_batch_end(number, {"outputs": step.unflatten(outputs)})
            if self.stop_predicting:
                break
        callbacks.on_predict_end()
        if not results:
            raise ValueError(f"{self.name}: the data must yield at least one batch, received none")
        if len(results) == 1:
            if small and not self.run_eagerly and len(arrays) == 1 and arrays[0].dtype == x.dtype:
                self._step_cache.quick = self._form_of(x), step
            return step.unflatten(results[0])
        return step.unflatten([np.concatenate(parts) for parts in zip(*results)])

    def _form_of(self, x):
        """What decides how an array is predicted, beside its number of rows."""
        return x.shape[1:], x.dtype, self.run_eagerly, self._version_key()

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """One training step; returns the loss and metrics of this batch as `evaluate` does."""
        self._assert_compiled("train_on_batch")
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError("give class_weight or sample_weight, received both")
            sample_weight = class_weight_to_sample_weights(y, class_weight)
        return self._on_batch("train", x, y, sample_weight, return_dict)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """Loss and metrics of one batch, in test mode."""
        self._assert_compiled("test_on_batch")
        return self._on_batch("test", x, y, sample_weight, return_dict)

    def _on_batch(self, kind, x, y, sample_weight, return_dict):
        layout, arrays = prepare_batch(x, y, sample_weight, self._input_dtypes)
        step = self._step(kind, layout, key_of(layout, arrays))
        self.reset_metrics()
        logs = pythonify_logs(step.unflatten(step.program(*arrays)))
        return logs if return_dict else self._flatten_metrics_in_order(logs)

    def predict_on_batch(self, x):
        """Outputs of one batch as NumPy arrays."""
        layout, arrays = prepare_batch(x, None, None, self._input_dtypes)
        step = self._step("predict", layout, key_of(layout, arrays))
        return step.unflatten([np.asarray(o) for o in step.program(*arrays)])
