"""Every case of every case file: values, gradients, equal bits, rows, hostile indices. `-k softmax` runs one op's."""

import numpy as np
import pytest

from maas import _core
from tests.ops import support
from tests.ops.case import all_ops, widened

PAIRS = [(op, case) for op in all_ops() for case in op.cases if not case.bench]
LEVELS = {op.name: op.levels() for op, _ in PAIRS}


def each(keep=lambda op, case: True):
    chosen = [pytest.param(op, case, id=f"{op.name}-{case}") for op, case in PAIRS if keep(op, case)]
    return pytest.mark.parametrize("op, case", chosen)


@pytest.mark.filterwarnings("ignore:Mean of empty")
@each()
def test_forward(op, case):
    """Every dtype at every level against the reference."""
    for dtype in case.dtypes or op.dtypes:
        operands, result = case.operands(dtype), op.result_dtype(case, dtype)
        wanted = op.wanted(case, operands)
        floats = any(w.dtype.kind == "f" for w in wanted)
        bounds = op.allowed(case, operands, wanted, result) if floats else [None] * len(wanted)
        seen = []  # levels that choose the same kernels for this dtype run once
        for level in LEVELS[op.name]:
            with support.isa(level):
                p = support.program(op.function(case), operands, gradients=False)
                if p.kernels in seen:
                    continue
                seen.append(p.kernels)
                results = p.numpy(*operands)
                assert len(results) == len(wanted)
                for y, want, bound in zip(results, wanted, bounds):
                    support.check_result(y, want, bound, result, dtype)


@each(lambda op, case: op.gradient and case.gradient and case.params.get("dtype", "float64") == "float64")
def test_gradient_is_the_slope(op, case):
    """Float64 gradients against differences of the reference."""
    support.check_gradients(op.function(case), case.operands("float64"), meaning=lambda a: op.wanted(case, a))


@each(lambda op, case: op.gradient and not case.special and "dtype" not in case.params)
def test_float32_gradients(op, case):
    """At every level against the float64 rows on the same numbers, with an unknown batch."""
    operands, f = case.operands(), op.function(case)
    ws = support.cotangents(f, operands)
    wide = [widened(a) for a in (*operands, *ws)]
    wanted = support.program(f, wide[: len(operands)]).numpy(*wide)
    for level in LEVELS[op.name]:
        with support.isa(level):
            results = support.program(f, operands, op.unknown_of(case)).numpy(*operands, *ws)
            for got, want in zip(results[len(ws) :], wanted[len(ws) :]):
                bound = 2.0**-23 * op.allowed_gradient(case, operands) * np.abs(want).max(initial=1)
                error = np.abs(got - want).max(initial=0)
                assert error <= bound, f"{error / bound} times the allowed error"


@each()
def test_bits(op, case):
    """The same on AVX2 and AVX-512, for any cut, on one and two threads."""
    support.check_bits(op.function(case), case.operands(), op.gradient)


@each(lambda op, case: not case.special and op.rows_of(case) and case.shapes[op.rows_of(case)[0]][0] > 1)
def test_rows(op, case):
    """At every level a row has the same bits alone and in every batch, and a NaN stays in its row."""
    operands, rows, f = case.operands(), op.rows_of(case), op.function(case)
    n, row = len(operands[rows[0]]), len(operands[rows[0]]) // 2
    ws = support.cotangents(f, operands) if op.gradient else []
    floats = [i for i, a in enumerate(operands) if a.dtype.kind == "f"]
    unknown = set(rows) <= set(op.unknown_of(case))
    marred = [a.copy() for a in operands]
    for i in rows:
        if i in floats and operands[i].size:
            marred[i].reshape(n, -1)[row, operands[i].size // n // 2] = np.nan
            break

    def per_row(p, given, begin, end):
        """Results of rows [begin, end) that belong to a row: outputs, and gradients of what carries the batch."""
        part = [a[begin:end] if i in rows else a for i, a in enumerate(given)]
        p = p or support.program(f, part, (), op.gradient)
        results = p.numpy(*part, *(w[begin:end] for w in ws))
        count = len(results) - (len(floats) if op.gradient else 0)
        return results[:count] + [r for i, r in zip(floats, results[count:]) if i in rows]

    for level in LEVELS[op.name]:
        with support.isa(level):
            p = support.program(f, operands, rows, op.gradient) if unknown else None
            whole = per_row(p, operands, 0, n)
            assert all(len(a) == n for a in whole)
            # The plain kernel goes through elements one by one: one row of it is enough.
            for begin, end in {(row, row + 1)} | ({(0, 1), (n - 1, n), (1, n)} if level != "ref" else set()):
                support.same_bits([a[begin:end] for a in whole], per_row(p, operands, begin, end))
            others = np.arange(n) != row
            support.same_bits([a[others] for a in whole], [a[others] for a in per_row(p, marred, 0, n)])


@each(lambda op, case: any(0 not in case.shapes[i] for i, _ in case.indices))
def test_hostile_indices(op, case):
    """At every level a bad index is an IndexError that names op, position and value, and leaves the state as it was."""
    operands, f = case.operands(), op.function(case)
    for level in LEVELS[op.name]:
        with support.isa(level):
            state = _core.Variable(np.full(3, 2, "float32"))
            with _core.Trace() as trace:
                y = f(*[trace.input(list(a.shape), str(a.dtype)) for a in operands])
                y = y[0] if isinstance(y, tuple) else y
                state.assign(_core.add(state.value, _core.cast(_core.sum(y), dtype="float32")))
                p = trace.compile([y])
            for i, (low, high) in case.indices:
                facts, at = np.iinfo(operands[i].dtype), operands[i].size // 2
                for bad in (high, low - 1, 2**31 - 1, -(2**31), 2**40, -(2**62)):
                    if not operands[i].size or not facts.min <= bad <= facts.max:
                        continue
                    hostile = [a.copy() for a in operands]
                    hostile[i].reshape(-1)[at] = bad
                    for run in (f, p.numpy):
                        with pytest.raises(IndexError, match=rf"{op.name}: .* position {at}, received {bad}$"):
                            run(*hostile)
            np.testing.assert_array_equal(state.numpy(), np.full(3, 2))
            assert state.version == 0
