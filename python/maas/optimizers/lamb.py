"""Lamb."""

from maas import ops
from maas.optimizers.optimizer import Optimizer


class Lamb(Optimizer):
    """Adam whose step is scaled for each variable by `||w|| / ||step||`, for very large batches.

    Args:
        learning_rate: float, schedule or callable.
        beta_1, beta_2: float, decays.
        epsilon: float.
        others: see `Optimizer`, in its order.

    Reference: You et al., 2019, arXiv:1904.00962.
    """

    def __init__(self, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, *args, **kwargs):
        super().__init__(learning_rate, *args, **kwargs)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def build(self, var_list):
        if self.built:
            return
        super().build(var_list)
        self._momentums, self._velocities = self.add_optimizer_variables(var_list, ["momentum", "velocity"])

    def update_step(self, gradient, variable, learning_rate):
        dtype, i = variable.dtype, self._get_variable_index(variable)
        g, w, t = ops.cast(gradient, dtype), ops.convert_to_tensor(variable), ops.cast(self.iterations + 1, dtype)
        b1, b2 = (ops.power(ops.convert_to_tensor(b, dtype=dtype), t) for b in (self.beta_1, self.beta_2))
        m = self._momentums[i] + (g - self._momentums[i]) * (1.0 - self.beta_1)
        v = self._velocities[i] + (ops.square(g) - self._velocities[i]) * (1.0 - self.beta_2)
        self.assign(self._momentums[i], m)
        self.assign(self._velocities[i], v)
        move = m / (1.0 - b1) / (ops.sqrt(v / (1.0 - b2)) + self.epsilon)
        w_norm, norm = (ops.sqrt(ops.sum(ops.square(x))) for x in (w, move))
        moves = ops.logical_and(w_norm > 0.0, norm > 0.0)
        ratio = ops.where(moves, w_norm / ops.where(moves, norm, ops.ones_like(norm)), ops.ones_like(norm))
        self.assign(variable, w - ratio * ops.cast(learning_rate, dtype) * move)

    def get_config(self):
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
