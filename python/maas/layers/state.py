"""The state of a layer: its variables, weights, losses, and how they are saved."""

import math

import numpy as np

from maas import tree
from maas.backend import call_context
from maas.backend.scopes import get_stateless_scope


class LayerState:
    """Mixin of `Layer` with everything that reads or writes variables."""

    @property
    def _trainable_variables(self):
        return self._tracker.trainable_variables

    @property
    def _non_trainable_variables(self):
        return self._tracker.non_trainable_variables

    @property
    def _layers(self):
        return self._tracker.layers

    @property
    def _metrics(self):
        return self._tracker.metrics

    @property
    def _seed_generators(self):
        return self._tracker.seed_generators

    def _flatten_layers(self, include_self=True, recursive=True):
        """This layer and all layers in it, each once."""
        found, seen = ([self] if include_self else []), set()
        queue = list(self._layers)
        while queue:
            layer = queue.pop(0)
            if id(layer) not in seen:
                seen.add(id(layer))
                found.append(layer)
                if recursive:
                    queue[:0] = layer._layers
        return found

    def _collect(self, seeds):
        found, seen = [], set()

        def take(variables):
            for v in variables:
                if id(v) not in seen:
                    seen.add(id(v))
                    found.append(v)

        take(self._trainable_variables)
        take(self._non_trainable_variables)
        if seeds:
            take([g.state for g in self._seed_generators])
        for layer in self._layers:
            take(layer.variables if seeds else layer.weights)
        return found

    @property
    def variables(self):
        """All variables, those of random seeds included; metrics are not."""
        return self._collect(seeds=True)

    @property
    def weights(self):
        """All weights of the layer and its sub-layers: own trainable ones, own others, then the sub-layers'."""
        return self._collect(seeds=False)

    @property
    def trainable_variables(self):
        return [v for v in self.variables if v.trainable] if self.trainable else []

    @property
    def non_trainable_variables(self):
        return [v for v in self.variables if not v.trainable] if self.trainable else self.variables

    @property
    def trainable_weights(self):
        """The weights that training changes; none if `trainable` is False."""
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self):
        return [v for v in self.weights if not v.trainable] if self.trainable else self.weights

    @property
    def metrics(self):
        """All metric objects of the layer and its sub-layers."""
        found = list(self._metrics)
        for layer in self._layers:
            found.extend(layer.metrics)
        return found

    @property
    def metrics_variables(self):
        return [v for m in self.metrics for v in m.variables]

    def to(self, device):
        """Move all state to a device; what runs on it moves along.

        Args:
            device: str, "cpu", "gpu" or "gpu:<number>".

        Returns:
            The layer itself.

        Raises:
            ValueError, RuntimeError: as `maas.device`; nothing is moved then.
        """
        from maas.backend.devices import device as scope

        with scope(device):  # errors come before anything moves
            pass
        for variable in self._all_state():
            variable.move_to(device)
        return self

    def _all_state(self):
        return [*self.variables, *self.metrics_variables]

    def get_weights(self):
        """Copies of the values of `weights`, as a list of NumPy arrays."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights):
        """Write values into `weights`.

        Args:
            weights: list of arrays with the shapes and in the order of `get_weights()`.

        Raises:
            ValueError: if the number of arrays or a shape does not fit; nothing is written then.
        """
        own = self.weights
        if len(own) != len(weights):
            raise ValueError(
                f"{self._label()}: set_weights() takes {len(own)} arrays {[w.path for w in own]}, received "
                f"{len(weights)}"
            )
        values = [np.asarray(v) for v in weights]
        for variable, value in zip(own, values):
            if tuple(variable.shape) != value.shape:
                raise ValueError(
                    f"{self._label()}: set_weights() needs shape {tuple(variable.shape)} for '{variable.path}', "
                    f"received {value.shape}"
                )
        for variable, value in zip(own, values):
            variable.assign(value)

    def count_params(self):
        """Number of scalars in the weights.

        Raises:
            ValueError: if the layer is not built.
        """
        if not self.built:
            raise ValueError(
                f"{self._label()}: count_params() needs a built layer; call it on data or call build(input_shape) first"
            )
        return sum(math.prod(w.shape) for w in self.weights)

    # ---- losses

    def add_loss(self, loss):
        """Add scalar loss tensors; to be called inside `call()`.

        Raises:
            ValueError: if `loss` is not a tensor.
        """
        losses = tree.flatten(loss)
        for x in losses:
            if not hasattr(x, "shape") or not hasattr(x, "dtype"):
                raise ValueError(f"{self._label()}: add_loss() takes tensors computed in `call()`, received {x!r}")
        if call_context.collects_losses():
            self._losses.extend(losses)
            scope = get_stateless_scope()
            if scope is not None and scope.collect_losses:
                for x in losses:
                    scope.add_loss(x)

    def _regularization_losses(self):
        found = []
        for v in self.trainable_weights:
            regularizer = getattr(v, "regularizer", None)
            if regularizer is not None:
                found.append(regularizer(v))
        return found

    @property
    def losses(self):
        """Losses added by the last call, then weight penalties of all trainable weights."""
        found = list(self._losses)
        for layer in self._flatten_layers(include_self=False):
            found.extend(layer._losses)
        return found + self._regularization_losses()

    def _clear_losses(self):
        for layer in self._flatten_layers():
            layer._losses.clear()

    # ---- files

    def save_own_variables(self, store):
        """Put the layer's own variables (not those of sub-layers) into a dict-like store under "0", "1", ..."""
        for i, v in enumerate(self._trainable_variables + self._non_trainable_variables):
            store[f"{i}"] = v.numpy()

    def load_own_variables(self, store):
        """Read what `save_own_variables` wrote.

        Raises:
            ValueError: if the number of variables or a shape differs; nothing is written then.
        """
        own = self._trainable_variables + self._non_trainable_variables
        keys = list(store.keys())
        if len(keys) != len(own):
            hint = "; the layer is not built, its build() must make all its state" if not own and not self.built else ""
            raise ValueError(
                f"{self._label()}: expected {len(own)} variables {[v.name for v in own]}{hint}, received "
                f"{len(keys)} from the file"
            )
        values = [store[f"{i}"] for i in range(len(own))]
        for v, value in zip(own, values):
            if tuple(value.shape) != tuple(v.shape):
                raise ValueError(
                    f"{self._label()}: '{v.path}' has shape {tuple(v.shape)}, received {tuple(value.shape)} from "
                    f"the file"
                )
        for v, value in zip(own, values):
            v.assign(value)
