"""Schedules that fall (or rise) along a simple curve."""

from maas import ops
from maas.optimizers.schedules.schedule import LearningRateSchedule, check_steps


class ExponentialDecay(LearningRateSchedule):
    """`initial_learning_rate * decay_rate ^ (step / decay_steps)`.

    Args:
        initial_learning_rate: float.
        decay_steps: int > 0.
        decay_rate: float.
        staircase: bool; the exponent counts whole intervals only.
        name: str.
    """

    def __init__(self, initial_learning_rate, decay_steps, decay_rate, staircase=False, name="ExponentialDecay"):
        check_steps("decay_steps", decay_steps)
        self.initial_learning_rate, self.decay_steps, self.decay_rate = initial_learning_rate, decay_steps, decay_rate
        self.staircase, self.name = staircase, name

    def __call__(self, step):
        p = ops.cast(step, "float32") / float(self.decay_steps)
        if self.staircase:
            p = ops.floor(p)
        return ops.power(ops.convert_to_tensor(self.decay_rate, dtype="float32"), p) * float(self.initial_learning_rate)

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


class InverseTimeDecay(LearningRateSchedule):
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)`. Arguments as `ExponentialDecay`."""

    def __init__(self, initial_learning_rate, decay_steps, decay_rate, staircase=False, name="InverseTimeDecay"):
        check_steps("decay_steps", decay_steps)
        self.initial_learning_rate, self.decay_steps, self.decay_rate = initial_learning_rate, decay_steps, decay_rate
        self.staircase, self.name = staircase, name

    def __call__(self, step):
        p = ops.cast(step, "float32") / float(self.decay_steps)
        if self.staircase:
            p = ops.floor(p)
        return float(self.initial_learning_rate) / (p * float(self.decay_rate) + 1.0)

    get_config = ExponentialDecay.get_config


class PolynomialDecay(LearningRateSchedule):
    """`(initial - end) * (1 - step / decay_steps)^power + end`, constant after `decay_steps`.

    Args:
        initial_learning_rate: float.
        decay_steps: int > 0.
        end_learning_rate: float.
        power: float, 1 is a straight line.
        cycle: bool; starts again over twice, three times ... as many steps.
        name: str.
    """

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        end_learning_rate=0.0001,
        power=1.0,
        cycle=False,
        name="PolynomialDecay",
    ):
        check_steps("decay_steps", decay_steps)
        self.initial_learning_rate, self.decay_steps, self.end_learning_rate = (
            initial_learning_rate,
            decay_steps,
            end_learning_rate,
        )
        self.power, self.cycle, self.name = power, cycle, name

    def __call__(self, step):
        step, span = ops.cast(step, "float32"), float(self.decay_steps)
        if self.cycle:
            p = step / (ops.maximum(ops.ceil(step / span), 1.0) * span)
        else:
            p = ops.minimum(step, span) / span
        fall = float(self.initial_learning_rate) - float(self.end_learning_rate)
        return ops.power(1.0 - p, float(self.power)) * fall + float(self.end_learning_rate)

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
            "name": self.name,
        }


class PiecewiseConstantDecay(LearningRateSchedule):
    """`values[i]`, where `i` is the number of boundaries that are less than `step`.

    Args:
        boundaries: list of n increasing ints.
        values: list of n + 1 floats.
        name: str.
    """

    def __init__(self, boundaries, values, name="PiecewiseConstant"):
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "PiecewiseConstantDecay: values must be one longer than boundaries, "
                f"received {len(boundaries)} boundaries and {len(values)} values"
            )
        self.boundaries, self.values, self.name = boundaries, values, name

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rate = ops.zeros_like(step) + float(self.values[0])
        for boundary, value in zip(self.boundaries, self.values[1:]):
            rate = ops.where(ops.greater(step, float(boundary)), ops.zeros_like(rate) + float(value), rate)
        return rate

    def get_config(self):
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}
