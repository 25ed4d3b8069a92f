"""Cosine schedules.

Reference: Loshchilov and Hutter, 2016, "SGDR: Stochastic Gradient Descent with Warm Restarts", arXiv:1608.03983.
"""

import math

from maas import ops
from maas.optimizers.schedules.schedule import LearningRateSchedule, check_steps


class CosineDecay(LearningRateSchedule):
    """`top * ((1 - alpha) * (1 + cos(pi * t)) / 2 + alpha)` with `t = (step - warmup_steps) / decay_steps`.

    With `warmup_target` the rate first rises in a straight line from `initial_learning_rate` to `warmup_target` over
    `warmup_steps`; then `top` is `warmup_target`, else it is `initial_learning_rate`.

    Args:
        initial_learning_rate: float.
        decay_steps: int > 0, the length of the fall.
        alpha: float, the share of `top` that is left at the end.
        name: str.
        warmup_target: float or None.
        warmup_steps: int.
    """

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        alpha=0.0,
        name="CosineDecay",
        warmup_target=None,
        warmup_steps=0,
    ):
        check_steps("decay_steps", decay_steps)
        self.initial_learning_rate, self.decay_steps, self.alpha = initial_learning_rate, decay_steps, alpha
        self.name, self.warmup_target, self.warmup_steps = name, warmup_target, warmup_steps

    def _fall(self, step, top):
        cosine = 0.5 * (1.0 + ops.cos(step / float(self.decay_steps) * math.pi))
        return ((1.0 - self.alpha) * cosine + self.alpha) * float(top)

    def __call__(self, step):
        step = ops.cast(step, "float32")
        if self.warmup_target is None:
            return self._fall(ops.minimum(step, float(self.decay_steps)), self.initial_learning_rate)
        step = ops.minimum(step, float(self.decay_steps + self.warmup_steps))
        fall = self._fall(step - float(self.warmup_steps), self.warmup_target)
        if self.warmup_steps == 0:
            return fall
        slope = (self.warmup_target - self.initial_learning_rate) / self.warmup_steps
        rise = step * slope + float(self.initial_learning_rate)
        return ops.where(ops.less(step, float(self.warmup_steps)), rise, fall)

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }


class CosineDecayRestarts(LearningRateSchedule):
    """Cosine falls that start again: run i lasts `first_decay_steps * t_mul^i` and starts at `initial * m_mul^i`.

    Args:
        initial_learning_rate: float.
        first_decay_steps: int > 0.
        t_mul: float, how much longer each run is than the one before.
        m_mul: float, how much higher each run starts.
        alpha: float, the share of the initial rate that is always left.
        name: str.
    """

    def __init__(self, initial_learning_rate, first_decay_steps, t_mul=2.0, m_mul=1.0, alpha=0.0, name="SGDRDecay"):
        check_steps("first_decay_steps", first_decay_steps)
        self.initial_learning_rate, self.first_decay_steps = initial_learning_rate, first_decay_steps
        self._t_mul, self._m_mul, self.alpha, self.name = t_mul, m_mul, alpha, name

    def __call__(self, step):
        done = ops.cast(step, "float32") / float(self.first_decay_steps)
        t = float(self._t_mul)
        if t == 1.0:
            run = ops.floor(done)
            done = done - run
        else:
            run = ops.floor(ops.log(1.0 - done * (1.0 - t)) / math.log(t))
            length = ops.power(ops.convert_to_tensor(t, dtype="float32"), run)
            done = (done - (1.0 - length) / (1.0 - t)) / length
        top = ops.power(ops.convert_to_tensor(float(self._m_mul), dtype="float32"), run)
        cosine = 0.5 * top * (1.0 + ops.cos(done * math.pi))
        return ((1.0 - self.alpha) * cosine + self.alpha) * float(self.initial_learning_rate)

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self._t_mul,
            "m_mul": self._m_mul,
            "alpha": self.alpha,
            "name": self.name,
        }
