"""LSTM, GRU and simple RNN: every kernel against float64, gradients, equal bits where promised, Keras, typed errors."""

import numpy as np
import pytest

from maas import _core, ops
from tests.ops.recurrent_forms_cases import CASES, Case, reference

EPS = {np.dtype("float32"): 2.0**-23, np.dtype("float64"): 2.0**-52}


def use_level(name):
    try:
        _core.set_isa(name)
    except ValueError:
        pytest.skip(f"missing ISA {name}")


@pytest.fixture(autouse=True)
def restore():
    before, threads = _core.isa(), _core.get_num_threads()
    yield
    _core.set_isa("avx512" if "avx512" in before else "avx2" if "avx2" in before else "ref")
    _core.set_num_threads(threads)


def program(case, dtype="float32", gradients=True):
    """(operands, dy, dh, [dc]) -> h, [c], y and the gradients of all float operands, for any batch and time."""
    shapes = [a.shape for a in case.operands()]
    names = ["x", *["state"] * case.states]
    with _core.Trace() as trace:
        given = []
        for i, shape in enumerate(shapes):
            is_mask = case.use_mask and i == len(shapes) - 1
            batch = ["batch", "time"][: 2 if i == 0 or is_mask else 1] if i < len(names) or is_mask else []
            given.append(trace.input([*batch, *shape[len(batch) :]], "bool" if is_mask else dtype))
        dy = trace.input(["batch", "time", case.units], dtype)
        dstates = [trace.input(["batch", case.units], dtype) for _ in range(case.states)]
        *states, y = getattr(_core, case.cell)(*given, **case.options)
        results = [*states, y]
        if gradients:
            loss = _core.sum(y * dy)
            for s, d in zip(states, dstates):
                loss = loss + _core.sum(s * d)
            targets = given[:-1] if case.use_mask else given
            results += _core.gradients(loss, targets)
    return trace.compile(results)


def cotangents(case, dtype=np.float32):
    rng = np.random.default_rng(5)
    shapes = [(case.batch, case.steps, case.units), *[(case.batch, case.units)] * case.states]
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


def run(p, arrays):
    return [np.asarray(a) for a in p(*arrays)]


def check(results, wanted, eps, what):
    for i, (a, b) in enumerate(zip(results, wanted)):
        assert a.shape == b.shape, (what, i)
        scale = max(1.0, float(np.abs(b).max(initial=0)))
        error = float(np.abs(a - b).max(initial=0))
        assert error <= eps * scale, (what, i, error, eps * scale)


def same_bits(a, b):
    def fingerprint(arrays):
        return [(x.dtype, x.shape, x.tobytes()) for x in arrays]

    return fingerprint(a) == fingerprint(b)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("level", ["ref", "avx2", "avx512"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward(case, level, dtype):
    use_level(level)
    operands = case.operands(dtype)
    results = [np.asarray(a) for a in getattr(_core, case.cell)(*operands, **case.options)]
    # z sums units + features products; a step's error grows by less than 1 from step to step for these weights.
    terms = 8 + case.units + case.features
    check(results, reference(case, *operands), EPS[np.dtype(dtype)] * terms, level)


@pytest.mark.parametrize("case", [c for c in CASES if c.units <= 33 and c.batch < 10], ids=str)
def test_gradient_is_the_slope(case):
    """Float64 gradients against central differences along random directions."""
    operands, dys = case.operands(np.float64), cotangents(case, np.float64)
    results = run(program(case, "float64"), [*operands, *dys])
    gradients = results[case.states + 1 :]
    order = [*dys[1:], dys[0]]  # as the outputs

    def loss(arrays):
        return sum(float((r * d).sum()) for r, d in zip(reference(case, *arrays), order))

    rng = np.random.default_rng(9)
    floats = operands[:-1] if case.use_mask else operands
    assert len(gradients) == len(floats)
    for i, (a, g) in enumerate(zip(floats, gradients)):
        direction = rng.standard_normal(a.shape)
        up, down = list(operands), list(operands)
        step = 1e-6
        up[i], down[i] = a + step * direction, a - step * direction
        slope = (loss(up) - loss(down)) / (2 * step)
        assert abs(slope - float((g * direction).sum())) <= 1e-7 * max(1.0, np.abs(g).sum()), i


@pytest.mark.parametrize("level", ["ref", "avx2", "avx512"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_in_float32(case, level):
    use_level(level)
    operands, dys = case.operands(), cotangents(case)
    got = run(program(case), [*operands, *dys])
    wide = [a if a.dtype == bool else a.astype(np.float64) for a in [*operands, *dys]]
    wanted = run(program(case, "float64"), wide)
    terms = 40 + 4 * case.units + case.features + case.batch * case.steps
    check(got, wanted, EPS[np.dtype("float32")] * terms, level)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_same_bits_on_every_isa_thread_count_and_cut(case):
    arrays = [*case.operands(), *cotangents(case)]
    results = {}
    for level in ("avx2", "avx512"):
        use_level(level)
        for threads in (1, 2):
            _core.set_num_threads(threads)
            p = program(case)
            results[level, threads, "whole"] = run(p, arrays)
            for seed in (1, 2):
                results[level, threads, seed] = [np.asarray(a) for a in p.run_cut(arrays, seed)]
    first = results["avx2", 1, "whole"]
    for key, other in results.items():
        assert same_bits(first, other), key


@pytest.mark.parametrize("case", [c for c in CASES if c.batch > 1], ids=str)
def test_a_row_does_not_depend_on_its_batch(case):
    p = program(case)
    operands, dys = case.operands(), cotangents(case)
    results = run(p, [*operands, *dys])
    kept = case.states + 1
    per_row = list(range(kept + 1 + case.states))  # outputs, dx, dstates; the weights' gradients see all rows
    for row in (0, case.batch // 2, case.batch - 1):
        one = slice(row, row + 1)
        batched = [i for i, a in enumerate(operands) if i <= case.states or a.dtype == bool]
        alone = [a[one] if i in batched else a for i, a in enumerate(operands)]
        again = run(p, [*alone, *(d[one] for d in dys)])
        assert same_bits([results[i][one] for i in per_row], [again[i] for i in per_row]), row


def test_without_sequences_the_states_are_the_same():
    case = Case("lstm", 4, 9, 3, 40, use_mask=True, reverse=True)
    operands = case.operands()
    h, c, _ = _core.lstm(*operands, **case.options)
    again = _core.lstm(*operands, **case.options, return_sequences=False)
    assert same_bits([h.numpy(), c.numpy()], [a.numpy() for a in again])


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_before", "simple_rnn"])
@pytest.mark.parametrize("padding", [1, 30])
def test_right_padding_under_a_mask_changes_no_bit(cell, padding):
    """Neither in outputs nor in gradients, whatever finite numbers stand in the padding."""
    case = Case(cell.removesuffix("_before"), 7, 9, 5, 33, use_mask=True, reset_after=cell != "gru_before")
    operands, dys = case.operands(), cotangents(case)
    operands[-1][:] = True
    p = program(case)
    short = run(p, [*operands, *dys])
    longer = list(operands)
    longer[0] = np.pad(operands[0], ((0, 0), (0, padding), (0, 0)), constant_values=3)
    longer[-1] = np.pad(operands[-1], ((0, 0), (0, padding)))
    dy = np.pad(dys[0], ((0, 0), (0, padding), (0, 0)))
    long = run(p, [*longer, dy, *dys[1:]])
    per_row = case.states + 1  # outputs: states and y; then dx and the rest
    assert same_bits(short[: case.states], long[: case.states])
    assert same_bits([short[case.states]], [long[case.states][:, :9]])
    assert same_bits([short[per_row]], [long[per_row][:, :9]])
    assert not long[per_row][:, 9:].any()
    assert same_bits(short[per_row + 1 : per_row + 1 + case.states], long[per_row + 1 : per_row + 1 + case.states])


def test_a_nan_row_stays_alone():
    case = Case("lstm", 8, 5, 3, 20)
    operands = case.operands()
    clean = [a.numpy() for a in _core.lstm(*operands, **case.options)]
    operands[0][3, 2] = np.nan
    dirty = [a.numpy() for a in _core.lstm(*operands, **case.options)]
    others = np.arange(8) != 3
    assert same_bits([a[others] for a in clean], [a[others] for a in dirty])
    assert np.isnan(dirty[0][3]).all() and np.isnan(dirty[2][3, 2:]).all() and not np.isnan(dirty[2][3, :2]).any()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kind", ["lstm", "simple_rnn", "gru", "gru_before"])
def test_equals_keras(kind, backwards, masked):
    import keras

    after = kind != "gru_before"
    kind = kind.removesuffix("_before")
    case = Case(kind, 3, 11, 5, 12, use_mask=masked, reverse=backwards, reset_after=after)
    x, *states, kernel, recurrent, bias = case.operands()[: 4 + case.states]
    mask = case.operands()[-1] if masked else None
    for zero in (False, True):
        options = {"return_sequences": True, "return_state": True, "go_backwards": backwards}
        if kind == "gru":
            options["reset_after"] = after
        made = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "simple_rnn": keras.layers.SimpleRNN}[kind]
        layer = made(12, **options)
        layer.build(x.shape)
        layer.zero_output_for_mask = zero
        layer.set_weights([kernel, recurrent, bias])
        wanted = [np.asarray(a) for a in layer(x, mask=mask, initial_state=list(states))]
        function = getattr(ops, kind)
        options = {"mask": mask, "reverse": backwards, "zero_output_for_mask": zero}
        if kind == "gru":
            options["reset_after"] = after
        got = function(x, *states, kernel, recurrent, bias, return_sequences=True, **options)
        check([a.numpy() for a in got], wanted, EPS[np.dtype("float32")] * 30, zero)
        last = function(x, *states, kernel, recurrent, bias, **options)
        assert same_bits([last[0].numpy()], [got[0].numpy()[:, -1]])


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({0: np.zeros((2, 3), "f4")}, ValueError, r"lstm: x must have the axes .*received \(2, 3\)"),
        ({0: np.zeros((2, 3, 4), "i4")}, TypeError, "lstm: x must be float32 or float64, received int32"),
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
    operands = Case("lstm", 2, 3, 4, 7, use_mask=True).operands()
    for i, a in change.items():
        operands[i] = a
    x, h0, c0, kernel, recurrent, bias, mask = operands
    with pytest.raises(error, match=message):
        ops.lstm(x, h0, c0, kernel, recurrent, bias, mask=mask)


def test_an_unknown_activation_is_an_error():
    x, h0, kernel, recurrent, bias = Case("simple_rnn", 2, 3, 4, 7).operands()
    with pytest.raises(ValueError, match="received 'gelu'"):
        ops.simple_rnn(x, h0, kernel, recurrent, bias, activation="gelu")
