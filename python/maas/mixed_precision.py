"""Keras's `mixed_precision` module: dtype policies under their older names."""

from maas import missing_names
from maas.dtype_policies import DTypePolicy, dtype_policy, set_dtype_policy

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy

__all__ = [
    "DTypePolicy",
    "Policy",
    "dtype_policy",
    "global_policy",
    "set_dtype_policy",
    "set_global_policy",
]

_missing = missing_names.getattr_of(__name__)


def __getattr__(name):
    if name == "LossScaleOptimizer":
        from maas import optimizers

        return optimizers.LossScaleOptimizer
    return _missing(name)
