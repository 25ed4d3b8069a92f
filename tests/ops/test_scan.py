"""Running sums: every kernel against float64, gradients, equal bits, typed errors."""

import numpy as np
import pytest

from maas import _core, ops
from tests.ops import support
from tests.ops.levels import check_same_bits
from tests.ops.scan_cases import CASES, reference


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "bool"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_cumsum(case, dtype, level):
    x = case.operands(dtype)[0]
    with support.isa(level):
        y = np.asarray(_core.cumsum(x, axis=case.axis, reverse=case.reverse))
    want = reference(x, case.axis, case.reverse)
    assert y.shape == x.shape and y.dtype == ("int32" if dtype == "bool" else dtype)
    if y.dtype.kind != "f":
        np.testing.assert_array_equal(y, want)
        return
    # Sums that run one by one are off by at most one rounding of every sum so far.
    bound = np.finfo(dtype).eps * x.shape[case.axis] * reference(np.abs(x), case.axis, case.reverse)
    assert np.all(np.abs(y - want) <= bound)


@pytest.mark.parametrize("case", [c for c in CASES if 0 not in c.shape], ids=str)
def test_gradient(case):
    support.check_gradients(
        lambda x: _core.cumsum(x, axis=case.axis, reverse=case.reverse), case.operands("float64"), tolerance=1e-4
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_bits(case):
    x, params = case.operands()[0], {"axis": case.axis, "reverse": case.reverse}
    check_same_bits("cumsum", [x], params)
    if len(x) > 1 and x.ndim > 1 and case.axis != 0:
        whole = np.asarray(_core.cumsum(x, **params))
        for i in range(len(x)):
            support.same_bits([np.asarray(_core.cumsum(x[i : i + 1].copy(), **params))[0]], [whole[i]])


def test_a_nan_stays_in_its_row_and_behind_it():
    x = np.ones((20, 40), "float32")
    x[3, 17] = np.nan
    y = np.asarray(ops.cumsum(x, axis=1))
    assert np.isnan(y[3, 17:]).all() and np.isfinite(y[3, :17]).all() and np.isfinite(np.delete(y, 3, 0)).all()


def test_the_public_function():
    x = np.arange(6, dtype="uint8").reshape(2, 3)
    np.testing.assert_array_equal(ops.cumsum(x), np.cumsum(x))
    y = ops.cumsum(x, axis=0, dtype="float32")
    assert y.dtype == "float32"
    np.testing.assert_array_equal(y, np.cumsum(x, 0))
    with pytest.raises(ValueError, match="cumsum.*axis.*2"):
        ops.cumsum(x, axis=2)


def test_integers_become_exact_python_numbers():
    big = ops.convert_to_tensor(np.array(2**53 + 1, "int64"))
    assert int(big) == big.item() == 2**53 + 1
    assert isinstance(ops.convert_to_tensor(np.array(3, "int32")).item(), int)
    assert ops.convert_to_tensor(np.array(True)).item() is True
