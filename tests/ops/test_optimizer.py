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
        variables, lead = case.params.get("variables", 1), sum(a.shape == () for a in x)
        width = (len(x) - lead) // variables
        gradients = [i for i in range(lead, len(x)) if (i - lead) % width == 1]
        held = [i for i in range(lead, len(x)) if i not in gradients]
        if any(a.size == 0 for a in x):
            continue
        state = {i: Variable(x[i]) for i in held}
        with _core.Trace() as trace:
            given = {i: trace.input(list(x[i].shape), "float32") for i in gradients}
            got = op.function(case)(*[state.get(i, given.get(i, x[i])) for i in range(len(x))])
            for i, value in zip(held, got if isinstance(got, (tuple, list)) else (got,), strict=True):
                state[i].assign(value)
            program = trace.compile([])
        assert "0 copied updates" in program.plan
        want = [a.astype("float64") for a in x]
        for _ in range(3):
            program.numpy(*[x[i] for i in gradients])
            for i, value in zip(held, op.wanted(case, want), strict=True):
                want[i] = value
        for i in held:
            size = max(1, np.abs(want[i]).max())
            np.testing.assert_allclose(state[i].numpy(), want[i], rtol=1e-5, atol=1e-6 * size, err_msg=str(case))


def test_other_dtypes_use_the_composition():
    w, g = np.ones(5, "float16"), np.full(5, 0.5, "float16")
    np.testing.assert_array_equal(_core.sgd(np.float16(0.5), w, g).numpy(), np.full(5, 0.75, "float16"))


def test_errors():
    w = np.ones(3, "float32")
    with pytest.raises(ValueError, match=r"sgd: operand 2 must have its variable's shape \(3,\), received \(2,\)"):
        _core.sgd(np.float32(1), w, w[:2])
    with pytest.raises(TypeError, match="must have the first one's dtype float32, received float64"):
        _core.sgd(np.float32(1), w, w.astype("float64"))
