"""Relatives of Adam: Adamax, Nadam, Lion."""

from maas import backend, ops
from maas.optimizers.fused import FusedOptimizer


class Adamax(FusedOptimizer):
    """Adam with the largest gradient so far in place of the mean of squares.

    `m += (g - m)(1 - b1); u = max(b2 * u, |g|); w -= lr / (1 - b1^t) * m / (u + epsilon)`.

    Args:
        learning_rate: float, schedule or callable.
        beta_1, beta_2: float, decays.
        epsilon: float.
        others: see `Optimizer`, in its order.

    Reference: Kingma and Ba, 2014, arXiv:1412.6980, section 7.
    """

    rule = "adamax"

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, *args, **kwargs):
        super().__init__(learning_rate, *args, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def build(self, var_list):
        if self.built:
            return
        super().build(var_list)
        self._m, self._u = self.add_optimizer_variables(var_list, ["momentum", "norm"])

    def _slots(self, index):
        return [self._m[index], self._u[index]]

    def _params(self):
        return {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}

    def _scalars(self, learning_rate, dtype):
        b1 = ops.power(ops.convert_to_tensor(self.beta_1, dtype=dtype), ops.cast(self.iterations + 1, dtype))
        return [learning_rate / (1.0 - b1)]

    def get_config(self):
        config = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **config}


class Nadam(FusedOptimizer):
    """Adam with Nesterov momentum, whose share grows as `b1 * (1 - 0.96^t / 2)`. Arguments as `Adamax`.

    Reference: Dozat, 2015, "Incorporating Nesterov Momentum into Adam".
    """

    rule = "nadam"

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, *args, **kwargs):
        super().__init__(learning_rate, *args, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def build(self, var_list):
        if self.built:
            return
        super().build(var_list)
        self._momentums, self._velocities = self.add_optimizer_variables(var_list, ["momentum", "velocity"])
        dtype = var_list[0].dtype if var_list else backend.floatx()
        self._u_product = self.add_variable((), initializer=1.0, dtype=dtype, name="u_product")

    def _share(self, step):
        """Momentum at a step, counted from 1."""
        decay = ops.power(ops.convert_to_tensor(0.96, dtype=step.dtype), step)
        return (1.0 - 0.5 * decay) * self.beta_1

    def _slots(self, index):
        return [self._momentums[index], self._velocities[index]]

    def _params(self):
        return {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}

    def _scalars(self, learning_rate, dtype):
        t, product = ops.cast(self.iterations + 1, dtype), ops.cast(self._u_product, dtype)
        now, ahead = self._share(t), self._share(t + 1.0)
        b2 = ops.power(ops.convert_to_tensor(self.beta_2, dtype=dtype), t)
        mean, last = ahead / (1.0 - product * ahead), (1.0 - now) / (1.0 - product)
        return [learning_rate * mean, learning_rate * last, 1.0 / (1.0 - b2)]

    def update_all(self, gradients, variables, learning_rate):
        product = self._u_product * self._share(ops.cast(self.iterations + 1, self._u_product.dtype))
        self.assign(self._u_product, product)
        super().update_all(gradients, variables, learning_rate)

    update_all.folds_decay = True

    def get_config(self):
        config = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **config}


class Lion(FusedOptimizer):
    """`w -= lr * sign(b1 * m + (1 - b1) * g); m = b2 * m + (1 - b2) * g`.

    Args:
        learning_rate: float, schedule or callable.
        beta_1: float in (0, 1].
        beta_2: float.
        others: see `Optimizer`, in its order.

    Reference: Chen et al., 2023, arXiv:2302.06675.
    """

    rule = "lion"

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.99, *args, **kwargs):
        super().__init__(learning_rate, *args, **kwargs)
        if not 0 < beta_1 <= 1:
            raise ValueError(f"Lion: beta_1 must be in (0, 1], received beta_1={beta_1}")
        self.beta_1, self.beta_2 = beta_1, beta_2

    def build(self, var_list):
        if self.built:
            return
        super().build(var_list)
        self._momentums = self.add_optimizer_variables(var_list, "momentum")

    def _slots(self, index):
        return [self._momentums[index]]

    def _params(self):
        return {"beta_1": self.beta_1, "beta_2": self.beta_2}

    def get_config(self):
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2}
