"""RMSprop."""

from maas.optimizers.fused import FusedOptimizer


class RMSprop(FusedOptimizer):
    """`v = rho * v + (1 - rho) * g^2; w -= lr * g / sqrt(v + epsilon)`.

    Args:
        learning_rate: float, schedule or callable.
        rho: float, decay of the mean of squares.
        momentum: float.
        epsilon: float.
        centered: bool; divides by the variance (`v - mean(g)^2`) instead of the mean of squares.
        others: see `Optimizer`.

    Reference: Tieleman and Hinton, 2012, lecture 6.5.
    """

    rule = "rmsprop"

    def __init__(
        self,
        learning_rate=0.001,
        rho=0.9,
        momentum=0.0,
        epsilon=1e-7,
        centered=False,
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
        super().__init__(
            learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name, **kwargs,
        )  # fmt: skip
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered

    def build(self, var_list):
        if self.built:
            return
        super().build(var_list)
        self._velocities = self.add_optimizer_variables(var_list, "velocity")
        self._momentums = self.add_optimizer_variables(var_list, "momentum") if self.momentum > 0 else []
        self._average_gradients = self.add_optimizer_variables(var_list, "average_gradient") if self.centered else []

    def _slots(self, index):
        lists = [self._velocities, self._momentums, self._average_gradients]
        return [slots[index] for slots in lists if slots]

    def _params(self):
        momentum = self.momentum if self.momentum > 0 else 0.0
        return {"rho": self.rho, "momentum": momentum, "epsilon": self.epsilon, "centered": self.centered}

    def get_config(self):
        config = {"rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon, "centered": self.centered}
        return {**super().get_config(), **config}
