"""Initializers: first values of variables. `get("he_normal")`, `HeNormal(seed=1)` and any callable `(shape, dtype)`
work.
"""

import numpy as np

from maas import missing_names
from maas.backend.objects import Family
from maas.backend.standardize import numpy_dtype
from maas.initializers.base import Initializer, RandomInitializer, initial_value
from maas.initializers.constant import STFT, Constant, Identity, Ones, Zeros
from maas.initializers.random import Orthogonal, RandomNormal, RandomUniform, TruncatedNormal
from maas.initializers.variance_scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
    compute_fans,
)

_CLASSES = (
    Constant, Zeros, Ones, Identity, RandomNormal, TruncatedNormal, RandomUniform, Orthogonal, VarianceScaling,
    GlorotUniform, GlorotNormal,
    HeUniform, HeNormal, LecunUniform, LecunNormal, STFT,
)  # fmt: skip
_FAMILY = Family(
    "keras.initializers",
    _CLASSES,
    {
        "IdentityInitializer": Identity,
        "OrthogonalInitializer": Orthogonal,
        "STFTInitializer": STFT,
        "stft": STFT,
        "normal": RandomNormal,
        "uniform": RandomUniform,
        "one": Ones,
        "zero": Zeros,
    },
)
IdentityInitializer, OrthogonalInitializer, STFTInitializer, stft = Identity, Orthogonal, STFT, STFT
constant, zeros, ones, identity = Constant, Zeros, Ones, Identity
random_normal, truncated_normal, random_uniform, orthogonal = RandomNormal, TruncatedNormal, RandomUniform, Orthogonal
variance_scaling, glorot_uniform, glorot_normal = VarianceScaling, GlorotUniform, GlorotNormal
he_uniform, he_normal, lecun_uniform, lecun_normal = HeUniform, HeNormal, LecunUniform, LecunNormal

serialize = _FAMILY.serialize
deserialize = _FAMILY.deserialize

__all__ = [c.__name__ for c in _CLASSES] + [
    "Initializer", "RandomInitializer", "compute_fans", "deserialize", "get", "initial_value", "serialize",
    "IdentityInitializer",
    "OrthogonalInitializer", "constant", "zeros", "ones", "identity", "random_normal", "truncated_normal",
    "random_uniform", "orthogonal",
    "variance_scaling", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal",
    "STFTInitializer", "stft",
]  # fmt: skip


def get(identifier):
    """Initializer from a name, a config dict, a class, a callable, or an array (whose values are taken as they are).

    Raises:
        ValueError: if the name is unknown or the value is none of these.
    """
    if isinstance(identifier, (np.ndarray, np.generic)) or (
        hasattr(identifier, "shape") and hasattr(identifier, "dtype")
    ):
        values = np.asarray(identifier)

        def from_array(shape, dtype=None):
            if tuple(shape) != values.shape:
                raise ValueError(
                    f"initializer given as an array: shape {values.shape} is needed, received {tuple(shape)}"
                )
            return values.astype(numpy_dtype(dtype)) if dtype else values

        return from_array
    return _FAMILY.get(identifier)


__getattr__ = missing_names.getattr_of(__name__)
