"""Adagrad and Adadelta: step sizes from sums of squared gradients."""

from maas.optimizers.fused import FusedOptimizer


class Adagrad(FusedOptimizer):
    """`a += g^2; w -= lr * g / sqrt(a + epsilon)`.

    Args:
        learning_rate: float, schedule or callable.
        initial_accumulator_value: float, the first `a`.
        epsilon: float.
        others: see `Optimizer`, in its order.

    Reference: Duchi et al., 2011, "Adaptive Subgradient Methods".
    """

    rule = "adagrad"

    def __init__(self, learning_rate=0.001, initial_accumulator_value=0.1, epsilon=1e-7, *args, **kwargs):
        super().__init__(learning_rate, *args, **kwargs)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def build(self, var_list):
        if self.built:
            return
        super().build(var_list)
        start = float(self.initial_accumulator_value)
        self._accumulators = self.add_optimizer_variables(var_list, "accumulator", initializer=start)

    def _slots(self, index):
        return [self._accumulators[index]]

    def _params(self):
        return {"epsilon": self.epsilon}

    def get_config(self):
        config = {"initial_accumulator_value": self.initial_accumulator_value, "epsilon": self.epsilon}
        return {**super().get_config(), **config}


class Adadelta(FusedOptimizer):
    """`a = rho * a + (1 - rho) * g^2; d = -sqrt(b + epsilon) / sqrt(a + epsilon) * g; b = rho * b + (1 - rho) * d^2`.

    Then `w += lr * d`.

    Args:
        learning_rate: float, schedule or callable; the paper's is 1.
        rho: float, decay of the means of squares.
        epsilon: float.
        others: see `Optimizer`, in its order.

    Reference: Zeiler, 2012, arXiv:1212.5701.
    """

    rule = "adadelta"

    def __init__(self, learning_rate=0.001, rho=0.95, epsilon=1e-7, *args, **kwargs):
        super().__init__(learning_rate, *args, **kwargs)
        self.rho, self.epsilon = rho, epsilon

    def build(self, var_list):
        if self.built:
            return
        super().build(var_list)
        self._accumulated_grads, self._accumulated_delta_vars = self.add_optimizer_variables(
            var_list, ["accumulated_grad", "accumulated_delta_var"]
        )

    def _slots(self, index):
        return [self._accumulated_grads[index], self._accumulated_delta_vars[index]]

    def _params(self):
        return {"rho": self.rho, "epsilon": self.epsilon}

    def get_config(self):
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}
