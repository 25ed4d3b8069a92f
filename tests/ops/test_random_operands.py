"""Every op on operands as they come: other sizes, any strides (views inside the graph, and NumPy's own), every dtype.

Cases say what fits an op; hypothesis draws one, changes sizes that operands share, and how each operand lies in memory.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maas import _core
from tests.ops import linalg_cases, support
from tests.ops.case import Case, Operand, all_ops

OPS = [op for op in all_ops() if any(not case.bench for case in op.cases)]
LEVELS = {op.name: op.levels() for op in OPS}
MATRICES = {op.name for op in linalg_cases.OPS}
SIZES = [1, 2, 3, 5, 7, 15, 16, 17, 31, 33]
FORMS = ["dense", "fortran", "negative", "steps", "zero"]


def resized(case, old, new):
    """The case with `new` in place of the size `old` wherever an operand has it; indices and arrays stay."""
    if case.indices or not all(isinstance(o, Operand) for o in case.given):
        return case
    given = [Operand(tuple(new if n == old else n for n in o.shape), o.values, o.dtype, o.valid) for o in case.given]
    return Case(*given, values=case.values, special=case.special, dtypes=case.dtypes, rows=case.rows, **case.params)


def made(op, case, dtype):
    """(case, operands, wanted), or None where the op does not take these sizes."""
    try:
        operands = case.operands(dtype)
        wanted = op.wanted(case, operands)
        op.function(case)(*operands)
    except Exception:
        return None
    return (case, operands, wanted) if sum(a.size for a in (*operands, *wanted)) < 200_000 else None


class Lying:
    """An operand `a` as a view of another array: `base`, and the view in a graph and in NumPy."""

    def __init__(self, a, form, axis):
        self.a, self.form, self.axis = a, form if a.ndim else "dense", axis % max(a.ndim, 1)
        if self.form == "fortran":
            self.base = np.ascontiguousarray(a.T)
        elif self.form == "negative":
            self.base = np.ascontiguousarray(np.flip(a))
        elif self.form == "steps":
            base = np.full([2 * n + 2 for n in a.shape], np.nan if a.dtype.kind == "f" else 1).astype(a.dtype)
            self.at = tuple(slice(2, 2 + 2 * n, 2) for n in a.shape)
            base[self.at] = a
            self.base = base
        elif self.form == "zero":
            self.base = np.ascontiguousarray(a[(slice(None),) * self.axis + (slice(0, 1),)])
        else:
            self.base = a

    def view(self, base):
        """`a` inside a graph, in strides."""
        if self.form == "fortran":
            return _core.transpose(base)
        if self.form == "negative":
            return _core.flip(base, axis=list(range(self.a.ndim)))
        if self.form == "steps":
            begin, end = [2] * self.a.ndim, [2 + 2 * n for n in self.a.shape]
            return _core.slice(base, begin=begin, end=end, step=[2] * self.a.ndim)
        return _core.broadcast_to(base, shape=list(self.a.shape)) if self.form == "zero" else base

    def numpy(self):
        """`a` as NumPy has it, in strides."""
        if self.form == "fortran":
            return self.base.T
        if self.form == "negative":
            return np.flip(self.base)
        if self.form == "steps":
            return self.base[self.at]
        return np.broadcast_to(self.base, self.a.shape) if self.form == "zero" else self.base


def draw(data, op):
    cases = [case for case in op.cases if not case.bench]
    case = data.draw(st.sampled_from(cases), "case")
    dtype = data.draw(st.sampled_from(list(case.dtypes or op.dtypes)), "dtype")
    found = None
    sizes = sorted({n for s in case.shapes for n in s if n > 1})
    if sizes and data.draw(st.booleans(), "other sizes"):
        changed = resized(case, data.draw(st.sampled_from(sizes), "size"), data.draw(st.sampled_from(SIZES), "becomes"))
        found = made(op, changed, dtype)
    case, operands, wanted = found or (case, case.operands(dtype), None)
    lying = []
    for operand, a in zip(case.given, operands):
        form = data.draw(st.sampled_from(FORMS), "form")
        axis = data.draw(st.integers(0, 7), "axis")
        # Zero strides repeat values: only where any values do, and not to make matrices singular.
        repeats = isinstance(operand, Operand) and not callable(operand.values) and not callable(case.values) and a.size
        repeats = repeats and op.name not in MATRICES
        if form == "zero" and not (repeats and a.ndim):
            form = "fortran"
        if form == "zero":
            axis %= a.ndim
            a = np.ascontiguousarray(np.broadcast_to(a[(slice(None),) * axis + (slice(0, 1),)], a.shape))
        lying.append(Lying(a, form, axis))
    return case, dtype, lying


def check(op, case, dtype, lying, level):
    operands = [v.a for v in lying]
    wanted, result = op.wanted(case, operands), op.result_dtype(case, dtype)
    floats = any(w.dtype.kind == "f" for w in wanted)
    bounds = op.allowed(case, operands, wanted, result) if floats else [None] * len(wanted)
    # Bounds of sums count roundings that differ; equal values round alike.
    if floats and any(v.form == "zero" for v in lying):
        bounds = [8 * bound for bound in bounds]
    function = op.function(case)

    def viewed(*bases):
        return function(*(v.view(x) for v, x in zip(lying, bases)))

    with support.isa(level):
        bases = [v.base for v in lying]
        optimised = support.program(viewed, bases, gradients=False).numpy(*bases)
        # Passes may take the view away, and reduce in another order.
        _core.set_passes(False)
        try:
            inside = support.program(viewed, bases, gradients=False).numpy(*bases)
        finally:
            _core.set_passes(True)
        outside = support.program(function, operands, gradients=False).numpy(*(v.numpy() for v in lying))
        eager = support.forward(function, [v.numpy() for v in lying])
    for results in (optimised, inside, outside, eager):
        assert len(results) == len(wanted)
        for y, want, bound in zip(results, wanted, bounds):
            support.check_result(y, want, bound, result, dtype)
    # How an operand lies changes no bit.
    support.same_bits(outside, eager)
    support.same_bits(outside, inside)


@pytest.mark.filterwarnings("ignore:Mean of empty")
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_operands_as_they_come(op, data):
    case, dtype, lying = draw(data, op)
    check(op, case, dtype, lying, data.draw(st.sampled_from(LEVELS[op.name][:3]), "level"))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:Mean of empty")
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_many_operands_as_they_come(op, data):
    case, dtype, lying = draw(data, op)
    check(op, case, dtype, lying, data.draw(st.sampled_from(LEVELS[op.name][:3]), "level"))
