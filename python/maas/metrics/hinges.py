"""Hinge losses as running means."""

from maas.losses import hinges as losses
from maas.metrics.reduction import NamedMetric


class Hinge(NamedMetric):
    """Running mean of the hinge loss."""

    def __init__(self, name="hinge", dtype=None):
        super().__init__(losses.hinge, name, dtype, "down")


class SquaredHinge(NamedMetric):
    """Running mean of the squared hinge loss."""

    def __init__(self, name="squared_hinge", dtype=None):
        super().__init__(losses.squared_hinge, name, dtype, "down")


class CategoricalHinge(NamedMetric):
    """Running mean of the hinge loss of one-hot targets."""

    def __init__(self, name="categorical_hinge", dtype=None):
        super().__init__(losses.categorical_hinge, name, dtype, "down")
