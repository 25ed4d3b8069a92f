"""Running sums: what is behind a NaN, the public function, typed errors. Its cases are in scan_cases.py."""

import numpy as np
import pytest

from maas import ops


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
