"""What tests of ops share: ISA levels, compiled functions with gradients, equal bits, finite differences."""

import contextlib

import numpy as np

from maas import _core
from tests.ops.case import LEVELS, MORE_LEVELS  # noqa: F401, for the tests that import them from here


@contextlib.contextmanager
def isa(name, threads=None):
    """Kernels of this level while the block runs, on so many threads; skips the test where the machine lacks it."""
    before, count = _core.isa().split("+"), _core.get_num_threads()
    try:
        _core.set_isa(name)
    except ValueError:
        import pytest  # here, so that cases also run without it

        pytest.skip(f"missing ISA {name}")
    try:
        if threads:
            _core.set_num_threads(threads)
        yield
    except Exception as error:
        error.add_note(f"at level {name}")
        raise
    finally:
        _core.set_isa(next((level for level in reversed([*LEVELS, *MORE_LEVELS]) if level in before), "ref"))
        _core.set_num_threads(count)


def compiled(function, *specs):
    """`function` of inputs of these (shape, dtype) as a Program; a str size is a named unknown."""
    with _core.Trace() as trace:
        results = function(*[trace.input(list(shape), dtype) for shape, dtype in specs])
        return trace.compile(list(results))


def program(function, operands, unknown=(), gradients=True):
    """`(operands, one cotangent per output) -> outputs, gradients of the float operands` for the active level.

    unknown: operands whose first size is unknown when compiled, or a dict from operand to the names of its first sizes.
    Without gradients there are no cotangents. Its bits are those of eager ops, so the cases' bounds hold.
    """
    names = unknown if isinstance(unknown, dict) else dict.fromkeys(unknown, ("batch",))
    with _core.Trace() as trace:
        xs = []
        for i, a in enumerate(operands):
            shape = [*names.get(i, ()), *a.shape[len(names.get(i, ())) :]]
            xs.append(trace.input(shape, str(a.dtype), f"x{i}"))
        ys = function(*xs)
        ys = list(ys) if isinstance(ys, (tuple, list)) else [ys]
        if not gradients:
            return trace.compile(ys, accuracy="exact")
        loss, ws = None, []
        for y in ys:
            ws.append(trace.input(list(y.dims), y.dtype, f"w{len(ws)}"))
            term = _core.sum(_core.multiply(y, ws[-1]))
            loss = term if loss is None else _core.add(loss, term)
        floats = [x for x, a in zip(xs, operands) if a.dtype.kind == "f"]
        return trace.compile([*ys, *_core.gradients(loss, floats)], accuracy="exact")


def forward(function, operands):
    """Outputs of `function` on arrays, as NumPy arrays."""
    ys = function(*operands)
    return [np.asarray(y) for y in (ys if isinstance(ys, (tuple, list)) else [ys])]


def weights(outputs, seed=7):
    """A cotangent for every output."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(y.shape).astype(y.dtype) for y in outputs]


def cotangents(function, operands, seed=7):
    return weights(forward(function, operands), seed)


def check_gradients(function, operands, step=1e-6, tolerance=1e-5, meaning=None):
    """Gradients of `function` in float64 against central differences of `meaning` along random directions."""
    meaning = meaning or (lambda args: forward(function, args))
    ws = weights(meaning(operands))
    results = program(function, operands).numpy(*operands, *ws)
    gradients = iter(results[len(ws) :])
    rng = np.random.default_rng(8)

    def loss(args):
        return sum(float((y * w).sum()) for y, w in zip(meaning(args), ws))

    for i, a in enumerate(operands):
        if a.dtype.kind != "f":
            continue
        g = next(gradients)
        assert g.shape == a.shape
        d = rng.standard_normal(a.shape)
        moved = [[*operands[:i], np.asarray(a + s * step * d), *operands[i + 1 :]] for s in (1, -1)]
        want = (loss(moved[0]) - loss(moved[1])) / (2 * step)
        assert abs((g * d).sum() - want) <= tolerance * (1 + abs(want)), (
            f"operand {i}: {(g * d).sum()} instead of {want}"
        )


def check_result(y, want, bound, result, dtype):
    """One output against the reference: shape, dtype, and no element further off than its bound."""
    assert y.shape == want.shape, dtype
    if want.dtype.kind != "f":
        assert y.dtype == want.dtype, dtype
        np.testing.assert_array_equal(y, want)
        return
    assert y.dtype == result, dtype
    with np.errstate(all="ignore"):
        error = np.abs(y - want)
        # What must be infinite has no error: a bound in epsilons of infinity would allow anything.
        bound = np.where(np.isfinite(want) & np.isfinite(bound), bound, 0)
        if np.all(error <= bound):
            return
        right = (error <= bound) | (y == want.astype(y.dtype)) | (np.isnan(y) & np.isnan(want))
        assert np.all(right), f"{dtype}: {np.max((error / bound)[~right])} times the allowed error"


def same_bits(first, other):
    assert len(first) == len(other)
    for a, b in zip(first, other):
        assert a.dtype == b.dtype and a.shape == b.shape
        if a.tobytes() != b.tobytes():
            np.testing.assert_array_equal(a, b)  # shows where, unless only signs of zeros or NaNs differ
            raise AssertionError("the bits differ")


def check_bits(function, operands, gradients=True):
    """Outputs and gradients have the same bits on AVX2 and AVX-512, for any cut, on one and two threads.

    A call outside a program has the bits of the outputs, too.
    """
    eager = forward(function, operands)
    ws = weights(eager) if gradients else []
    results = []
    for level in ("avx2", "avx512"):
        with isa(level):
            p = program(function, operands, gradients=gradients)
            for threads in (1, 2):
                _core.set_num_threads(threads)
                results.append(p.numpy(*operands, *ws))
            results += [p.run_cut([*operands, *ws], seed) for seed in (1, 2)]
    for other in results[1:]:
        same_bits(results[0], other)
    same_bits(results[0][: len(eager)], eager)
    return results[0]
