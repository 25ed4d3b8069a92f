"""LSTM, GRU and simple RNN: unknown sizes, states without sequences, padding, Keras, typed errors.

Their cases are in recurrent_cases.py.
"""

import numpy as np
import pytest

from maas import _core, ops
from tests.ops import support
from tests.ops.recurrent_cases import LAYERS, STATES, recurrent, reference


def check(results, wanted, epsilons, what):
    for i, (a, b) in enumerate(zip(results, wanted)):
        assert a.shape == b.shape, (what, i)
        error = float(np.abs(a - b).max(initial=0))
        assert error <= 2.0**-23 * epsilons * np.abs(b).max(initial=1), (what, i, error)


@pytest.mark.parametrize("cell, case", [(cell, c) for cell, cases in LAYERS.items() for c in cases], ids=str)
def test_batch_and_time_unknown_when_compiled(cell, case):
    def f(*operands):
        return getattr(_core, cell)(*operands, **case.params)

    operands = case.operands()
    names = {0: ("batch", "time"), **{1 + i: ("batch",) for i in range(STATES[cell])}}
    if case.params["use_mask"]:
        names[len(operands) - 1] = ("batch", "time")
    given = [*operands, *support.cotangents(f, operands)]
    support.same_bits(support.program(f, operands, names).numpy(*given), support.program(f, operands).numpy(*given))


def test_without_sequences_the_states_are_the_same():
    case = recurrent("lstm", 4, 9, 3, 40, use_mask=True, reverse=True)
    operands = case.operands()
    h, c, _ = _core.lstm(*operands, **case.params)
    again = _core.lstm(*operands, **case.params, return_sequences=False)
    support.same_bits([h.numpy(), c.numpy()], [a.numpy() for a in again])


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_before", "simple_rnn"])
@pytest.mark.parametrize("padding", [1, 30])
def test_right_padding_under_a_mask_changes_no_bit(cell, padding):
    """Neither in outputs nor in gradients, whatever finite numbers stand in the padding."""
    after = {"reset_after": cell != "gru_before"} if cell.startswith("gru") else {}
    cell = cell.removesuffix("_before")
    case = recurrent(cell, 7, 9, 5, 33, use_mask=True, **after)

    def f(*operands):
        return getattr(_core, cell)(*operands, **case.params)

    operands = case.operands()
    operands[-1][:] = True
    *dstates, dy = support.cotangents(f, operands)
    names = {0: ("batch", "time"), len(operands) - 1: ("batch", "time")}
    names |= {1 + i: ("batch",) for i in range(STATES[cell])}
    p = support.program(f, operands, names)
    short = p.numpy(*operands, *dstates, dy)
    longer = [np.pad(operands[0], ((0, 0), (0, padding), (0, 0)), constant_values=3), *operands[1:]]
    longer[-1] = np.pad(operands[-1], ((0, 0), (0, padding)))
    long = p.numpy(*longer, *dstates, np.pad(dy, ((0, 0), (0, padding), (0, 0))))
    states = STATES[cell]  # states and y; then dx, of the states and of the weights
    assert not long[states + 1][:, 9:].any()
    for i in (states, states + 1):
        long[i] = long[i][:, :9]
    count = 2 * states + 2
    support.same_bits(short[:count], long[:count])


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("size", [1e-3, 1.0, 10.0, 1e4, 1e30])
def test_gates_alone(level, cell, size):
    """Sums that are exact show the error of gates and state: a few epsilons a step, near 0 and far from it."""
    case = recurrent(cell, 17, 6, 1, 37, use_bias=False)
    operands = case.operands()
    operands[0] *= size
    operands[-2] = np.sign(operands[-2])
    operands[-1] *= 0
    with support.isa(level):
        results = [t.numpy() for t in getattr(_core, cell)(*operands, **case.params)]
    with np.errstate(all="ignore"):
        wanted = reference(cell, *[a.astype(np.float64) for a in operands], **case.params)
    check(results, wanted, 12, (cell, size))


def test_a_nan_row_stays_alone():
    case = recurrent("lstm", 8, 5, 3, 20)
    operands = case.operands()
    clean = [a.numpy() for a in _core.lstm(*operands, **case.params)]
    operands[0][3, 2] = np.nan
    dirty = [a.numpy() for a in _core.lstm(*operands, **case.params)]
    others = np.arange(8) != 3
    support.same_bits([a[others] for a in clean], [a[others] for a in dirty])
    assert np.isnan(dirty[0][3]).all() and np.isnan(dirty[2][3, 2:]).all() and not np.isnan(dirty[2][3, :2]).any()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kind", ["lstm", "simple_rnn", "gru", "gru_before"])
def test_equals_keras(kind, backwards, masked):
    import keras

    after = {"reset_after": kind != "gru_before"} if kind.startswith("gru") else {}
    kind = kind.removesuffix("_before")
    case = recurrent(kind, 3, 11, 5, 12, use_mask=masked, reverse=backwards, **after)
    x, *states, kernel, recurrent_kernel, bias = case.operands()[: 4 + STATES[kind]]
    mask = case.operands()[-1] if masked else None
    for zero in (False, True):
        options = {"return_sequences": True, "return_state": True, "go_backwards": backwards, **after}
        made = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "simple_rnn": keras.layers.SimpleRNN}[kind]
        layer = made(12, **options)
        layer.build(x.shape)
        layer.zero_output_for_mask = zero
        layer.set_weights([kernel, recurrent_kernel, bias])
        wanted = [np.asarray(a) for a in layer(x, mask=mask, initial_state=list(states))]
        function = getattr(ops, kind)
        options = {"mask": mask, "reverse": backwards, "zero_output_for_mask": zero, **after}
        got = function(x, *states, kernel, recurrent_kernel, bias, return_sequences=True, **options)
        check([a.numpy() for a in got], wanted, 30, zero)
        last = function(x, *states, kernel, recurrent_kernel, bias, **options)
        support.same_bits([last[0].numpy()], [got[0].numpy()[:, -1]])


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({0: np.zeros((2, 3), "f4")}, ValueError, r"lstm: x must have the axes .*received \(2, 3\)"),
        (
            {0: np.zeros((2, 3, 4), "i4")},
            TypeError,
            "lstm: x must be float32, float64, bfloat16 or float16, received int32",
        ),
        ({1: np.zeros((2, 6), "f4")}, ValueError, r"lstm: h0 must have shape \(2, 7\) .*received \(2, 6\)"),
        ({2: np.zeros((3, 7), "f4")}, ValueError, r"lstm: c0 must have shape \(2, 7\) .*received \(3, 7\)"),
        ({3: np.zeros((5, 28), "f4")}, ValueError, r"lstm: kernel must have shape \(4, 28\) .*received \(5, 28\)"),
        ({4: np.zeros((7, 27), "f4")}, ValueError, r"lstm: recurrent_kernel must have shape .*received \(7, 27\)"),
        ({5: np.zeros((27,), "f4")}, ValueError, r"lstm: bias must have shape \(28,\), received"),
        ({5: np.zeros((28,), "f8")}, TypeError, "lstm: all operands .* float32, received float64"),
        ({6: np.ones((2, 4), bool)}, ValueError, r"lstm: mask must have shape \(2, 3\), received \(2, 4\)"),
    ],
)
def test_errors(change, error, message):
    operands = recurrent("lstm", 2, 3, 4, 7, use_mask=True).operands()
    for i, a in change.items():
        operands[i] = a
    x, h0, c0, kernel, recurrent_kernel, bias, mask = operands
    with pytest.raises(error, match=message):
        ops.lstm(x, h0, c0, kernel, recurrent_kernel, bias, mask=mask)


def test_an_unknown_activation_is_an_error():
    x, h0, kernel, recurrent_kernel, bias = recurrent("simple_rnn", 2, 3, 4, 7).operands()
    with pytest.raises(ValueError, match="received 'gelu'"):
        ops.simple_rnn(x, h0, kernel, recurrent_kernel, bias, activation="gelu")
