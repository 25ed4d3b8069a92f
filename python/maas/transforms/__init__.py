"""Functions of functions: compile, differentiate, rematerialise."""

from maas import missing_names
from maas.transforms.custom_gradient import custom_gradient
from maas.transforms.grad import grad, value_and_grad
from maas.transforms.jit import jit
from maas.transforms.remat import RematScope, remat

__all__ = ["RematScope", "custom_gradient", "grad", "jit", "remat", "value_and_grad"]

__getattr__ = missing_names.getattr_of(__name__)
