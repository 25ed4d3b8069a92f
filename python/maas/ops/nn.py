"""`maas.ops.nn`: the functions of `maas.ops` that neural networks are made of, under the name that Keras has too."""

from maas import missing_names, ops
from maas.backend.symbolic import functions_of

__all__ = sorted(functions_of("nn"))
globals().update({name: getattr(ops, name) for name in __all__})

__getattr__ = missing_names.getattr_of(__name__)
