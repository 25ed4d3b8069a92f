"""Fused updates: state written in place, other dtypes, typed errors. Cases are in optimizer_cases.py."""

import numpy as np
import pytest

from maas import _core
from maas.backend.variable import Variable
from tests.ops import optimizer_cases as cases


@pytest.mark.parametrize("op", cases.OPS, ids=lambda op: op.name)
def test_state_is_written_in_place(op):
    for case in op.cases:
        x = case.operands()
        if len(x[0]) != 1024:
            continue
        state = [Variable(a) for i, a in enumerate(x) if i not in (1, 2)]
        with _core.Trace() as trace:
            g = trace.input([1024], "float32")
            got = op.function(case)(state[0], g, x[2], *state[1:])
            for variable, value in zip(state, got if isinstance(got, tuple) else (got,)):
                variable.assign(value)
            program = trace.compile([])
        assert "0 copied updates" in program.plan
        want = [a.astype("float64") for a in x]
        for _ in range(3):
            program.numpy(x[1])
            new = op.wanted(case, want)
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
