"""Optimizers."""

from maas import missing_names
from maas.optimizers import schedules
from maas.optimizers.adafactor import Adafactor
from maas.optimizers.adam import Adam, AdamW
from maas.optimizers.adam_family import Adamax, Lion, Nadam
from maas.optimizers.adaptive import Adadelta, Adagrad
from maas.optimizers.ftrl import Ftrl
from maas.optimizers.lamb import Lamb
from maas.optimizers.loss_scale import LossScaleOptimizer
from maas.optimizers.multi import MultiOptimizer, OptimizerMap
from maas.optimizers.muon import Muon
from maas.optimizers.optimizer import Optimizer
from maas.optimizers.rmsprop import RMSprop
from maas.optimizers.schedule_free import ScheduleFreeAdamW
from maas.optimizers.sgd import SGD

ALL_OBJECTS = (
    Optimizer,
    SGD,
    RMSprop,
    Adam,
    AdamW,
    Adadelta,
    Adagrad,
    Adamax,
    Nadam,
    Lion,
    Adafactor,
    Ftrl,
    Lamb,
    LossScaleOptimizer,
    MultiOptimizer,
    Muon,
    ScheduleFreeAdamW,
)
ALL_OBJECTS_DICT = {cls.__name__.lower(): cls for cls in ALL_OBJECTS}

__all__ = [*(cls.__name__ for cls in ALL_OBJECTS), "OptimizerMap", "deserialize", "get", "schedules", "serialize"]


def serialize(optimizer):
    """The optimizer as a dict of plain values, in Keras's format."""
    from maas.saving import serialization

    return serialization.serialize_keras_object(optimizer)


def deserialize(config, custom_objects=None):
    """The optimizer of a dict made by `serialize`; class names of this package may be in any case."""
    from maas.saving import serialization

    if config["class_name"].lower() in ALL_OBJECTS_DICT:
        config = {**config, "class_name": config["class_name"].lower()}
    return serialization.deserialize_keras_object(
        config, module_objects=ALL_OBJECTS_DICT, custom_objects=custom_objects
    )


def get(identifier):
    """An optimizer from a name (any case), a config dict, or an object.

    Raises:
        ValueError: if the name is unknown or the object is no optimizer.
    """
    if identifier is None:
        return None
    obj = identifier
    if isinstance(identifier, str):
        cls = ALL_OBJECTS_DICT.get(identifier.lower())
        if cls is not None and cls is not Optimizer:
            return cls()
        from maas.saving.object_registration import get_registered_object

        obj = get_registered_object(identifier)
        if obj is None:
            names = ALL_OBJECTS_DICT.keys() - {"optimizer", "multioptimizer", "lossscaleoptimizer"}
            raise ValueError(missing_names.unknown_name("optimizer", identifier, names))
        obj = obj() if isinstance(obj, type) else obj
    elif isinstance(identifier, dict):
        obj = deserialize(identifier)
    if isinstance(obj, Optimizer):
        return obj
    raise ValueError(
        "an optimizer must be a name such as 'adam', a config dict or an optimizer object such as Adam(), "
        f"received {identifier!r}"
    )


__getattr__ = missing_names.getattr_of(__name__)
