"""The base class of optimizers."""

import re
import warnings

import numpy as np

from maas import backend, missing_names, ops
from maas.backend import call_context
from maas.backend.naming import auto_name
from maas.optimizers import clipping
from maas.optimizers.schedules import LearningRateSchedule


class Optimizer:
    """Base class of optimizers.

    One call of `apply` does: divide by `loss_scale_factor`, accumulate, clip, decay weights, `update_step` for every
    variable, moving averages, constraints, `iterations + 1`. All of it is written with `maas.ops` and
    `Variable.assign`, so inside a trace it becomes a part of the compiled training step.

    Args:
        learning_rate: float, `LearningRateSchedule`, or callable without arguments.
        weight_decay: float or None; every step takes `weight_decay * learning_rate * w` off each weight.
        clipnorm: float or None, limit of the norm of each gradient.
        clipvalue: float or None, limit of each entry.
        global_clipnorm: float or None, limit of the norm of all gradients together.
        use_ema: bool; keeps moving averages of the weights.
        ema_momentum: float in [0, 1].
        ema_overwrite_frequency: int >= 1 or None; how often the weights are set to their averages (None: after `fit`).
        loss_scale_factor: float or None; the loss is multiplied and the gradients are divided by it.
        gradient_accumulation_steps: int >= 2 or None; weights change every so many steps, by the mean gradient.
        name: str.

    Raises:
        ValueError: for values outside the ranges above or unknown arguments.
    """

    def __init__(
        self,
        learning_rate,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
        **kwargs,
    ):
        object.__setattr__(self, "_version", 0)
        if kwargs.pop("decay", None) is not None:
            warnings.warn("optimizers ignore the argument `decay`; pass a learning rate schedule instead", stacklevel=3)
        if kwargs:
            hint = (
                " (lr is called learning_rate)" if "lr" in kwargs else missing_names.near_argument(type(self), kwargs)
            )
            raise ValueError(f"{type(self).__name__}: unknown arguments{hint}, received {sorted(kwargs)}")
        self.name = name or auto_name(type(self).__name__)
        self._check_options(
            clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            gradient_accumulation_steps,
        )  # fmt: skip
        self.weight_decay = weight_decay
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.use_ema, self.ema_momentum, self.ema_overwrite_frequency = use_ema, ema_momentum, ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = False
        self._variables, self._trainable_variables, self._index = [], [], {}
        self._no_decay_ids, self._no_decay_pattern = set(), None
        # While set, a bool tensor: assignments keep the old value where it is False (gradient accumulation).
        object.__setattr__(self, "_gate", None)
        self._iterations = self.add_variable((), dtype="int32", name="iteration")
        self._learning_rate = self._as_learning_rate(learning_rate)

    def _check_options(self, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_every, accumulate):
        name = type(self).__name__
        if accumulate and not accumulate >= 2:
            raise ValueError(f"{name}: gradient_accumulation_steps must be an int >= 2, received {accumulate}")
        if use_ema and not 0 <= ema_momentum <= 1:
            raise ValueError(f"{name}: ema_momentum must be in [0, 1], received ema_momentum={ema_momentum}")
        if use_ema and ema_every and (not isinstance(ema_every, int) or ema_every < 1):
            raise ValueError(f"{name}: ema_overwrite_frequency must be an int >= 1 or None, received {ema_every}")
        if sum(a is not None for a in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ValueError(
                f"{name}: only one of clipnorm, clipvalue and global_clipnorm can be set, received "
                f"clipnorm={clipnorm}, clipvalue={clipvalue}, global_clipnorm={global_clipnorm}"
            )

    # A compiled step holds options as constants; the version tells it to trace again when one is set.
    def __setattr__(self, name, value):
        if "_version" not in self.__dict__:
            raise RuntimeError(f"{type(self).__name__}.__init__ must call super().__init__() first")
        if isinstance(value, backend.Variable) and all(v is not value for v in self.__dict__.get("_variables", ())):
            self._variables.append(value)
        object.__setattr__(self, name, value)
        object.__setattr__(self, "_version", self._version + 1)

    # ---- learning rate

    def _as_learning_rate(self, learning_rate):
        if isinstance(learning_rate, (LearningRateSchedule, backend.Variable)) or callable(learning_rate):
            return learning_rate
        if not isinstance(learning_rate, float):
            raise ValueError(
                f"{type(self).__name__}: learning_rate must be a float, a LearningRateSchedule or a callable without "
                f"arguments, received learning_rate={learning_rate!r}"
            )
        return self.add_variable((), initializer=learning_rate, name="learning_rate")

    @property
    def learning_rate(self):
        """The current learning rate: a Variable, or what the schedule or callable gives."""
        rate = self._learning_rate
        if isinstance(rate, backend.Variable):
            return rate
        if isinstance(rate, LearningRateSchedule):
            return rate(self._iterations)
        return rate() if callable(rate) else rate

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        current = self._learning_rate
        if isinstance(learning_rate, LearningRateSchedule) or callable(learning_rate):
            if isinstance(current, backend.Variable):
                self._variables = [v for v in self._variables if v is not current]
            self._learning_rate = learning_rate
        elif isinstance(current, backend.Variable):
            current.assign(np.asarray(learning_rate, backend.numpy_dtype(current.dtype)))
        else:
            raise TypeError(
                f"{self.name}: the learning rate comes from {type(current).__name__} and cannot be set to a number; "
                f"construct the optimizer with a float to set it later, received {learning_rate!r}"
            )

    @property
    def iterations(self):
        """Number of updates done: steps, or steps // gradient_accumulation_steps."""
        if self.gradient_accumulation_steps:
            return ops.floor_divide(self._iterations, self.gradient_accumulation_steps)
        return self._iterations

    # ---- variables

    @property
    def variables(self):
        """All state: iterations, learning rate, then the slots in the order they were made."""
        return list(self._variables)

    def add_variable(self, shape, initializer="zeros", dtype=None, aggregation="none", layout=None, name=None):
        """A new state variable, filled by a number, a NumPy array or the name of an initializer."""
        del aggregation, layout
        dtype = dtype or backend.floatx()
        if isinstance(initializer, str) and initializer == "zeros":
            value = np.zeros(tuple(shape), backend.numpy_dtype(dtype))
        elif isinstance(initializer, (int, float, np.ndarray)):
            value = np.full(tuple(shape), initializer, backend.numpy_dtype(dtype))
        else:
            from maas import initializers

            value = np.asarray(initializers.get(initializer)(tuple(shape), dtype=dtype))
        with backend.name_scope(self.name, caller=self):
            variable = backend.Variable(value, dtype=dtype, trainable=False, name=name)
        self._variables.append(variable)
        return variable

    def add_variable_from_reference(self, reference_variable, name=None, initializer="zeros"):
        """A slot with the shape and dtype of `reference_variable`; its name says whose it is."""
        path = getattr(reference_variable, "path", None) or reference_variable.name
        return self.add_variable(
            reference_variable.shape,
            initializer=initializer,
            dtype=reference_variable.dtype,
            name=f"{str(path).replace('/', '_').replace(':', '_')}_{name or 'var'}",
        )

    def add_optimizer_variables(self, trainable_variables, name, initializer="zeros"):
        """One list of slots for each name (or a single list for a single name)."""
        names = [name] if isinstance(name, str) else list(name)
        fills = list(initializer) if isinstance(initializer, (list, tuple)) else [initializer] * len(names)
        if len(names) != len(fills):
            raise ValueError(f"{self.name}: one initializer per name, received names={names}, initializers={fills}")
        slots = tuple([] for _ in names)
        for variable in trainable_variables:
            for slot, slot_name, fill in zip(slots, names, fills):
                slot.append(self.add_variable_from_reference(variable, name=slot_name, initializer=fill))
        return slots[0] if isinstance(name, str) else slots

    def build(self, variables):
        """Makes the slots for `variables`. Subclasses add their own after calling this."""
        if self.use_ema:
            self._averages = self.add_optimizer_variables(variables, "average")
        self._index = {id(v): i for i, v in enumerate(variables)}
        if self.gradient_accumulation_steps:
            self._accumulated = self.add_optimizer_variables(variables, "gradient_accumulator")
        self._trainable_variables = list(variables)
        self.built = True

    def _get_variable_index(self, variable):
        return self._index[id(variable)]

    def _check_known(self, variables):
        for v in variables:
            if id(v) not in self._index:
                raise ValueError(
                    f"{self.name} was built for other variables; use a new optimizer for a new set of variables, "
                    f"received {getattr(v, 'path', v)}"
                )

    # ---- update

    def assign(self, variable, value):
        """`variable = value`; the way `update_step` writes."""
        if self._gate is not None:
            value = ops.where(self._gate, value, ops.convert_to_tensor(variable))
        variable.assign(value)
        return value

    def assign_add(self, variable, value):
        """`variable = variable + value`."""
        return self.assign(variable, ops.add(variable, value))

    def assign_sub(self, variable, value):
        """`variable = variable - value`."""
        return self.assign(variable, ops.subtract(variable, value))

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable and its slots; to be written by the subclass."""
        raise NotImplementedError(f"{type(self).__name__} must define update_step(gradient, variable, learning_rate)")

    def update_all(self, gradients, variables, learning_rate):
        """Updates all variables. The one place where fused kernels over all weights go in."""
        for gradient, variable in zip(gradients, variables):
            self.update_step(gradient, variable, learning_rate)

    def apply_gradients(self, grads_and_vars):
        """`apply` for (gradient, variable) pairs. Returns the iterations variable."""
        grads, variables = zip(*grads_and_vars)
        self.apply(grads, variables)
        return self._iterations

    def apply(self, grads, trainable_variables=None):
        """One update.

        Args:
            grads: list of gradients, None where a variable has none.
            trainable_variables: list of Variables in the same order; by default those of `build`.

        Raises:
            ValueError: if there is no gradient at all, if lengths differ, or for a variable not seen by `build`.
        """
        call_context.note(self)
        grads = list(grads)
        if not grads:
            return
        variables = self._variables_of(grads, trainable_variables)
        grads, variables = self._without_missing(grads, variables)
        if self.loss_scale_factor is not None:
            grads = [g / self.loss_scale_factor for g in grads]
        self._apply(grads, variables)
        for v in variables:
            if getattr(v, "constraint", None) is not None:
                v.assign(v.constraint(v))
        self._iterations.assign(self._iterations + 1)

    def _variables_of(self, grads, trainable_variables):
        """The variables that a list of gradients belongs to, checked; builds the optimizer for the first ones."""
        if trainable_variables is None:
            if not self.built:
                raise ValueError(f"{self.name}: call build(trainable_variables) before apply(grads) without variables")
            variables = self._trainable_variables
        else:
            variables = list(trainable_variables)
            if not self.built:
                self.build(variables)
            self._check_known(variables)
        if len(grads) != len(variables):
            raise ValueError(f"{self.name}: {len(variables)} variables need as many gradients, received {len(grads)}")
        return variables

    def stateless_apply(self, optimizer_variables, grads, trainable_variables):
        """`apply` on given values: changes nothing, gives back what it would have written.

        Args:
            optimizer_variables: values of `variables`.
            grads: list of gradients.
            trainable_variables: values of the variables that the optimizer was built for.

        Returns:
            `(trainable_variables, optimizer_variables)`.

        Raises:
            ValueError: if the optimizer is not built, or a list has another length.
        """
        from maas.transforms.stateless import stateless

        if not self.built:
            raise ValueError(f"{self.name}: stateless_apply() needs build(trainable_variables) first, received a call")
        own = (self._trainable_variables, self.variables)
        given = (trainable_variables, optimizer_variables)
        _, values = stateless(self, f"{self.name}.stateless_apply", self.apply, own, given, (list(grads),), {})
        return values

    def _without_missing(self, grads, variables):
        pairs = [(g, v) for g, v in zip(grads, variables) if g is not None]
        if not pairs:
            raise ValueError(
                f"{self.name}: no variable has a gradient; does the loss depend on the weights? "
                f"received {len(variables)} variables"
            )
        if len(pairs) < len(variables):
            missing = [v.path for g, v in zip(grads, variables) if g is None]
            warnings.warn(f"{self.name}: the loss does not depend on the variables {missing}", stacklevel=4)
        return [g for g, _ in pairs], [v for _, v in pairs]

    def _apply(self, grads, variables):
        steps = self.gradient_accumulation_steps
        slots = []
        if steps:
            slots = [self._accumulated[self._get_variable_index(v)] for v in variables]
            sums = [ops.add(g, slot) for g, slot in zip(grads, slots)]
            grads = [s / steps for s in sums]
            update = ops.equal(ops.mod(self._iterations + 1, steps), 0)
            object.__setattr__(self, "_gate", update)
        try:
            grads = self._clip(grads)
            self._decay_weights(variables)
            self.update_all(grads, variables, self.learning_rate)
        finally:
            object.__setattr__(self, "_gate", None)
        for slot, total in zip(slots, sums if slots else ()):
            slot.assign(ops.where(update, ops.zeros_like(total), total))
        if self.use_ema:
            self._update_averages()

    def _clip(self, grads):
        if self.clipnorm and self.clipnorm > 0:
            return [clipping.clip_by_norm(g, self.clipnorm) for g in grads]
        if self.global_clipnorm and self.global_clipnorm > 0:
            return clipping.clip_by_global_norm(grads, self.global_clipnorm)
        if self.clipvalue and self.clipvalue > 0:
            return [clipping.clip_by_value(g, self.clipvalue) for g in grads]
        return grads

    # ---- weight decay

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Variables, or parts of variable names, that `weight_decay` leaves alone. Call before `build`."""
        if self.built:
            raise ValueError(f"{self.name}: call exclude_from_weight_decay before the optimizer is built")
        self._no_decay_ids = {id(v) for v in var_list or ()}
        self._no_decay_pattern = re.compile("|".join(set(var_names))) if var_names else None

    def _use_weight_decay(self, variable):
        if id(variable) in self._no_decay_ids:
            return False
        return self._no_decay_pattern is None or self._no_decay_pattern.search(variable.name) is None

    def _decay_weights(self, variables):
        if self.weight_decay is None:
            return
        rate = self.learning_rate
        for v in variables:
            if self._use_weight_decay(v):
                self.assign(v, v - v * self.weight_decay * ops.cast(rate, v.dtype))

    # ---- moving averages

    def _update_averages(self):
        first = ops.equal(self.iterations, 0)
        every = self.ema_overwrite_frequency
        for v, average in zip(self._trainable_variables, self._averages):
            mixed = average * self.ema_momentum + v * (1.0 - self.ema_momentum)
            mixed = ops.where(first, ops.convert_to_tensor(v), mixed)
            average.assign(mixed)
            if every:
                now = ops.equal(ops.mod(self.iterations + 1, every), 0)
                v.assign(ops.where(now, mixed, ops.convert_to_tensor(v)))

    def finalize_variable_values(self, var_list):
        """With `use_ema`, sets the variables to their moving averages; `fit` calls it at the end."""
        if not self.use_ema:
            return
        if len(var_list) != len(self._averages):
            raise ValueError(
                f"{self.name}: {len(self._averages)} moving averages are kept, received {len(var_list)} variables"
            )
        for v, average in zip(var_list, self._averages):
            v.assign(average.numpy())

    # ---- loss scale, state, config

    def scale_loss(self, loss):
        """`loss * loss_scale_factor`, or `loss`."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def _saved_variables(self):
        """What files and `set_weights` hold, in their order."""
        return self._variables

    def set_weights(self, weights):
        """Sets all state variables from a list of arrays in the order of `variables`."""
        if not self.built:
            raise ValueError(f"{self.name}: call build(trainable_variables) before set_weights")
        for v, w in zip(self._saved_variables(), weights, strict=True):
            if tuple(v.shape) != tuple(np.shape(w)):
                raise ValueError(f"{self.name}: {v.path} has shape {tuple(v.shape)}, received {tuple(np.shape(w))}")
            v.assign(w)

    def save_own_variables(self, store):
        """Writes the state into `store` under "0", "1", ..."""
        for i, v in enumerate(self._saved_variables()):
            store[str(i)] = v.numpy()

    def load_own_variables(self, store):
        """Reads what `save_own_variables` wrote; a different number of variables is a warning, nothing is loaded."""
        own = self._saved_variables()
        if len(store.keys()) != len(own):
            warnings.warn(
                f"optimizer {self.name}: its state is not loaded, because it has {len(own)} variables and the file has "
                f"{len(store.keys())}",
                stacklevel=2,
            )
            return
        for i, v in enumerate(own):
            v.assign(np.asarray(store[str(i)]))

    def get_config(self):
        """What the constructor needs to make the same optimizer again."""
        rate = self._learning_rate
        if isinstance(rate, backend.Variable):
            rate = float(rate.numpy())
        elif not isinstance(rate, (int, float)):
            from maas.saving import serialization

            rate = serialization.serialize_keras_object(rate)
        return {
            "name": self.name,
            "learning_rate": rate,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The inverse of `get_config`."""
        config = dict(config)
        if isinstance(config.get("learning_rate"), dict):
            from maas.saving import serialization

            config["learning_rate"] = serialization.deserialize_keras_object(
                config["learning_rate"], custom_objects=custom_objects
            )
        return cls(**config)

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}>"
