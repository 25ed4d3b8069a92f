"""Elementwise functions: chains, dtypes, errors. Cases are in elementwise_cases.py."""

import numpy as np
import pytest

from maas import _core
from tests.ops import support


def test_a_chain_is_one_step_with_the_bits_of_its_parts():
    rng = np.random.default_rng(0)
    x, b, s = (rng.standard_normal(n).astype("float32") for n in ((50, 33), (33,), ()))

    def f(x, b, s):
        y = _core.tanh(_core.add(_core.multiply(x, s), b))
        return _core.where(_core.greater(y, 0.25), y, _core.exp(_core.negative(y)))

    with _core.Trace() as trace:
        inputs = [trace.input(["batch", 33]), trace.input([33]), trace.input([])]
        program = trace.compile([f(*inputs)])
    assert program.plan.count("step") == 2, program.plan
    support.same_bits(program.numpy(x, b, s), [np.asarray(f(x, b, s))])


def test_an_operand_read_transposed_is_not_overwritten():
    x = np.arange(9, dtype="float32").reshape(3, 3)
    with _core.Trace() as trace:
        a = _core.exp(_core.multiply(trace.input([3, 3]), 0.1))
        program = trace.compile([_core.add(a, _core.transpose(a, axes=[1, 0]))])
    e = np.exp(x * np.float32(0.1))
    np.testing.assert_allclose(program.numpy(x)[0], e + e.T, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "uint32", "bool"])
def test_integers(dtype):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 2 if dtype == "bool" else 50, 200).astype(dtype) for _ in range(2))
    np.testing.assert_array_equal(np.asarray(_core.equal(a, b)), a == b)
    if dtype != "bool":
        np.testing.assert_array_equal(np.asarray(_core.add(a, b)), a + b)
        np.testing.assert_array_equal(np.asarray(_core.maximum(a, b)), np.maximum(a, b))
        np.testing.assert_array_equal(np.asarray(_core.floor_divide(a, b + 1)), a // (b + 1))
    for target in ("float32", "int32", "int64", "bool", "float64"):
        np.testing.assert_array_equal(np.asarray(_core.cast(a, dtype=target)), a.astype(target))


def test_division_by_zero_and_overflowing_casts_are_defined():
    zero = np.zeros(3, "int32")
    np.testing.assert_array_equal(np.asarray(_core.floor_divide(np.arange(3, dtype="int32"), zero)), zero)
    wild = np.array([np.nan, np.inf, -np.inf, 1e20], "float32")
    np.testing.assert_array_equal(np.asarray(_core.cast(wild, dtype="int32")), [0, 2**31 - 1, -(2**31), 2**31 - 1])


def test_numbers_take_the_tensors_dtype():
    assert _core.add(np.ones(2, "float32"), 1.5).dtype == "float32"
    assert _core.add(np.ones(2, "int32"), 1).dtype == "int32"
    assert _core.add(np.ones(2, "int32"), 1.5).dtype == "float32"
    assert _core.exp(np.ones(2, "int32")).dtype == "float32"


def test_errors_say_what_came():
    with pytest.raises(ValueError, match=r"add: shapes do not broadcast, received \(3,\) and \(4,\)"):
        _core.add(np.zeros(3, "float32"), np.zeros(4, "float32"))
    with pytest.raises(TypeError, match="unknown parameter, received 'axis'"):
        _core.exp(np.zeros(3, "float32"), axis=1)


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floor_divide_by_zero_and_infinity(dtype, level):
    """As Keras on JAX and NumPy give it: x // 0 is infinite with the sign of x / 0."""
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -2.0, 3e30], dtype)
    a, b = (m.ravel() for m in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        want = np.floor_divide(a, b)
    with support.isa(level):
        np.testing.assert_array_equal(np.asarray(_core.floor_divide(a, b)), want)
