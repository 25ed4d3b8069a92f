"""Losses: classes for `compile(loss=...)` and functions that return one value per sample."""

from maas import missing_names
from maas.losses.alignment import (
    CTC,
    CategoricalGeneralizedCrossEntropy,
    categorical_generalized_cross_entropy,
    ctc,
)
from maas.losses.circle import Circle, circle
from maas.losses.crossentropy import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    categorical_crossentropy,
    sparse_categorical_crossentropy,
)
from maas.losses.divergence import KLDivergence, Poisson, kl_divergence, poisson
from maas.losses.focal import (
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    binary_focal_crossentropy,
    categorical_focal_crossentropy,
)
from maas.losses.hinges import CategoricalHinge, Hinge, SquaredHinge, categorical_hinge, hinge, squared_hinge
from maas.losses.loss import Loss, LossFunctionWrapper
from maas.losses.overlap import Dice, Tversky, dice, tversky
from maas.losses.regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    cosine_similarity,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)

ALL_OBJECTS = (
    Loss,
    LossFunctionWrapper,
    CTC,
    CategoricalGeneralizedCrossEntropy,
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalHinge,
    Circle,
    CosineSimilarity,
    Dice,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    Tversky,
    categorical_generalized_cross_entropy,
    ctc,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    circle,
    cosine_similarity,
    dice,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
    tversky,
)
ALL_OBJECTS_DICT = {obj.__name__: obj for obj in ALL_OBJECTS}
for _function, _aliases in {
    binary_crossentropy: ("bce", "BCE"),
    kl_divergence: ("kld", "KLD"),
    mean_absolute_error: ("mae", "MAE"),
    mean_squared_error: ("mse", "MSE"),
    mean_absolute_percentage_error: ("mape", "MAPE"),
    mean_squared_logarithmic_error: ("msle", "MSLE"),
}.items():
    ALL_OBJECTS_DICT.update(dict.fromkeys(_aliases, _function))


def serialize(loss):
    """The loss as a dict of plain values, in Keras's format."""
    from maas.saving import serialization

    return serialization.serialize_keras_object(loss)


def deserialize(name, custom_objects=None):
    """The loss of a dict made by `serialize`."""
    from maas.saving import serialization

    return serialization.deserialize_keras_object(name, module_objects=ALL_OBJECTS_DICT, custom_objects=custom_objects)


def get(identifier):
    """A loss from a name, a config dict, a class, a function or an object.

    Raises:
        ValueError: if the name is unknown or the object cannot be called.
    """
    if identifier is None:
        return None
    obj = identifier
    if isinstance(identifier, str):
        from maas.saving.object_registration import get_registered_object

        obj = get_registered_object(identifier, module_objects=ALL_OBJECTS_DICT)
        if obj is None:
            raise ValueError(missing_names.unknown_name("loss", identifier, ALL_OBJECTS_DICT))
    elif isinstance(identifier, dict):
        obj = deserialize(identifier)
    if not callable(obj):
        raise ValueError(
            f"a loss must be a name such as 'mse', a config dict, a function or a loss object, received {identifier!r}"
        )
    return obj() if isinstance(obj, type) else obj


__getattr__ = missing_names.getattr_of(__name__)
