"""`compile`, `fit`, `evaluate`, `predict` and the functions on single batches."""

import warnings

import numpy as np

from maas import backend, metrics, ops, optimizers, tree
from maas.callbacks import CallbackList
from maas.callbacks.callback import pythonify_logs
from maas.data import EpochIterator, get_data_adapter
from maas.data.arrays import class_weight_to_sample_weights, split_for_validation
from maas.data.batch import key_of, prepare_batch
from maas.data.packing import unpack_x_y_sample_weight
from maas.layers.tracking import global_epoch
from maas.losses.reduction import row_count
from maas.models.compile_loss import CompileLoss
from maas.models.compile_metrics import CompileMetrics
from maas.models.open_sizes import open_key
from maas.models.steps import EagerStep, StepCache

_OWN = frozenset("optimizer loss history stop_training stop_evaluating stop_predicting run_eagerly jit_compile".split())


class Trainer:
    """Mixin of `Model`: training, evaluation, prediction.

    One call of a compiled program does a whole step: forward, loss with regularisation, gradients, optimizer update
    and metric update. A step that fails or is interrupted leaves all variables as they were.
    """

    # State is kept past the model's attribute tracking: optimizers and metrics are not layers of the model.
    compiled = False
    optimizer = None
    loss = None
    history = None
    stop_training = False
    stop_evaluating = False
    stop_predicting = False
    run_eagerly = False
    jit_compile = True
    steps_per_execution = 1
    _compile_loss = None
    _compile_metrics = None
    _loss_tracker = None
    _compile_config = None
    _compile_version = 0

    def __setattr__(self, name, value):
        # Not a part of the model: writing these is no reason to trace again.
        if name in _OWN:
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def _set(self, **attributes):
        for name, value in attributes.items():
            object.__setattr__(self, name, value)

    @property
    def _step_cache(self):
        cache = self.__dict__.get("_steps")
        if cache is None:
            cache = StepCache()
            self._set(_steps=cache)
        return cache

    # ---- compile

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile="auto",
        auto_scale_loss=True,
    ):
        """Sets what `fit` and `evaluate` use.

        Args:
            optimizer: name, `Optimizer`, config dict or None.
            loss: name, `Loss`, function, or such nested like the outputs or in a dict by output name.
            loss_weights: numbers in the form of `loss`.
            metrics: list of names, `Metric`s or functions; list of lists or dict by name for several outputs.
            weighted_metrics: the same, updated with sample weights.
            run_eagerly: bool; steps run operation by operation, so that Python code in them sees values (slow).
            steps_per_execution, jit_compile, auto_scale_loss: accepted; other steps are always compiled.

        Raises:
            ValueError: for unknown names and settings of the wrong form.
        """
        optimizer = optimizers.get(optimizer)
        output_names = getattr(self, "output_names", None)
        compile_loss = None if loss is None else CompileLoss(loss, loss_weights, output_names)
        compile_metrics = None
        if metrics is not None or weighted_metrics is not None:
            compile_metrics = CompileMetrics(metrics, weighted_metrics, output_names)
        self._set(
            optimizer=optimizer,
            loss=loss,
            _compile_loss=compile_loss,
            _compile_metrics=compile_metrics,
            _loss_tracker=_metric("loss"),
            run_eagerly=run_eagerly,
            jit_compile=jit_compile,
            steps_per_execution=steps_per_execution,
            stop_training=False,
            compiled=True,
            _compile_version=self._compile_version + 1,
            _compile_config={
                "optimizer": optimizer,
                "loss": loss,
                "loss_weights": loss_weights,
                "metrics": metrics,
                "weighted_metrics": weighted_metrics,
                "run_eagerly": run_eagerly,
                "steps_per_execution": steps_per_execution,
                "jit_compile": bool(jit_compile),
            },
        )
        self._step_cache.clear()

    def get_compile_config(self):
        """The arguments of `compile` as plain values, {} if it was not called."""
        if not self.compiled:
            return {}
        from maas.saving import serialization

        return serialization.serialize_keras_object(self._compile_config)

    def compile_from_config(self, config):
        """Calls `compile` with what `get_compile_config` returned."""
        if type(self).compile is not Trainer.compile:
            warnings.warn(
                f"{type(self).__name__} has its own compile(), so the model is not compiled on loading; "
                "call compile(), or define get_compile_config() and compile_from_config() too",
                stacklevel=2,
            )
            return
        from maas.saving import serialization

        self.compile(**serialization.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def _assert_compiled(self, method):
        if not self.compiled:
            raise ValueError(f"{type(self).__name__} {self.name!r}: call compile() before {method}()")

    # ---- metrics

    @property
    def metrics(self):
        """The loss tracker, the metrics of `compile`, per-output losses, own metrics and those of layers."""
        out = []
        if self.compiled:
            out.append(self._loss_tracker)
            if self._compile_metrics is not None:
                out.append(self._compile_metrics)
            if self._compile_loss is not None:
                out.extend(self._compile_loss.metrics)
        out.extend(self._metrics)
        for layer in self._flatten_layers(include_self=False):
            # The metrics of a model inside this one belong to its own training.
            if not isinstance(layer, Trainer):
                out.extend(layer._metrics)
        return out

    @property
    def metrics_names(self):
        """Names of `metrics`."""
        return [m.name for m in self.metrics]

    @property
    def metrics_variables(self):
        """State of all metrics."""
        return [v for m in self.metrics for v in m.variables]

    def reset_metrics(self):
        """Sets all metrics to zero; `fit` does it at the start of every epoch."""
        for m in self.metrics:
            m.reset_state()

    def get_metrics_result(self):
        """dict from metric name to current value."""
        results = {}
        for m in self.metrics:
            value = m.result()
            results.update(value) if isinstance(value, dict) else results.__setitem__(m.name, value)
        return results

    # ---- what a step does; a subclass may change any of these

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss of `compile` plus all that layers added: regularisation and `add_loss`."""
        terms = []
        if self._compile_loss is not None:
            value = self._compile_loss(y, y_pred, sample_weight)
            if value is not None:
                terms.append(value)
        for extra in self.losses:
            terms.append(ops.sum(ops.cast(extra, backend.floatx())))
        if not terms:
            return ops.zeros((), dtype=backend.floatx())
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Updates the metrics of `compile` and returns the results of all metrics."""
        if self._compile_metrics is not None:
            self._compile_metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def train_step(self, data):
        """Forward, loss, gradients, update; returns the logs as tensors. Traced once per layout of a batch.

        Args:
            data: (x, y, sample_weight) of symbolic tensors.
        """
        from maas import _core

        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self._forward(x, training=True)
        loss = self._loss_of(x, y, y_pred, sample_weight, training=True)
        self._loss_tracker.update_state(loss, sample_weight=row_count(_first(x)))
        if self.optimizer is None:
            raise ValueError(f"{self.name}: compile(optimizer=...) is needed to train, received optimizer=None")
        variables = self.trainable_variables
        if variables:
            self.optimizer.apply(_core.gradients(self.optimizer.scale_loss(loss), variables), variables)
        else:
            warnings.warn(f"{self.name} has no trainable weights", stacklevel=2)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def test_step(self, data):
        """Forward and loss; returns the logs as tensors."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self._forward(x, training=False)
        loss = self._loss_of(x, y, y_pred, sample_weight, training=False)
        self._loss_tracker.update_state(loss, sample_weight=row_count(_first(x)))
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def predict_step(self, data):
        """Forward; returns the outputs."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self._forward(x, training=False)

    def _forward(self, x, training):
        if getattr(self, "_call_has_training_arg", True):
            return self(x, training=training)
        return self(x)

    def _loss_of(self, x, y, y_pred, sample_weight, training):
        try:
            return self.compute_loss(x, y, y_pred, sample_weight, training=training)
        except TypeError as e:
            if "training" not in str(e):
                raise
            return self.compute_loss(x, y, y_pred, sample_weight)  # an override from before `training` was passed

    # ---- compiled steps

    def _input_dtypes(self, x):
        """The dtypes that the model's inputs want, in the flat order of `x`, or None if it does not say."""
        inputs = getattr(self, "inputs", None)
        if not inputs:
            return None
        inputs = tree.flatten(inputs)
        if isinstance(x, dict):
            by_name = {t.name: t.dtype for t in inputs}
            names = [path[-1] for path, _ in tree.flatten_with_path(x)]
            if all(n in by_name for n in names):
                return [by_name[n] for n in names]
        if len(tree.flatten(x)) == len(inputs):
            return [t.dtype for t in inputs]
        return None

    def _version_key(self):
        """What a compiled step depends on besides the batch."""
        optimizer = self.optimizer
        return self._compile_version, id(optimizer), getattr(optimizer, "_version", 0), self._layers_version()

    def _layers_version(self):
        """Raised by attribute writes on any layer of the model, such as `layer.trainable = False`."""
        epoch = global_epoch()
        if self.__dict__.get("_seen_epoch") != epoch:
            layers = self._flatten_layers()
            version = (len(layers), sum(layer._version for layer in layers))
            self._set(_seen_epoch=epoch, _seen_version=version)
        return self._seen_version

    def _build_for(self, layout, key):
        """Makes weights and optimizer slots before anything is traced for good."""
        if not all(layer.built for layer in self._flatten_layers()):
            x = layout.pack([backend.KerasTensor((None, *shape), dtype=np.dtype(char).name) for shape, char in key[1]])[
                0
            ]
            _build_model(self, x)
        if self.compiled and self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)

    def _step(self, kind, layout, key):
        """The compiled step for a batch of this layout."""
        self._build_for(layout, key)
        function = {"train": self.train_step, "test": self.test_step, "predict": self.predict_step}[kind]
        loss, compiled_metrics = self._compile_loss, self._compile_metrics
        fresh = [part for part in (loss, compiled_metrics) if part is not None and not part.built]
        try:
            if self.run_eagerly:
                return EagerStep(function, layout, key)
            return self._step_cache.get(kind, self._version_key, layout, open_key(self, layout, key), function)
        except BaseException:
            # A batch of the wrong form must not decide which loss and metrics later batches get.
            for part in fresh:
                part.reset()
            raise

    def make_train_function(self, force=False):
        """Forgets the compiled steps if `force`; they are made when the first batch comes."""
        if force:
            self._step_cache.clear()

    make_test_function = make_train_function
    make_predict_function = make_train_function

    # ---- fit

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
        layout, key, _ = data.peek()
        self._step("train", layout, key)
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
        self._set(stop_training=False)
        logs = {}
        finished = False
        callbacks.on_train_begin()
        try:
            for epoch in range(initial_epoch, epochs):
                self.reset_metrics()
                callbacks.on_epoch_begin(epoch)
                logs = self._run_epoch("train", data, callbacks)
                if validation is not None and _is_validation_epoch(epoch + 1, validation_freq):
                    found = self._evaluate(validation, callbacks)
                    logs.update({f"val_{name}": value for name, value in found.items()})
                callbacks.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
            finished = True
        finally:
            if self.optimizer is not None and self.optimizer.built and epochs > 0:
                self.optimizer.finalize_variable_values(self.trainable_variables)
            if finished:
                callbacks.on_train_end(logs)
        return self.history

    def _run_epoch(self, kind, data, callbacks):
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
            if self.stop_training if train else self.stop_evaluating:
                break
        if outputs is None:
            raise ValueError(f"{self.name}: the data must yield at least one batch, received none")
        return logs()

    # ---- evaluate

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

    # ---- predict

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
            return step.unflatten(results[0])
        return step.unflatten([np.concatenate(parts) for parts in zip(*results)])

    # ---- single batches

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


def _metric(name):
    return metrics.Mean(name=name)


def _first(x):
    return next(leaf for leaf in tree.flatten(x) if leaf is not None)


def _build_model(model, x):
    """Makes the weights of a model that was not given its input shapes, by a call on placeholders."""
    from maas.backend.shape_inference import compute_output_spec

    compute_output_spec(model, (x,), {})


def _check_validation_freq(freq):
    if not isinstance(freq, (int, list, tuple, set)):
        raise ValueError(
            f"validation_freq must be an int or a list of epochs, received validation_freq={freq!r} "
            f"of type {type(freq).__name__}"
        )


def _is_validation_epoch(epoch, freq):
    return epoch % freq == 0 if isinstance(freq, int) else epoch in freq
