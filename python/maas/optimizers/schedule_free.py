"""AdamW without a schedule."""

from maas import ops
from maas.optimizers.optimizer import Optimizer


class ScheduleFreeAdamW(Optimizer):
    """AdamW whose weights lie between a fast sequence `z` and the mean `x` of all its points, in place of a schedule.

    `z = z - rate g / (sqrt(v / (1 - beta_2^t)) + epsilon)`, `x = (1 - 1/t) x + z / t`, `w = (1 - beta_1) z + beta_1 x`.

    Args:
        learning_rate: float, schedule or callable.
        beta_1: float in (0, 1], the share of the mean.
        beta_2: float, decay of the squared gradients.
        epsilon: float.
        warmup_steps: int, steps over which the rate grows linearly.
        others: see `Optimizer`, in its order.

    Reference: Defazio et al., 2024, "The road less scheduled", arXiv:2405.15682.
    """

    def __init__(self, learning_rate=0.0025, beta_1=0.9, beta_2=0.999, epsilon=1e-8, warmup_steps=0, *args, **kwargs):
        super().__init__(learning_rate, *args, **kwargs)
        if not 0 < beta_1 <= 1:
            raise ValueError(f"ScheduleFreeAdamW: beta_1 must be in (0, 1], received beta_1={beta_1}")
        self.beta_1, self.beta_2, self.epsilon, self.warmup_steps = beta_1, beta_2, epsilon, warmup_steps

    def build(self, var_list):
        if self.built:
            return
        super().build(var_list)
        self._momentums, self._velocities = self.add_optimizer_variables(var_list, ["momentum", "velocity"])
        for slot, v in zip(self._momentums, var_list):
            slot.assign(v.numpy())

    def update_step(self, gradient, variable, learning_rate):
        dtype, i = variable.dtype, self._get_variable_index(variable)
        g, w, t = ops.cast(gradient, dtype), ops.convert_to_tensor(variable), ops.cast(self.iterations + 1, dtype)
        rate = ops.cast(learning_rate, dtype)
        if self.warmup_steps > 0:
            rate = rate * ops.minimum(t / self.warmup_steps, 1.0)
        fast, velocity = ops.convert_to_tensor(self._momentums[i]), self._velocities[i]
        v = velocity + (ops.square(g) - velocity) * (1.0 - self.beta_2)
        correction = 1.0 - ops.power(ops.convert_to_tensor(self.beta_2, dtype=dtype), t)
        next_fast = fast - rate * g / (ops.sqrt(v / correction) + self.epsilon)
        # The mean is not kept: it follows from the weights, which lie between both.
        mean = (w - (1.0 - self.beta_1) * fast) / self.beta_1
        mean = (1.0 - 1.0 / t) * mean + next_fast / t
        self.assign(velocity, v)
        self.assign(self._momentums[i], next_fast)
        self.assign(variable, (1.0 - self.beta_1) * next_fast + self.beta_1 * mean)

    def get_config(self):
        names = ("beta_1", "beta_2", "epsilon", "warmup_steps")
        return {**super().get_config(), **{n: getattr(self, n) for n in names}}
