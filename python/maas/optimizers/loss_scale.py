"""Dynamic loss scaling."""

from maas import ops
from maas.optimizers.optimizer import Optimizer


class LossScaleOptimizer(Optimizer):
    """Keeps small float16 gradients from becoming 0: the loss is multiplied by a scale, the gradients divided by it.

    A step with an infinite or NaN gradient is skipped, with all that the inner optimizer keeps, and halves the scale;
    `dynamic_growth_steps` good steps in a row double it. All of this is a part of the compiled step.

    Args:
        inner_optimizer: Optimizer that makes the updates; its `loss_scale_factor` is set to None.
        initial_scale: float, the first scale.
        dynamic_growth_steps: int.
        name: str.

    Raises:
        TypeError: if `inner_optimizer` is not an Optimizer.
        ValueError: for other arguments; they belong to the inner optimizer.
    Reference: Micikevicius et al., 2018, "Mixed Precision Training", arXiv:1710.03740.
    """

    def __init__(self, inner_optimizer, initial_scale=2.0**15, dynamic_growth_steps=2000, name=None, **kwargs):
        if not isinstance(inner_optimizer, Optimizer):
            raise TypeError(f"LossScaleOptimizer: inner_optimizer must be an Optimizer, received {inner_optimizer!r}")
        if not kwargs.pop("dynamic", True):
            raise ValueError(
                "LossScaleOptimizer: for a fixed scale set loss_scale_factor on the inner optimizer, "
                "received dynamic=False"
            )
        # Older files name the base class's options, with their defaults.
        kwargs = {k: v for k, v in kwargs.items() if k not in DEFAULTS or v != DEFAULTS[k]}
        if kwargs:
            raise ValueError(f"LossScaleOptimizer: options are set on the inner optimizer, received {sorted(kwargs)}")
        super().__init__(0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.initial_scale, self.dynamic_growth_steps = initial_scale, dynamic_growth_steps
        inner_optimizer.loss_scale_factor = None

    def build(self, var_list):
        if self.built:
            return
        self.step_counter = self.add_variable((), dtype="int32", name="step_counter")
        self.dynamic_scale = self.add_variable(
            (), initializer=float(self.initial_scale), dtype="float32", name="dynamic_scale"
        )
        self.inner_optimizer.build(var_list)
        super().build(var_list)

    @property
    def variables(self):
        return [*self._variables, *self.inner_optimizer.variables]

    @property
    def learning_rate(self):
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        self.inner_optimizer.learning_rate = learning_rate

    @property
    def iterations(self):
        """Number of updates done; skipped steps do not count."""
        return self.inner_optimizer.iterations

    def apply(self, grads, trainable_variables=None):
        """One update, or none if a gradient is not finite. Arguments as `Optimizer.apply`."""
        grads = list(grads)
        if not grads:
            return
        if not self.built:
            if trainable_variables is None:
                raise ValueError(f"{self.name}: call build(trainable_variables) before apply(grads) without variables")
            self.build(list(trainable_variables))
        inner = self.inner_optimizer
        finite = self.check_finite(grads)
        # What one step may change, as it is now: kept where the step is skipped.
        kept = [*inner.variables, *(self._trainable_variables)]
        old = [ops.convert_to_tensor(v) for v in kept]
        scale = ops.convert_to_tensor(self.dynamic_scale)
        inner.apply([g if g is None else ops.divide(g, scale) for g in grads], trainable_variables)
        for variable, value in zip(kept, old):
            variable.assign(ops.where(finite, ops.convert_to_tensor(variable), value))
        count = ops.convert_to_tensor(self.step_counter)
        grow = ops.logical_and(finite, ops.equal(count, self.dynamic_growth_steps - 1))
        restart = ops.logical_or(grow, ops.logical_not(finite))
        self.step_counter.assign(ops.where(restart, ops.zeros_like(count), count + 1))
        self.dynamic_scale.assign(ops.where(finite, ops.where(grow, scale * 2.0, scale), scale * 0.5))

    def check_finite(self, grads):
        """A bool tensor: no gradient holds NaN or an infinity."""
        finite = [ops.all(ops.isfinite(g)) for g in grads if g is not None]
        if not finite:
            return ops.convert_to_tensor(True)
        result = finite[0]
        for one in finite[1:]:
            result = ops.logical_and(result, one)
        return result

    def scale_loss(self, loss):
        """`loss * dynamic_scale`."""
        scale = ops.convert_to_tensor(self.dynamic_scale) if self.built else self.initial_scale
        return loss * scale

    def finalize_variable_values(self, var_list):
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self):
        from maas.saving import serialization

        return {
            "name": self.name,
            "inner_optimizer": serialization.serialize_keras_object(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        from maas.saving import serialization

        config = dict(config)
        inner = serialization.deserialize_keras_object(config.pop("inner_optimizer"), custom_objects=custom_objects)
        return cls(inner, **config)


DEFAULTS = {
    "weight_decay": None,
    "clipnorm": None,
    "global_clipnorm": None,
    "clipvalue": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}
