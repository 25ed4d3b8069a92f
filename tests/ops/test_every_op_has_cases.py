"""No op without cases, no kernel that the cases miss, no gradient and no rows left out in silence."""

import pytest

from maas import _core
from tests.ops import support
from tests.ops.case import LEVELS, MORE_LEVELS, all_ops

OPS = all_ops()
ALL_LEVELS = [*LEVELS, *MORE_LEVELS]
# Made by passes alone: no program names them.
MADE_BY_PASSES = {"chain": "every elementwise function runs as a part of one"}
# Steps of plans for a GPU: tests/cuda runs them, and their plain rows where they are host steps.
ON_A_GPU = {"conv_direct"}
# No step of any plan: its cases are in test_select.py.
WITHOUT_STEPS = {"trim": "a program is cut there into segments, and the size between them is data"}
# They compute nothing: what they ask of gradients and passes is tested in tests/transforms.
TRANSFORMS = {"assigned", "barrier", "remat", "cotangent", "custom_gradient"}


def test_every_op_has_cases():
    names, parts = {op.name for op in OPS}, {part for op in OPS for part in op.parts}
    said = names | parts | set(MADE_BY_PASSES) | set(WITHOUT_STEPS) | TRANSFORMS
    missing, unknown = set(_core.op_names()) - said, said - set(_core.op_names())
    assert not missing, f"ops without an entry in tests/ops/*_cases.py: {sorted(missing)}"
    assert not unknown, f"entries of ops that are not in ops.inc: {sorted(unknown)}"
    empty = [op.name for op in OPS if all(case.bench for case in op.cases)]
    assert not empty, f"ops without a case that tests run: {empty}"


def programs(op):
    """Every small case in every dtype, with gradients where there are any."""
    for case in op.cases:
        if case.bench:
            continue
        for dtype in dict.fromkeys((*(case.dtypes or op.dtypes), "float32")):
            gradients = op.gradient and dtype in ("float32", "float64") and "dtype" not in case.params
            yield support.program(op.function(case), case.operands(dtype), gradients=gradients)


@pytest.mark.parametrize("below, level", list(zip([None, *ALL_LEVELS], ALL_LEVELS)))
def test_every_kernel_row_runs(below, level):
    """The programs that test_cases.py runs at a level hold every kernel this level adds, and every part of an op."""

    def rows(level):
        with support.isa(level):
            here = {"ref", *_core.isa().split("+")}
        return {(op, row) for op, row, isa in _core.kernel_rows() if here >= set(isa.split("+"))}

    new = {row for row in rows(level) - (rows(below) if below else set()) if row[0] not in ON_A_GPU}
    if level in MORE_LEVELS and not new:
        return
    chosen = set()
    with support.isa(level):
        for op in OPS:
            parts, mine = set(op.parts) - ON_A_GPU, set()
            for p in programs(op):
                mine |= set(p.kernels)
                if parts <= {name for name, _ in mine} and all(k in mine for k in new if k[0] in {op.name, *parts}):
                    break  # nothing is left to find
            absent = parts - {name for name, _ in mine}
            assert not absent, f"{op.name}: no case of it runs {sorted(absent)}"
            chosen |= {row for _, row in mine}
    missed = {row for _, row in new} - chosen
    assert not missed, f"rows that no case runs: {sorted(missed)}"


@pytest.mark.parametrize("op", [op for op in OPS if not op.gradient], ids=lambda op: op.name)
def test_without_gradient_means_there_is_none(op):
    case = next(c for c in op.cases if not c.bench)
    operands = case.operands((case.dtypes or op.dtypes)[0])
    with _core.Trace() as trace:
        xs = [trace.input(list(a.shape), str(a.dtype)) for a in operands]
        ys = op.function(case)(*xs)
        y = ys[0] if isinstance(ys, tuple) else ys
        floats = [x for x, a in zip(xs, operands) if a.dtype.kind == "f"]
        if not floats or not y.dtype.startswith("float"):
            return
        try:
            gradients = _core.gradients(_core.sum(y), floats)
        except NotImplementedError:
            return
        assert gradients == [None] * len(floats), "there is a gradient, and no test of it"


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_rows_are_named(op):
    """Which operands carry the batch, or why rows do not stand alone: row invariance is not forgotten by accident."""
    assert op.rows if isinstance(op.rows, str) else any(op.rows_of(case) for case in op.cases), op.name
