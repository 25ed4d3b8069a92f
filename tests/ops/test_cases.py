"""Every case of every case file: values, gradients, equal bits, rows, hostile indices. `-k softmax` runs one op's."""

import functools

import numpy as np
import pytest

from maas import _core
from tests.ops import support
from tests.ops.case import all_ops, widened

PAIRS = [(op, case) for op in all_ops() for case in op.cases if not case.bench]


def each(keep=lambda op, case: True):
    chosen = [pytest.param(op, case, id=f"{op.name}-{case}") for op, case in PAIRS if keep(op, case)]
    return pytest.mark.parametrize("op, case", chosen)


at_each_level = pytest.mark.parametrize("level", support.LEVELS)


@pytest.mark.filterwarnings("ignore:Mean of empty")
@each()
@at_each_level
def test_forward(op, case, level):
    with support.isa(level):
        for dtype in case.dtypes or op.dtypes:
            check_forward(op, case, dtype)


def check_forward(op, case, dtype):
    operands = case.operands(dtype)
    results = support.forward(op.function(case), operands)
    wanted = op.wanted(case, operands)
    assert len(results) == len(wanted)
    floats, result = any(w.dtype.kind == "f" for w in wanted), op.result_dtype(dtype)
    bounds = op.allowed(case, operands, wanted, result) if floats else [None] * len(wanted)
    for y, want, bound in zip(results, wanted, bounds):
        assert y.shape == want.shape, dtype
        if want.dtype.kind != "f":
            assert y.dtype == want.dtype, dtype
            np.testing.assert_array_equal(y, want)
            continue
        assert y.dtype == result, dtype
        with np.errstate(all="ignore"):
            same = (y == want.astype(y.dtype)) | (np.isnan(y) & np.isnan(want))
            error = np.abs(y.astype("float64") - want)
            right = same | (error <= bound)
            assert np.all(right), f"{dtype}: {np.max((error / bound)[~right])} times the allowed error"


@each(lambda op, case: op.gradient and case.gradient)
def test_gradient_is_the_slope(op, case):
    """Float64 gradients against differences of the reference."""
    support.check_gradients(op.function(case), case.operands("float64"), meaning=lambda a: op.wanted(case, a))


@functools.lru_cache(maxsize=4)  # one case at three levels
def wide_gradients(op, case):
    operands = case.operands()
    ws = support.cotangents(op.function(case), operands)
    wide = [widened(a) for a in (*operands, *ws)]
    return operands, ws, support.program(op.function(case), wide[: len(operands)]).numpy(*wide)


@each(lambda op, case: op.gradient and not case.special)
@at_each_level
def test_float32_gradients(op, case, level):
    """Against the float64 rows on the same numbers, with an unknown batch."""
    operands, ws, wanted = wide_gradients(op, case)
    with support.isa(level):
        p = support.program(op.function(case), operands, op.rows_of(case) if op.symbolic else ())
        results = p.numpy(*operands, *ws)
    for got, want in zip(results[len(ws) :], wanted[len(ws) :]):
        bound = 2.0**-23 * op.allowed_gradient(case, operands) * np.abs(want).max(initial=1)
        np.testing.assert_allclose(got, want, rtol=0, atol=bound)


@each()
def test_bits(op, case):
    """The same on AVX2 and AVX-512, for any cut, on one and two threads."""
    support.check_bits(op.function(case), case.operands(), op.gradient)


@each(lambda op, case: op.rows_of(case) and case.shapes[op.rows_of(case)[0]][0] > 1)
@at_each_level
def test_rows(op, case, level):
    """A row has the same bits alone and in every batch, and a NaN stays in its row."""
    operands, rows, f = case.operands(), op.rows_of(case), op.function(case)
    n = len(operands[rows[0]])
    ws = support.cotangents(f, operands) if op.gradient else []
    floats = [i for i, a in enumerate(operands) if a.dtype.kind == "f"]

    with support.isa(level):
        p = support.program(f, operands, rows if op.symbolic else (), op.gradient)

        def per_row(given, begin, end):
            """Results of rows [begin, end) that belong to a row: outputs, and gradients of what carries the batch."""
            part = [a[begin:end] if i in rows else a for i, a in enumerate(given)]
            parts = [w[begin:end] for w in ws]
            q = p if op.symbolic else support.program(f, part, (), op.gradient)
            results = q.numpy(*part, *parts)
            count = len(results) - (len(floats) if op.gradient else 0)
            return results[:count] + [r for i, r in zip(floats, results[count:]) if i in rows]

        whole = per_row(operands, 0, n)
        assert all(len(a) == n for a in whole)
        for begin, end in {(0, 1), (n // 2, n // 2 + 1), (n - 1, n), (1, n)}:
            support.same_bits([a[begin:end] for a in whole], per_row(operands, begin, end))
        marred = next((i for i in rows if i in floats and operands[i].size), None)
        if marred is None:
            return
        row = operands[marred].reshape(n, -1)[n // 2]
        row[row.size // 2] = np.nan
        dirty = per_row(operands, 0, n)
    keep = np.arange(n) != n // 2
    support.same_bits([a[keep] for a in whole], [a[keep] for a in dirty])


@each(lambda op, case: any(0 not in case.shapes[i] for i, _ in case.indices))
@at_each_level
def test_hostile_indices(op, case, level):
    """Every bad index is an IndexError that names op, position and value, and leaves the state as it was."""
    operands, f = case.operands(), op.function(case)
    for i, (low, high) in case.indices:
        if 0 in operands[i].shape:
            continue
        facts, at = np.iinfo(operands[i].dtype), operands[i].size // 2
        for bad in (high, low - 1, 2**31 - 1, -(2**31), 2**40, -(2**62)):
            if not facts.min <= bad <= facts.max:
                continue
            hostile = [a.copy() for a in operands]
            hostile[i].reshape(-1)[at] = bad
            message = rf"{op.name}: .* position {at}, received {bad}$"
            with support.isa(level):
                with pytest.raises(IndexError, match=message):
                    f(*hostile)
                state = _core.Variable(np.full(3, 2, "float32"))
                with _core.Trace() as trace:
                    y = f(*[trace.input(list(a.shape), str(a.dtype)) for a in operands])
                    y = y[0] if isinstance(y, tuple) else y
                    state.assign(_core.add(state.value, _core.cast(_core.sum(y), dtype="float32")))
                    p = trace.compile([y])
                with pytest.raises(IndexError, match=message):
                    p.numpy(*hostile)
            np.testing.assert_array_equal(state.numpy(), np.full(3, 2))
            assert state.version == 0
