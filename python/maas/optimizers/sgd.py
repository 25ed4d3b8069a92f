"""Gradient descent."""

from maas.optimizers.fused import FusedOptimizer


class SGD(FusedOptimizer):
    """`w -= lr * g`; with momentum `m = momentum * m - lr * g; w += m`; with nesterov `w += momentum * m - lr * g`.

    Args:
        learning_rate: float, schedule or callable.
        momentum: float in [0, 1].
        nesterov: bool.
        others: see `Optimizer`.

    Reference: Sutskever et al., 2013, "On the importance of initialization and momentum in deep learning".
    """

    rule = "sgd"

    def __init__(
        self,
        learning_rate=0.01,
        momentum=0.0,
        nesterov=False,
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
        if not isinstance(momentum, float) or not 0 <= momentum <= 1:
            raise ValueError(f"SGD: momentum must be a float in [0, 1], received momentum={momentum!r}")
        self.momentum, self.nesterov = momentum, nesterov

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.momentums = self.add_optimizer_variables(variables, "momentum") if self.momentum else []

    def _slots(self, index):
        return [self.momentums[index]] if self.momentum else []

    def _params(self):
        return {"momentum": self.momentum, "nesterov": self.nesterov}

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
