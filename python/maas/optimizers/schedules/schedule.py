"""The base class of learning rate schedules."""


class LearningRateSchedule:
    """A learning rate that depends on the step: `lr = schedule(step)`.

    `step` is the number of updates done so far, an int, an array or a tensor of a trace; the result is a scalar tensor.
    """

    def __call__(self, step):
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step)")

    def get_config(self):
        """What the constructor needs to make the same schedule again."""
        raise NotImplementedError(f"{type(self).__name__} must define get_config() to be saved")

    @classmethod
    def from_config(cls, config):
        """The inverse of `get_config`."""
        return cls(**config)


def check_steps(name, value):
    """ValueError unless `value` is positive."""
    if value <= 0:
        raise ValueError(f"{name} must be > 0, received {name}={value}")
