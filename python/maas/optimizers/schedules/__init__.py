"""Learning rate schedules."""

from maas import missing_names
from maas.optimizers.schedules.cosine import CosineDecay, CosineDecayRestarts
from maas.optimizers.schedules.decay import (
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
from maas.optimizers.schedules.schedule import LearningRateSchedule

ALL_OBJECTS = (
    LearningRateSchedule,
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
ALL_OBJECTS_DICT = {cls.__name__: cls for cls in ALL_OBJECTS}


def serialize(learning_rate_schedule):
    """The schedule as a dict of plain values, in Keras's format."""
    from maas.saving import serialization

    return serialization.serialize_keras_object(learning_rate_schedule)


def deserialize(config, custom_objects=None):
    """The schedule of a dict made by `serialize`."""
    from maas.saving import serialization

    return serialization.deserialize_keras_object(
        config, module_objects=ALL_OBJECTS_DICT, custom_objects=custom_objects
    )


__getattr__ = missing_names.getattr_of(__name__)
