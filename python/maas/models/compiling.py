"""`compile` and the metrics it makes: the part of `Trainer` that holds settings."""

import warnings

from maas import losses, optimizers
from maas import metrics as metrics_module
from maas.models.compile_loss import CompileLoss
from maas.models.compile_metrics import CompileMetrics


class Compiling:
    """Mixin of `Trainer`: `compile`, its config, and the metrics of the model."""

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
            auto_scale_loss: bool; under the policy "mixed_float16" the optimizer becomes a `LossScaleOptimizer`.
            steps_per_execution, jit_compile: accepted; other steps are always compiled.

        Raises:
            ValueError: for unknown names and settings of the wrong form.
        """
        if isinstance(optimizer, str) and optimizer in losses.ALL_OBJECTS_DICT:
            raise ValueError(
                f"compile: the optimizer comes first, then the loss; {optimizer!r} is a loss, received "
                f"optimizer={optimizer!r}, loss={loss!r}"
            )
        optimizer = optimizers.get(optimizer)
        mixed = optimizer is not None and self.dtype_policy.name == "mixed_float16"
        if auto_scale_loss and mixed and not isinstance(optimizer, optimizers.LossScaleOptimizer):
            optimizer = optimizers.LossScaleOptimizer(optimizer, name="loss_scale_optimizer")
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
            _loss_tracker=metrics_module.Mean(name="loss"),
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
        if type(self).compile is not Compiling.compile:
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
            if not isinstance(layer, Compiling):
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

    def _all_state(self):
        optimizer = getattr(self, "optimizer", None)
        return [*super()._all_state(), *(optimizer.variables if optimizer is not None else ())]

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
