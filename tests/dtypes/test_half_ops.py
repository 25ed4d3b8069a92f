"""16-bit floats in every op family, forward and gradient, against float64 on the same rounded operands."""

import ml_dtypes
import numpy as np
import pytest

from maas import _core
from tests.ops import support
from tests.ops.case import all_ops

HALF = {"bfloat16": np.dtype(ml_dtypes.bfloat16), "float16": np.dtype("float16")}
EPSILON = {"bfloat16": 2.0**-7, "float16": 2.0**-10}


def halves(arrays, dtype):
    return [a.astype(HALF[dtype]) if a.dtype.kind == "f" else a for a in arrays]


def f64(arrays):
    return [a.astype("float64") if a.dtype.kind in "fV" else a for a in arrays]


def results(function, operands):
    with _core.Trace() as trace:
        inputs = [trace.input(list(a.shape), a.dtype.name, f"x{i}") for i, a in enumerate(operands)]
        outputs = function(*inputs)
        outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        floats = [o for o in outputs if "float" in o.dtype]
        wanted = [x for x, a in zip(inputs, operands) if a.dtype.kind in "fV"]
        slopes = []
        if floats and wanted:
            try:
                slopes = _core.gradients(
                    _core.sum(_core.cast(floats[0], dtype="float32"), axis=list(range(floats[0].ndim))), wanted
                )
            except NotImplementedError:
                slopes = []
        kept = [g for g in slopes if g is not None]
        program = trace.compile([*outputs, *kept])
    return program.numpy(*operands), len(outputs)


def small(op):
    return [c for c in op.cases if not c.bench and not c.special and c.values not in ("huge", "tiny", "ties")][:2]


# As in JAX decompositions and Fourier transforms take 32 bits or more; the last two read what a forward op kept.
REFUSED = frozenset(
    "cholesky det eig eigh fft lu qr slogdet solve svd triangular_solve softmax_cross_entropy_gradient "
    "sparse_softmax_cross_entropy_gradient".split()
)
CASES = [
    (op, case)
    for op in all_ops()
    if set(op.dtypes) & {"float32"}
    and not op.name.startswith(("random", "dropout"))
    # Made by lowering, of convolutions in float32 alone; and the thresholds of trees, whose bits lie in tables.
    and op.name not in ("conv_winograd", "tree")
    for case in small(op)
    if "dtype" not in case.params and "dtypes" not in case.params
]


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("op, case", CASES, ids=[f"{o.name}-{c}" for o, c in CASES])
def test_every_op(op, case, dtype):
    operands = halves(case.operands("float32"), dtype)
    if not any(a.dtype == HALF[dtype] for a in operands):
        return
    if op.name in REFUSED:
        with pytest.raises(TypeError, match=f"must be float32.*received.*{dtype}"):
            results(op.function(case), operands)
        return
    got, outputs = results(op.function(case), operands)
    want, _ = results(op.function(case), f64(operands))
    assert len(got) == len(want)
    for i, (a, b) in enumerate(zip(got, want)):
        assert a.shape == b.shape
        if b.dtype.kind != "f":
            continue
        a = a.astype("float64")
        # A result is rounded once; a gradient is a few rounded functions of rounded results.
        size = max(1e-3, np.abs(b).max(initial=0))
        bound = (2 if i < outputs else 24) * EPSILON[dtype] * size
        bad = ~(np.abs(a - b) <= bound) & ~(np.isnan(a) & np.isnan(b)) & (np.abs(b) < 60000)
        assert not bad.any(), (i, np.abs(a - b)[bad].max() / (EPSILON[dtype] * size))


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("dtype", HALF)
def test_chains_read_and_write_16_bits(dtype, level):
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((64, 33)).astype(HALF[dtype]) for _ in range(2))
    with support.isa(level), _core.Trace() as trace:
        a, b = trace.input([64, 33], dtype), trace.input([64, 33], dtype)
        wide = _core.cast(_core.tanh(_core.multiply(a, b)), dtype="float32")
        program = trace.compile([_core.cast(_core.add(wide, 1.0), dtype=dtype)])
        assert len(program.kernels) == 1, program.plan
        got = program.numpy(x, y)[0].astype("float64")
    want = np.tanh(x.astype("float64") * y.astype("float64")) + 1
    np.testing.assert_allclose(got, want, rtol=EPSILON[dtype] / 2 * 1.01)


@pytest.mark.parametrize("dtype", HALF)
def test_a_cast_in_a_chain_rounds(dtype):
    x = np.random.default_rng(0).standard_normal(1000).astype("float32")
    with _core.Trace() as trace:
        a = trace.input([1000])
        program = trace.compile([_core.subtract(a, _core.cast(_core.cast(a, dtype=dtype), dtype="float32"))])
        assert len(program.kernels) == 1
    np.testing.assert_array_equal(program.numpy(x)[0], x - x.astype(HALF[dtype]).astype("float32"))
