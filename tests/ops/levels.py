"""What op tests share: running at each instruction set, and bits that must not depend on it, on threads or on cuts."""

from contextlib import contextmanager

import numpy as np
import pytest

from maas import _core

LEVELS = ["ref", "avx2", "avx512"]


@contextmanager
def at_level(name, threads=None):
    """Kernels of this level only, on so many threads; a machine without it skips the test."""
    isa, count = _core.isa(), _core.get_num_threads()
    try:
        _core.set_isa(name)
    except ValueError:
        pytest.skip(f"missing ISA {name}")
    try:
        if threads:
            _core.set_num_threads(threads)
        yield
    finally:
        _core.set_isa(next(level for level in ("avx512", "avx2", "ref") if level in isa or level == "ref"))
        _core.set_num_threads(count)


def compiled(function, *specs):
    """`function` of inputs of these (shape, dtype) as a Program; a str size is a named unknown."""
    with _core.Trace() as trace:
        results = function(*[trace.input(list(shape), dtype) for shape, dtype in specs])
        return trace.compile(list(results))


def check_same_bits(name, arrays, params):
    """The same bits on AVX2 and AVX-512, on one and two threads, and for random cuts of the units."""
    seen = []
    for level in ("avx2", "avx512"):
        for threads in (1, 2):
            with at_level(level, threads):
                seen += [[np.asarray(a) for a in _core.run_cut(name, arrays, params, seed)] for seed in (0, 1, 2)]
    for other in seen[1:]:
        for a, b in zip(seen[0], other):
            assert a.tobytes() == b.tobytes(), name


def check_gradients(function, *arrays, eps=1e-6, tolerance=1e-6):
    """Gradients of sum(weights * function) against central differences, in float64."""
    specs = [(a.shape, str(a.dtype)) for a in arrays]
    floats = [i for i, a in enumerate(arrays) if a.dtype == np.float64]
    weights = np.random.default_rng(1).standard_normal(
        compiled(lambda *x: [function(*x)], *specs).numpy(*arrays)[0].shape
    )

    def loss(*x):
        return _core.sum(_core.multiply(function(*x), weights))

    value = compiled(lambda *x: [loss(*x)], *specs)
    grads = compiled(lambda *x: _core.gradients(loss(*x), [x[i] for i in floats]), *specs).numpy(*arrays)
    for i, got in zip(floats, grads):
        want = np.zeros_like(arrays[i])
        for at in np.ndindex(want.shape):
            sides = []
            for step in (eps, -eps):
                moved = [a.copy() for a in arrays]
                moved[i][at] += step
                sides.append(float(value.numpy(*moved)[0]))
            want[at] = (sides[0] - sides[1]) / (2 * eps)
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
