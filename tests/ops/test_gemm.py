"""Matrix products: rows alone and in company, epilogues, errors. Its cases are in gemm_cases.py."""

import numpy as np
import pytest

from maas import _core
from tests.ops import support


@pytest.mark.parametrize("n", [1, 10, 16, 33, 64, 100])
def test_a_row_has_the_same_bits_in_every_batch(n):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((40, 700)).astype("float32"), rng.standard_normal((700, n)).astype("float32")
    whole = np.asarray(_core.matmul(x, w))
    for begin, end in ((0, 1), (39, 40), (3, 8), (7, 21), (0, 39)):
        support.same_bits([np.asarray(_core.matmul(x[begin:end], w))], [whole[begin:end]])


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("n", [5, 64, 70])
@pytest.mark.parametrize("tail", ["bias", "bias_relu", "relu", "bias_tanh", "residual", "scalar"])
def test_epilogues_equal_separate_steps(tail, n, level):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((11, 20)).astype("float32"), rng.standard_normal((20, n)).astype("float32")
    b, r = rng.standard_normal(n).astype("float32"), rng.standard_normal((11, n)).astype("float32")
    tails = {
        "bias": lambda y, b, r: _core.add(y, b),
        "bias_relu": lambda y, b, r: _core.relu(_core.add(y, b)),
        "relu": lambda y, b, r: _core.relu(y),
        "bias_tanh": lambda y, b, r: _core.tanh(_core.add(y, b)),
        "residual": lambda y, b, r: _core.relu(_core.add(_core.add(y, b), r)),
        "scalar": lambda y, b, r: _core.add(_core.multiply(y, 0.5), b),
    }
    with support.isa(level):
        with _core.Trace() as trace:
            inputs = [trace.input(["batch", 20]), trace.input([n]), trace.input(["batch", n])]
            program = trace.compile([tails[tail](_core.matmul(inputs[0], w), *inputs[1:])])
        assert program.plan.count("step") == 2, program.plan  # one step, and the line about the commit point
        fused = program.numpy(x, b, r)[0]
        apart = np.asarray(tails[tail](_core.matmul(x, w), b, r))
    support.same_bits([fused], [apart])


def test_a_nan_stays_in_its_row():
    x = np.ones((20, 30), "float32")
    x[7, 3] = np.nan
    y = np.asarray(_core.matmul(x, np.ones((30, 70), "float32")))
    assert np.isnan(y[7]).all() and np.isfinite(np.delete(y, 7, 0)).all()


@pytest.mark.parametrize(
    "a, b, text",
    [
        ((3, 4), (5, 6), r"inner sizes differ.*received \(3, 4\) and \(5, 6\)"),
        ((4,), (4, 2), r"at least two axes, received \(4,\) and \(4, 2\)"),
        ((2, 3, 4), (5, 4, 6), "do not broadcast"),
    ],
)
def test_errors_say_what_came(a, b, text):
    with pytest.raises(ValueError, match=text):
        _core.matmul(np.zeros(a, "float32"), np.zeros(b, "float32"))
