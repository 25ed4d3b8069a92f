"""Fused updates: every kernel against float64, equal bits where they are promised, state written in place."""

import numpy as np
import pytest

from maas import _core
from maas.backend.variable import Variable
from tests.ops import optimizer_cases as cases
from tests.ops.levels import LEVELS, at_level, check_same_bits

UPDATES = [("sgd", c) for c in cases.SGD] + [("adam", c) for c in cases.ADAM]


def operands(name, params, n, dtype):
    rng = np.random.default_rng(n)
    w, g, m, v, h = (rng.standard_normal(n).astype(dtype) for _ in range(5))
    rate = np.asarray(0.01, dtype)
    if name == "sgd":
        return [w, g, rate, *([m] if params.get("momentum") else [])]
    return [w, g, rate, m, v * v, *([h * h] if params.get("amsgrad") else [])]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name,params", UPDATES)
def test_updates(name, params, dtype, level):
    for n in cases.SIZES:
        x = operands(name, params, n, dtype)
        with at_level(level):
            got = getattr(_core, name)(*x, **params)
        got = [a.numpy() for a in (got if isinstance(got, tuple) else (got,))]
        want = getattr(cases, name)(*(a.astype("float64") for a in x), **params)
        assert len(got) == len(want)
        for a, b in zip(got, want):
            assert a.dtype == dtype
            np.testing.assert_allclose(a, b, rtol=8 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name,params", UPDATES)
def test_bits(name, params):
    for n in cases.SIZES:
        check_same_bits(name, operands(name, params, n, "float32"), params)


@pytest.mark.parametrize("name,params", UPDATES)
def test_state_is_written_in_place(name, params):
    x = operands(name, params, 100, "float32")
    state = [Variable(a) for i, a in enumerate(x) if i not in (1, 2)]
    with _core.Trace() as trace:
        g = trace.input([100], "float32")
        got = getattr(_core, name)(state[0], g, x[2], *state[1:], **params)
        for variable, value in zip(state, got if isinstance(got, tuple) else (got,)):
            variable.assign(value)
        program = trace.compile([])
    assert "0 copied updates" in str(program.plan() if callable(program.plan) else program.plan)
    want = [a.astype("float64") for a in x]
    for _ in range(3):
        program.numpy(x[1])
        new = getattr(cases, name)(*want, **params)
        want = [new[0], want[1], want[2], *new[1:]]
    for variable, value in zip(state, [want[0], *want[3:]]):
        np.testing.assert_allclose(variable.numpy(), value, rtol=1e-5, atol=1e-6)


def test_other_dtypes_use_the_composition():
    w, g = np.ones(5, "float16"), np.full(5, 0.5, "float16")
    np.testing.assert_array_equal(_core.sgd(w, g, np.float16(0.5)).numpy(), np.full(5, 0.75, "float16"))


def test_errors():
    w = np.ones(3, "float32")
    with pytest.raises(ValueError, match=r"sgd: operand 1 must have w's shape \(3,\), received \(2,\)"):
        _core.sgd(w, w[:2], np.float32(1))
    with pytest.raises(TypeError, match="must have w's dtype float32, received float64"):
        _core.sgd(w, w.astype("float64"), np.float32(1))
