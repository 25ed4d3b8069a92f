"""Adam and AdamW."""

from maas import ops
from maas.optimizers.fused import FusedOptimizer


class Adam(FusedOptimizer):
    """`m += (g - m)(1 - b1); v += (g^2 - v)(1 - b2); w -= lr * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon)`.

    Args:
        learning_rate: float, schedule or callable.
        beta_1: float, decay of the mean of gradients.
        beta_2: float, decay of the mean of squares.
        epsilon: float.
        amsgrad: bool; divides by the largest `v` so far.
        others: see `Optimizer`.

    Reference: Kingma and Ba, 2014, arXiv:1412.6980; Reddi et al., 2018 (amsgrad).
    """

    rule = "adam"

    def __init__(
        self,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        amsgrad=False,
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
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad

    def build(self, var_list):
        if self.built:
            return
        super().build(var_list)
        self._momentums, self._velocities = self.add_optimizer_variables(var_list, ["momentum", "velocity"])
        if self.amsgrad:
            self._velocity_hats = self.add_optimizer_variables(var_list, "velocity_hat")

    def _slots(self, index):
        slots = [self._momentums[index], self._velocities[index]]
        return [*slots, self._velocity_hats[index]] if self.amsgrad else slots

    def _params(self):
        return {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon, "amsgrad": self.amsgrad}

    def _scalars(self, learning_rate, dtype):
        """`lr * sqrt(1 - b2^t) / (1 - b1^t)`, t counted from 1."""
        t = ops.cast(self.iterations + 1, dtype)
        b1 = ops.power(ops.convert_to_tensor(self.beta_1, dtype=dtype), t)
        b2 = ops.power(ops.convert_to_tensor(self.beta_2, dtype=dtype), t)
        return [learning_rate * ops.sqrt(1.0 - b2) / (1.0 - b1)]

    def get_config(self):
        config = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon, "amsgrad": self.amsgrad}
        return {**super().get_config(), **config}


class AdamW(Adam):
    """Adam with weight decay apart from the gradient: `w -= weight_decay * lr * w` before each update.

    Args:
        learning_rate: float, schedule or callable.
        weight_decay: float.
        others: see `Adam`.

    Reference: Loshchilov and Hutter, 2017, arXiv:1711.05101.
    """

    def __init__(
        self,
        learning_rate=0.001,
        weight_decay=0.004,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        amsgrad=False,
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
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, clipnorm, clipvalue, global_clipnorm,
            use_ema, ema_momentum, ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps, name,
            **kwargs,
        )  # fmt: skip
        if self.weight_decay is None:
            raise ValueError("AdamW: weight_decay must be a float, received weight_decay=None")
