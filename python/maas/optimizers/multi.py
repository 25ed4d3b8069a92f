"""Different optimizers for different variables."""

import re
from collections.abc import MutableMapping

from maas.optimizers.loss_scale import LossScaleOptimizer
from maas.optimizers.optimizer import Optimizer


def _check(optimizer, owner):
    if not isinstance(optimizer, Optimizer) or isinstance(optimizer, (LossScaleOptimizer, MultiOptimizer)):
        raise ValueError(
            f"{owner}: an optimizer that is neither LossScaleOptimizer nor MultiOptimizer is needed, "
            f"received {optimizer!r}"
        )
    return optimizer


class OptimizerMap(MutableMapping):
    """Optimizers by variable path: the exact path, else the one pattern that matches it whole, else the default.

    Args:
        default_optimizer: Optimizer.
        optimizer_map: dict from path or regular expression to Optimizer, or None.

    Raises:
        TypeError: if the default is not an Optimizer or the map is not a dict.
        ValueError: for wrong entries, or if several patterns match a path.
    """

    def __init__(self, default_optimizer, optimizer_map=None):
        if not isinstance(default_optimizer, Optimizer):
            raise TypeError(f"OptimizerMap: default_optimizer must be an Optimizer, received {default_optimizer!r}")
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise TypeError(f"OptimizerMap: optimizer_map must be a dict, received {optimizer_map!r}")
        self.default_optimizer, self._optimizers = default_optimizer, {}
        for key, value in (optimizer_map or {}).items():
            self[key] = value

    def __getitem__(self, key):
        if key in self._optimizers:
            return self._optimizers[key]
        found = [pattern for pattern in self._optimizers if re.fullmatch(pattern, key)]
        if len(found) > 1:
            raise ValueError(f"OptimizerMap: one optimizer per variable is needed, received {found} for '{key}'")
        return self._optimizers[found[0]] if found else self.default_optimizer

    def __setitem__(self, key, optimizer):
        if not isinstance(key, str):
            raise ValueError(f"OptimizerMap: keys must be str, received {key!r}")
        if key in self._optimizers:
            raise ValueError(f"OptimizerMap: '{key}' has an optimizer already, received {optimizer!r}")
        self._optimizers[key] = _check(optimizer, "OptimizerMap")

    def __delitem__(self, key):
        del self._optimizers[key]

    def __len__(self):
        return len(self._optimizers)

    def __iter__(self):
        return iter(self._optimizers)

    def __call__(self, variable):
        return self[variable.path]

    def get_config(self):
        from maas.saving.serialization import serialize_keras_object

        inner = {k: serialize_keras_object(v) for k, v in self._optimizers.items()}
        return {"default_optimizer": serialize_keras_object(self.default_optimizer), "optimizer_map": inner}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        from maas.saving.serialization import deserialize_keras_object

        def made(value):
            return deserialize_keras_object(value, custom_objects=custom_objects) if isinstance(value, dict) else value

        return cls(made(config["default_optimizer"]), {k: made(v) for k, v in config["optimizer_map"].items()})


class MultiOptimizer(Optimizer):
    """Hands every variable to an optimizer of its own.

    Args:
        optimizer_map: `OptimizerMap`, or a function from a Variable to an Optimizer.
        loss_scale_factor: float or None, for all of them.
        name: str.

    Raises:
        ValueError: if a variable's optimizer cannot be used here.
    """

    def __init__(self, optimizer_map, loss_scale_factor=None, name=None):
        super().__init__(0.0, name=name)
        self._optimizer_map, self._inner, self._owner = optimizer_map, [], {}
        self.loss_scale_factor = loss_scale_factor
        for optimizer in [*getattr(optimizer_map, "values", list)(), getattr(optimizer_map, "default_optimizer", None)]:
            if optimizer is not None:
                self._join(optimizer)

    def _join(self, optimizer):
        for i, known in enumerate(self._inner):
            if known is optimizer:
                return i
        _check(optimizer, self.name).loss_scale_factor = self.loss_scale_factor
        self._inner.append(optimizer)
        return len(self._inner) - 1

    @property
    def loss_scale_factor(self):
        """The factor of all of them, float or None."""
        return self._loss_scale_factor

    @loss_scale_factor.setter
    def loss_scale_factor(self, value):
        self._loss_scale_factor = value
        for optimizer in getattr(self, "_inner", ()):
            optimizer.loss_scale_factor = value

    @property
    def optimizers(self):
        """The optimizers, each once."""
        return list(self._inner)

    def build(self, variables):
        if self.built:
            return
        self._owner = {id(v): self._join(self._optimizer_map(v)) for v in variables}
        for i, optimizer in enumerate(self._inner):
            own = [v for v in variables if self._owner[id(v)] == i]
            if own:
                optimizer.build(own)
        super().build(variables)

    @property
    def variables(self):
        """Its own state, then that of the optimizers in their order."""
        return [*self._variables, *(v for optimizer in self._inner for v in optimizer.variables)]

    @property
    def learning_rate(self):
        raise AttributeError(f"{self.name} has no learning rate of its own; see its `optimizers`")

    @learning_rate.setter
    def learning_rate(self, value):
        raise AttributeError(f"{self.name}: set the learning rate of one of its `optimizers`, received {value!r}")

    @property
    def iterations(self):
        return self._iterations

    def _split(self, variables, *others):
        """For every optimizer that has some: itself, its variables, and what belongs to them."""
        self._check_known(variables)
        for i, optimizer in enumerate(self._inner):
            rows = [row for row in zip(variables, *others) if self._owner[id(row[0])] == i]
            if rows:
                yield (optimizer, *map(list, zip(*rows)))

    def apply(self, grads, trainable_variables=None):
        grads = list(grads)
        if not grads:
            return
        variables = self._variables_of(grads, trainable_variables)
        for optimizer, own, gradients in self._split(variables, grads):
            optimizer.apply(gradients, own)
        self._iterations.assign(self._iterations + 1)

    def finalize_variable_values(self, var_list):
        for optimizer, own in self._split(list(var_list)):
            optimizer.finalize_variable_values(own)

    def _saved_variables(self):
        return self.variables

    def get_config(self):
        from maas.saving.serialization import serialize_keras_object

        given = self._optimizer_map
        if type(given) is OptimizerMap:
            name = {"module": "keras.optimizers", "class_name": "OptimizerMap", "registered_name": None}
            given = {**name, "config": given.get_config()}
        else:
            given = serialize_keras_object(given)
        return {"optimizer_map": given, "loss_scale_factor": self.loss_scale_factor, "name": self.name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        from maas.saving.serialization import deserialize_keras_object

        config, given = dict(config), config.get("optimizer_map")
        if isinstance(given, dict) and given.get("class_name") == "OptimizerMap":
            config["optimizer_map"] = OptimizerMap.from_config(given["config"], custom_objects)
        elif isinstance(given, dict):
            config["optimizer_map"] = deserialize_keras_object(given, custom_objects=custom_objects)
        return cls(**config)
