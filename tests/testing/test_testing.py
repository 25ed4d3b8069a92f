"""The public checks of `maas.testing` find what they are for."""

import numpy as np
import pytest

import maas
from maas import ops
from maas.testing import assert_close, assert_invariant, check_gradients


def test_close_counts_epsilons():
    one = np.ones(3, "float32")
    assert_close(one, one + 3 * 2.0**-23, eps=4)
    with pytest.raises(AssertionError, match="2 of 3 elements differ"):
        assert_close(one, one.astype("float64") + np.array([0, 1e-4, 1e-5]), eps=4)
    assert_close(np.float32([np.nan, np.inf]), [np.nan, np.inf])
    with pytest.raises(AssertionError):
        assert_close(np.float32([np.nan]), [1.0])
    with pytest.raises(AssertionError, match="shapes differ"):
        assert_close(one, np.ones(2))


def test_gradients_pass_and_fail():
    x = np.random.default_rng(0).normal(size=(3, 4))
    check_gradients(lambda a, b: ops.tanh(ops.matmul(a, b)), x, x.T)
    check_gradients(lambda a: ops.softmax(a, axis=0), x)
    with pytest.raises(AssertionError, match="operand 0"):
        check_gradients(lambda a: a * ops.stop_gradient(a), x)


def test_invariance_passes_and_fails():
    model = maas.Sequential([maas.layers.Input((7,)), maas.layers.Dense(33, activation="tanh"), maas.layers.Dense(5)])
    x = np.random.default_rng(0).normal(size=(9, 7)).astype("float32")
    assert_invariant(model, x)
    with pytest.raises(AssertionError, match="different bits"):
        assert_invariant(lambda rows: rows - rows.mean(0), x)
