"""What one step does, and the compiled steps: one program per kind of step and per layout of a batch."""

import warnings

import numpy as np

from maas import backend, ops, tree
from maas.backend import call_context
from maas.backend.known_sizes import NeedsKnownSizes
from maas.data.packing import unpack_x_y_sample_weight
from maas.layers.tracking import global_epoch
from maas.losses.reduction import row_count
from maas.models.open_sizes import close_sizes, open_key
from maas.models.steps import EagerStep, StepCache


class Stepping:
    """Mixin of `Trainer`: the functions of a step, which a subclass may change, and their compilation."""

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

    @property
    def _step_cache(self):
        cache = self.__dict__.get("_steps")
        if cache is None:
            cache = StepCache()
            self._set(_steps=cache)
        return cache

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
        inner = getattr(optimizer, "inner_optimizer", None)
        versions = getattr(optimizer, "_version", 0), getattr(inner, "_version", 0)
        trainable = call_context.trainable_version()
        return self._compile_version, id(optimizer), versions, self._layers_version(), trainable

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
        layers = self._flatten_layers()
        if not has_call(self):
            # A class that only trains, such as a GAN of two models: its step says how they are called.
            waiting = [layer.name for layer in layers if not layer.built and layer is not self]
            if waiting:
                raise ValueError(
                    f"{self._label()}: a model without `call()` needs layers that are built; give them an Input or "
                    f"call build(), received {waiting} not built"
                )
            if not self.built:
                self.built = True
        elif not all(layer.built for layer in layers):
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
            opened = open_key(self, layout, key)
            return self._step_cache.get(kind, self._version_key, layout, opened, function, self._accuracy)
        except BaseException as e:
            # A batch of the wrong form must not decide which loss and metrics later batches get.
            for part in fresh:
                part.reset()
            if isinstance(e, NeedsKnownSizes) and close_sizes(self, e):
                return self._step(kind, layout, key)
            raise

    def make_train_function(self, force=False):
        """Forgets the compiled steps if `force`; they are made when the first batch comes."""
        if force:
            self._step_cache.clear()

    make_test_function = make_train_function
    make_predict_function = make_train_function


def has_call(model):
    from maas.models.model import Model

    return type(model).call is not Model.call


def _first(x):
    return next(leaf for leaf in tree.flatten(x) if leaf is not None)


def _build_model(model, x):
    """Makes the weights of a model that was not given its input shapes, by a call on placeholders."""
    from maas.backend.shape_inference import compute_output_spec

    compute_output_spec(model, (x,), {})
