"""Adagrad and Adadelta: step sizes from sums of squared gradients."""

from maas import ops
from maas.optimizers.optimizer import Optimizer


class Adagrad(Optimizer):
    """`a += g^2; w -= lr * g / sqrt(a + epsilon)`.

    Args:
        learning_rate: float, schedule or callable.
        initial_accumulator_value: float, the first `a`.
        epsilon: float.
        others: see `Optimizer`, in its order.

    Reference: Duchi et al., 2011, "Adaptive Subgradient Methods".
    """

    def __init__(self, learning_rate=0.001, initial_accumulator_value=0.1, epsilon=1e-7, *args, **kwargs):
        super().__init__(learning_rate, *args, **kwargs)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def build(self, var_list):
        if self.built:
            return
        super().build(var_list)
        start = float(self.initial_accumulator_value)
        self._accumulators = self.add_optimizer_variables(var_list, "accumulator", initializer=start)

    def update_step(self, gradient, variable, learning_rate):
        g = ops.cast(gradient, variable.dtype)
        slot = self._accumulators[self._get_variable_index(variable)]
        total = slot + ops.square(g)
        self.assign(slot, total)
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * g / ops.sqrt(total + self.epsilon))

    def get_config(self):
        config = {"initial_accumulator_value": self.initial_accumulator_value, "epsilon": self.epsilon}
        return {**super().get_config(), **config}


class Adadelta(Optimizer):
    """`a = rho * a + (1 - rho) * g^2; d = -sqrt(b + epsilon) / sqrt(a + epsilon) * g; b = rho * b + (1 - rho) * d^2`.

    Then `w += lr * d`.

    Args:
        learning_rate: float, schedule or callable; the paper's is 1.
        rho: float, decay of the means of squares.
        epsilon: float.
        others: see `Optimizer`, in its order.

    Reference: Zeiler, 2012, arXiv:1212.5701.
    """

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

    def update_step(self, gradient, variable, learning_rate):
        g, i = ops.cast(gradient, variable.dtype), self._get_variable_index(variable)
        a_slot, b_slot = self._accumulated_grads[i], self._accumulated_delta_vars[i]
        a = a_slot * self.rho + ops.square(g) * (1.0 - self.rho)
        delta = -(ops.sqrt(b_slot + self.epsilon) * g / ops.sqrt(a + self.epsilon))
        self.assign(a_slot, a)
        self.assign(b_slot, b_slot * self.rho + ops.square(delta) * (1.0 - self.rho))
        self.assign_add(variable, ops.cast(learning_rate, variable.dtype) * delta)

    def get_config(self):
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}
