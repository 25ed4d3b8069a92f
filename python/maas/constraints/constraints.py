"""Functions that project a weight after each update."""

from maas.backend.objects import Configurable


def _norms(w, axis):
    from maas import ops

    return ops.sqrt(ops.sum(ops.square(w), axis=axis, keepdims=True))


def _epsilon():
    from maas.backend.config import epsilon

    return epsilon()


class Constraint(Configurable):
    """Callable `constraint(w) -> projected w`."""

    def __call__(self, w):
        return w


class MaxNorm(Constraint):
    """Scales columns whose norm exceeds `max_value` down to it.

    Args:
        max_value: number.
        axis: int or list of ints along which norms are taken; 0 for a Dense kernel, (0, 1, 2) for a Conv2D kernel.
    """

    def __init__(self, max_value=2, axis=0):
        self.max_value, self.axis = max_value, axis

    def __call__(self, w):
        from maas import ops

        norms = _norms(w, self.axis)
        return ops.multiply(w, ops.divide(ops.clip(norms, 0, self.max_value), ops.add(norms, _epsilon())))

    def get_config(self):
        return {"max_value": self.max_value, "axis": self.axis}


class NonNeg(Constraint):
    """Negative entries become 0."""

    def __call__(self, w):
        from maas import ops

        return ops.maximum(w, 0)


class UnitNorm(Constraint):
    """Scales columns to norm 1.

    Args:
        axis: int or list of ints along which norms are taken.
    """

    def __init__(self, axis=0):
        self.axis = axis

    def __call__(self, w):
        from maas import ops

        return ops.divide(w, ops.add(_norms(w, self.axis), _epsilon()))

    def get_config(self):
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """Moves the norms of columns towards `[min_value, max_value]`.

    Args:
        min_value, max_value: numbers.
        rate: number in [0, 1]; 1 projects fully at each update.
        axis: int or list of ints along which norms are taken.
    """

    def __init__(self, min_value=0.0, max_value=1.0, rate=1.0, axis=0):
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w):
        from maas import ops

        norms = _norms(w, self.axis)
        wanted = ops.add(
            ops.multiply(ops.clip(norms, self.min_value, self.max_value), self.rate), ops.multiply(norms, 1 - self.rate)
        )
        return ops.multiply(w, ops.divide(wanted, ops.add(norms, _epsilon())))

    def get_config(self):
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}
