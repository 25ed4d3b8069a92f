"""What tests of ops share: ISA levels, compiled functions with gradients, equal bits, finite differences."""

import contextlib

import numpy as np
import pytest

from maas import _core

LEVELS = ["ref", "avx2", "avx512"]


@contextlib.contextmanager
def isa(name):
    """Kernels of this level while the block runs; skips the test where the machine lacks it."""
    before, threads = _core.isa(), _core.get_num_threads()
    try:
        _core.set_isa(name)
    except ValueError:
        pytest.skip(f"missing ISA {name}")
    try:
        yield
    finally:
        _core.set_isa("avx512" if "avx512" in before else "avx2" if "avx2" in before else "ref")
        _core.set_num_threads(threads)


def program(function, operands, symbolic_batch=()):
    """`(operands, one cotangent per output) -> outputs, gradients of the float operands` for the active level.

    Operands listed in `symbolic_batch` have an unknown first size.
    """
    with _core.Trace() as trace:
        xs = []
        for i, a in enumerate(operands):
            shape = ["batch", *a.shape[1:]] if i in symbolic_batch else list(a.shape)
            xs.append(trace.input(shape, str(a.dtype), f"x{i}"))
        ys = function(*xs)
        ys = list(ys) if isinstance(ys, (tuple, list)) else [ys]
        loss, ws = None, []
        for i, y in enumerate(ys):
            ws.append(trace.input(list(y.dims), y.dtype, f"w{i}"))
            term = _core.sum(_core.multiply(y, ws[-1]))
            loss = term if loss is None else _core.add(loss, term)
        floats = [x for x, a in zip(xs, operands) if a.dtype.kind == "f"]
        return trace.compile([*ys, *_core.gradients(loss, floats)])


def forward(function, operands):
    """Outputs of `function` on arrays, as NumPy arrays."""
    ys = function(*operands)
    return [np.asarray(y) for y in (ys if isinstance(ys, (tuple, list)) else [ys])]


def cotangents(function, operands, seed=7):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(y.shape).astype(y.dtype) for y in forward(function, operands)]


def check_gradients(function, operands, step=1e-6, tolerance=1e-5):
    """Gradients of `function` in float64 against central differences along random directions."""
    ws = cotangents(function, operands)
    results = program(function, operands).numpy(*operands, *ws)
    gradients = iter(results[len(ws) :])
    rng = np.random.default_rng(8)

    def loss(args):
        return sum(float((y * w).sum()) for y, w in zip(forward(function, args), ws))

    for i, a in enumerate(operands):
        if a.dtype.kind != "f":
            continue
        g = next(gradients)
        assert g.shape == a.shape
        d = rng.standard_normal(a.shape)
        moved = [[*operands[:i], a + s * step * d, *operands[i + 1 :]] for s in (1, -1)]
        want = (loss(moved[0]) - loss(moved[1])) / (2 * step)
        assert abs((g * d).sum() - want) <= tolerance * (1 + abs(want)), (
            f"operand {i}: {(g * d).sum()} instead of {want}"
        )


def same_bits(first, other):
    assert len(first) == len(other)
    for a, b in zip(first, other):
        np.testing.assert_array_equal(a.view(np.uint8), b.view(np.uint8))


def check_bits(function, operands):
    """Outputs and gradients have the same bits on AVX2 and AVX-512, for any cut, on one and two threads."""
    ws = cotangents(function, operands)
    results = []
    for level in ("avx2", "avx512"):
        with isa(level):
            p = program(function, operands)
            for threads in (1, 2):
                _core.set_num_threads(threads)
                results.append(p.numpy(*operands, *ws))
            results += [p.run_cut([*operands, *ws], seed) for seed in (1, 2)]
    for other in results[1:]:
        same_bits(results[0], other)
    return results[0]
