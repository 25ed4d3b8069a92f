"""Checks for tests of models and ops: closeness in epsilons, gradients, invariance."""

from maas import missing_names
from maas.testing.close import assert_close
from maas.testing.gradients import check_gradients
from maas.testing.invariance import assert_invariant

__all__ = ["assert_close", "assert_invariant", "check_gradients"]

__getattr__ = missing_names.getattr_of(__name__)
