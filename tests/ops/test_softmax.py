"""Softmax: special values. Its cases are in softmax_cases.py."""

import numpy as np
import pytest

from maas import _core
from tests.ops import support


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("cols", [5, 16, 70, 200])
def test_special_values(level, cols):
    x = np.random.default_rng(0).standard_normal((6, cols)).astype("float32")
    clean = x.copy()
    for row, value in ((1, np.nan), (3, np.inf)):
        x[row, cols // 2] = value
    x[4, :-1] = -np.inf  # one finite element takes all
    with support.isa(level):
        y, want = np.asarray(_core.softmax(x)), np.asarray(_core.softmax(clean))
    assert np.isnan(y[1]).all() and np.isnan(y[3]).any()
    np.testing.assert_array_equal(y[[0, 2, 5]], want[[0, 2, 5]])
    np.testing.assert_array_equal(y[4], [0] * (cols - 1) + [1])
