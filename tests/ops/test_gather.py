"""Reading by index: the public functions, state after a bad index, typed errors. Its cases are in gather_cases.py."""

import numpy as np
import pytest

from maas import _core, ops
from tests.ops.support import compiled


def test_broadcast_indices():
    x = np.random.default_rng(0).standard_normal((3, 4, 5)).astype("float32")
    i = np.array([[[1], [0]]])
    np.testing.assert_array_equal(ops.take_along_axis(x, i, 1).numpy(), np.take_along_axis(x, i, 1))
    np.testing.assert_array_equal(ops.take(x, [0, -1]).numpy(), x.ravel()[[0, -1]])


def test_state_stays_when_an_index_is_bad():
    from maas.backend.variable import Variable

    table = Variable(np.ones((5, 3), "float32"))
    with _core.Trace() as trace:
        i = trace.input(["batch"], "int64")
        loss = _core.sum(_core.take(table, i, axis=0))
        table.assign(_core.subtract(table.value, _core.gradients(loss, [table])[0]))
        program = trace.compile([loss])
    with pytest.raises(IndexError):
        program.numpy(np.array([0, 9]))
    np.testing.assert_array_equal(table.numpy(), np.ones((5, 3)))
    program.numpy(np.array([0, 0, 4]))
    np.testing.assert_array_equal(table.numpy()[:, 0], [-1, 1, 1, 1, 0])


def test_errors():
    x = np.ones((5, 3), "float32")
    with pytest.raises(TypeError, match="indices must be integers, received float32"):
        ops.take(x, x, 0)
    with pytest.raises(ValueError, match="axis must be in"):
        ops.take(x, np.array([0]), 2)
    assert compiled(lambda i: [_core.take(x, i, axis=0)], (("n",), "int32")).numpy(np.array([], "int32"))[0].shape == (
        0,
        3,
    )
