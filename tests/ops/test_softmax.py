"""Softmax: every kernel against float64, gradients, equal bits, special values."""

import numpy as np
import pytest

from maas import _core
from tests.ops import support
from tests.ops.softmax_cases import CASES, reference


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_softmax(case, log, dtype, level):
    x = case.operands(dtype)[0]
    with support.isa(level):
        y = np.asarray(_core.softmax(x, axis=case.axis, log=log))
    assert y.shape == x.shape and y.dtype == dtype
    if not x.size:
        return
    want, eps = reference(x, case.axis, log), np.finfo(dtype).eps
    # x - max rounds once: the relative error of exp of it is its size in epsilons.
    spread = np.abs(x - x.max(case.axis, keepdims=True)).astype(np.float64)
    bound = eps * (np.abs(want) + np.abs(spread) + 4) if log else eps * (8 + spread) * want + 1e-37
    assert np.all(np.abs(y - want) <= bound)


@pytest.mark.parametrize("log", [False, True])
def test_gradient(log):
    support.check_gradients(
        lambda x: _core.softmax(x, axis=1, log=log), [np.random.default_rng(0).standard_normal((3, 7, 2))]
    )


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("case", [c for c in CASES if 0 not in c.shape], ids=str)
def test_bits(case, log):
    x = case.operands()[0]
    whole = support.check_bits(lambda x: _core.softmax(x, axis=case.axis, log=log), [x])[0]
    if case.axis == -1:
        for i in range(len(x)):
            support.same_bits([np.asarray(_core.softmax(x[i : i + 1], log=log))[0]], [whole[i]])


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
