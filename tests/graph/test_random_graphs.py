"""Random graphs of public ops: the same answer optimised and unoptimised, and the gradients of finite differences."""

import numpy as np
import pytest

from maas import _core
from tests.graph.random_graphs import Draw

CASES = 300
LONG = 3000
# Seeds whose graphs once went wrong.
FOUND = []


def results(draw, dtype, optimised, cotangents=None):
    program = draw.program(dtype, optimised, cotangents is not None)
    arrays = [np.asarray(a, dtype) for a in [*draw.inputs, *(cotangents or [])]]
    return program.numpy(*arrays)


def assert_near(got, want, bound, what):
    assert got.shape == want.shape, what
    error = np.abs(got.astype("float64") - want).max(initial=0)
    assert error <= bound, f"{what}: off by {error}, allowed are {bound}"


def largest(a):
    return np.abs(a).max(initial=0)


def check(seed):
    draw = Draw(seed)
    plain = results(draw, "float64", False)
    for got, want in zip(results(draw, "float64", True), plain):
        assert_near(got, want, 1e-12 * (1 + largest(want)), "float64")
    # In float32 it may be off by as much as the plain one, and some epsilons of what it passes through.
    eps = float(np.finfo("float32").eps)
    single = results(draw, "float32", False)
    for got, other, want in zip(results(draw, "float32", True), single, plain):
        assert_near(got, want, 8 * largest(other - want) + 256 * eps * (1 + largest(want)), "float32")
    check_gradients(draw, plain, seed)


def check_gradients(draw, plain, seed):
    """float64, against differences of the plain graph along a random direction, and against its own gradients."""
    rng = np.random.default_rng(seed)
    cotangents = [rng.standard_normal(y.shape) for y in plain]
    optimised, other = (results(draw, "float64", on, cotangents)[len(plain) :] for on in (True, False))
    for got, want in zip(optimised, other):
        assert_near(got, want, 1e-10 * (1 + largest(want)), "gradient")
    forward = draw.program("float64", False)

    def loss(inputs):
        return sum(float((y * w).sum()) for y, w in zip(forward.numpy(*inputs), cotangents))

    for i, g in enumerate(optimised):
        d = rng.standard_normal(draw.inputs[i].shape)
        along = [
            [x + step * d if j == i else x for j, x in enumerate(draw.inputs)] for step in (1e-6, -1e-6, 2e-6, -2e-6)
        ]
        sides = [loss(x) for x in along]
        near, far = (sides[0] - sides[1]) / 2e-6, (sides[2] - sides[3]) / 4e-6
        # Where the two differ, a kink (of relu, max, ...) lies between: there is no derivative to compare with.
        if abs(near - far) > 1e-5 * (1 + abs(near)):
            continue
        assert abs((g * d).sum() - near) <= 2e-5 * (1 + abs(near)), f"input {i}: {(g * d).sum()} instead of {near}"


@pytest.mark.parametrize("seed", [*range(CASES), *FOUND])
def test_optimised_is_unoptimised(seed):
    check(seed)


@pytest.mark.long
@pytest.mark.parametrize("part", range(10))
def test_optimised_is_unoptimised_in_thousands(part):
    wrong = {}
    for seed in range(10_000 + part * LONG // 10, 10_000 + (part + 1) * LONG // 10):
        try:
            check(seed)
        except Exception as e:
            wrong[seed] = e
    assert not wrong, wrong


@pytest.mark.parametrize("seed", range(100))
def test_moves_and_casts_keep_every_bit(seed):
    """Where data is only moved and cast, with elementwise work between, not a bit may change."""
    draw = Draw(seed, nodes=16, exact=True)
    for dtype in ("float32", "float64"):
        for got, want in zip(results(draw, dtype, True), results(draw, dtype, False)):
            assert got.dtype == want.dtype and got.shape == want.shape
            np.testing.assert_array_equal(got.view(f"int{got.itemsize * 8}"), want.view(f"int{want.itemsize * 8}"))


def test_graphs_have_many_ops():
    """What is compared is more than a few ops: most kinds of nodes, and what passes look for."""
    seen = set()
    for seed in range(60):
        seen |= {op for op, _ in Draw(seed).program("float32", False).kernels}
        seen |= {op for op, _ in Draw(seed).program("float32", True).kernels}
    assert {"gemm", "chain", "softmax", "layer_norm", "attention", "max_pool", "concatenate", "sum", "cumsum"} <= seen
    assert _core.Trace  # the switch is back on
