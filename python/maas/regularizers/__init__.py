"""Regularizers: `get("l2")`, `L2(1e-4)`, and any callable that returns a scalar."""

from maas import missing_names
from maas.backend.objects import Family
from maas.regularizers.regularizers import L1, L1L2, L2, OrthogonalRegularizer, Regularizer

_FAMILY = Family("keras.regularizers", (L1, L2, L1L2, OrthogonalRegularizer), {"l1_l2": L1L2})
l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer
get, serialize, deserialize = _FAMILY.get, _FAMILY.serialize, _FAMILY.deserialize

__all__ = [
    "L1", "L2", "L1L2", "OrthogonalRegularizer", "Regularizer", "deserialize", "get", "l1", "l1_l2", "l2",
    "orthogonal_regularizer", "serialize",
]  # fmt: skip

__getattr__ = missing_names.getattr_of(__name__)
