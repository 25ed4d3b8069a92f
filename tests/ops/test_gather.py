"""Reading by index and its gradients; every index value is safe."""

import numpy as np
import pytest

from maas import _core, ops
from tests.ops.gather_cases import HOSTILE, TAKE, TAKE_ALONG
from tests.ops.levels import check_gradients, check_same_bits, compiled


def indices(shape, size, dtype="int64"):
    return np.random.default_rng(1).integers(-size, size, shape).astype(dtype)


@pytest.mark.parametrize("index_dtype", ["int8", "int32", "int64"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int64", "bool"])
@pytest.mark.parametrize("shape,index_shape,axis", TAKE)
def test_take(shape, index_shape, axis, dtype, index_dtype):
    x = (np.random.default_rng(0).standard_normal(shape) * 9).astype(dtype)
    i = indices(index_shape, shape[axis], index_dtype)
    got = ops.take(x, i, axis).numpy()
    assert got.dtype == x.dtype
    np.testing.assert_array_equal(got, np.take(x, i, axis))
    check_same_bits("take", [x, i], {"axis": axis})


@pytest.mark.parametrize("shape,index_shape,axis", TAKE_ALONG)
def test_take_along_axis(shape, index_shape, axis):
    x, i = np.random.default_rng(0).standard_normal(shape).astype("float32"), indices(index_shape, shape[axis])
    np.testing.assert_array_equal(ops.take_along_axis(x, i, axis).numpy(), np.take_along_axis(x, i, axis))
    check_same_bits("take_along_axis", [x, i], {"axis": axis})


def test_broadcast_indices():
    x = np.random.default_rng(0).standard_normal((3, 4, 5)).astype("float32")
    i = np.array([[[1], [0]]])
    np.testing.assert_array_equal(ops.take_along_axis(x, i, 1).numpy(), np.take_along_axis(x, i, 1))
    np.testing.assert_array_equal(ops.take(x, [0, -1]).numpy(), x.ravel()[[0, -1]])


def test_gradients():
    x = np.random.default_rng(0).standard_normal((5, 4))
    i = np.array([[0, 4, 0], [-1, 2, 0]])  # repeated rows add up
    for axis, j in ((0, i), (1, i % 4)):
        check_gradients(lambda x, i, axis=axis: _core.sin(_core.take(x, i, axis=axis)), x, j)
    check_gradients(
        lambda x, i: _core.sin(_core.take_along_axis(x, i, axis=0)), x, np.array([[0, 1, 2, 3], [0, 4, -1, 3]])
    )
    check_gradients(lambda dy, i: _core.sin(_core.take_gradient(dy, i, axis=0, size=[5])), np.ones((2, 3, 4)), i)


def test_gradient_bits():
    rng = np.random.default_rng(0)
    dy, i = rng.standard_normal((300, 17)).astype("float32"), rng.integers(0, 40, 300)
    check_same_bits("take_gradient", [dy, i], {"axis": 0, "size": [40]})
    want = np.zeros((40, 17))
    np.add.at(want, i, dy.astype("float64"))
    np.testing.assert_allclose(_core.take_gradient(dy, i, axis=0, size=[40]).numpy(), want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bad", HOSTILE)
def test_hostile_indices(bad):
    x, i = np.ones((5, 3), "float32"), np.array([[0, 1], [bad, 2]])
    with pytest.raises(IndexError, match=rf"take: index out of range at flat position 2, received {bad}"):
        ops.take(x, i, 0)
    with pytest.raises(IndexError, match=rf"take_gradient: .* position 2, received {bad}"):
        _core.take_gradient(np.ones((2, 2, 3), "float32"), i, axis=0, size=[5])
    along = np.array([[0, 1, bad]])
    with pytest.raises(IndexError, match=rf"take_along_axis: .* position 2, received {bad}"):
        ops.take_along_axis(x, along, 0)
    with pytest.raises(IndexError, match=rf"take_along_axis_gradient: .* position 2, received {bad}"):
        _core.take_along_axis_gradient(np.ones((1, 3), "float32"), along, axis=0, size=[5])


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
