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


# More terms than a block of a panel has, several panels, and every number of tiles that ask for the next panel; many
# rows of few terms, which threads share by rows.
@pytest.mark.parametrize(
    "m, k, n", [(7, 1025, 192), (13, 2100, 130), (26, 1100, 256), (61, 1300, 70), (130, 24, 150), (500, 3, 66)]
)
def test_bits_depend_on_no_cut_and_no_isa(m, k, n):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((m, k)).astype("float32"), rng.standard_normal((k, n)).astype("float32")
    wanted = x.astype("float64") @ w.astype("float64")
    bound = np.finfo("float32").eps * (4 + 2 * k**0.5) * (np.abs(x).astype("float64") @ np.abs(w))
    results = {}
    for level in support.LEVELS:
        with support.isa(level):
            results[level] = np.asarray(_core.matmul(x, w))
            for rows in (slice(0, 1), slice(1, 6), slice(2, None)):
                support.same_bits([np.asarray(_core.matmul(x[rows], w))], [results[level][rows]])
        assert (np.abs(results[level] - wanted) <= bound).all()
    vector = [y for level, y in results.items() if level != "ref"]
    for y in vector[1:]:
        support.same_bits([y], [vector[0]])


@pytest.mark.parametrize("m", [1, 6, 20])
def test_special_values_and_memory_forms(m):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((m, 1100)).astype("float32"), rng.standard_normal((1100, 150)).astype("float32")
    plain = np.asarray(_core.matmul(x, w))
    # Misaligned, reversed and strided operands hold the same numbers.
    room = np.empty(x.size + 1, "float32")
    odd = room[1:].reshape(x.shape)
    odd[...] = x
    wide = np.empty((m, 2200), "float32")
    wide[:, ::2] = x
    for other in (odd, wide[:, ::2], np.asfortranarray(x), x[:, ::-1].copy()[:, ::-1]):
        support.same_bits([np.asarray(_core.matmul(other, w))], [plain])
    support.same_bits([np.asarray(_core.matmul(x, np.asfortranarray(w)))], [plain])
    # Denormals count as zeros; infinities and NaN stay in their row and column.
    tiny = x.copy()
    tiny[:, 0] = 1e-40
    zero = x.copy()
    zero[:, 0] = 0
    support.same_bits([np.asarray(_core.matmul(tiny, w))], [np.asarray(_core.matmul(zero, w))])
    x[0, 5], w[7, 149] = np.inf, np.nan
    y = np.asarray(_core.matmul(x, w))
    assert np.isinf(y[0, :149]).all() and np.isnan(y[:, 149]).all()
    support.same_bits([y[1:, :149]], [plain[1:, :149]])


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("n", [5, 64, 70])
@pytest.mark.parametrize(
    "tail",
    [
        "bias",
        "bias_relu",
        "relu",
        "relu6",
        "bias_relu6",
        "bias_tanh",
        "residual",
        "residual_alone",
        "residual_relu6",
        "residual_first",
        "residual_last",
        "residual_scaled",
        "scalar",
    ],
)
def test_epilogues_equal_separate_steps(tail, n, level):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((11, 20)).astype("float32"), rng.standard_normal((20, n)).astype("float32")
    b, r = rng.standard_normal(n).astype("float32"), rng.standard_normal((11, n)).astype("float32")
    x[3], x[5, 0], b[0] = np.nan, np.inf, 100.0
    tails = {
        "bias": lambda y, b, r: _core.add(y, b),
        "bias_relu": lambda y, b, r: _core.relu(_core.add(y, b)),
        "relu": lambda y, b, r: _core.relu(y),
        "relu6": lambda y, b, r: _core.relu6(y),
        "bias_relu6": lambda y, b, r: _core.relu6(_core.add(y, b)),
        "bias_tanh": lambda y, b, r: _core.tanh(_core.add(y, b)),
        "residual": lambda y, b, r: _core.relu(_core.add(_core.add(y, b), r)),
        "residual_alone": lambda y, b, r: _core.add(r, y),
        "residual_relu6": lambda y, b, r: _core.relu6(_core.add(y, r)),
        "residual_first": lambda y, b, r: _core.add(_core.add(y, r), b),
        "residual_last": lambda y, b, r: _core.add(_core.relu(_core.add(y, b)), r),
        "residual_scaled": lambda y, b, r: _core.add(_core.multiply(y, b), r),
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
