"""Constraints: `get("max_norm")`, `MaxNorm(2)`, and any callable that returns a tensor of the same shape."""

from maas import missing_names
from maas.backend.objects import Family
from maas.constraints.constraints import Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm

_FAMILY = Family(
    "keras.constraints",
    (MaxNorm, NonNeg, UnitNorm, MinMaxNorm),
    {"maxnorm": MaxNorm, "nonneg": NonNeg, "unitnorm": UnitNorm, "minmaxnorm": MinMaxNorm},
)
max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm
get, serialize, deserialize = _FAMILY.get, _FAMILY.serialize, _FAMILY.deserialize

__all__ = [
    "Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "deserialize", "get", "max_norm", "min_max_norm",
    "non_neg", "serialize", "unit_norm",
]  # fmt: skip

__getattr__ = missing_names.getattr_of(__name__)
