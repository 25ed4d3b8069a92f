"""Convolutions on a GPU: what is fused behind them, and what is not."""

import jax.numpy as jnp
import numpy as np
import pytest

from maas import _core, device, ops
from tests.ops import conv_cases
from tests.ops.support import compiled

pytestmark = pytest.mark.usefixtures("gpu")

SIDE, IC, OC = 9, 16, 24
FUSED = {  # function of y and the operands; what it means; the size its errors count in, beside the product's
    "bias": (lambda y, s, b, r: ops.add(y, b), lambda y, s, b, r: y + b),
    "bias_relu": (lambda y, s, b, r: ops.relu(ops.add(y, b)), lambda y, s, b, r: np.maximum(y + b, 0)),
    "relu": (lambda y, s, b, r: ops.relu(y), lambda y, s, b, r: np.maximum(y, 0)),
    "bias_add_relu": (
        lambda y, s, b, r: ops.relu(ops.add(r, ops.add(y, b))),
        lambda y, s, b, r: np.maximum(y + b + r, 0),
    ),
    "scale_bias_add_relu": (
        lambda y, s, b, r: ops.relu(ops.add(ops.add(ops.multiply(y, s), b), r)),
        lambda y, s, b, r: np.maximum(y * s + b + r, 0),
    ),
    "mask": (
        lambda y, s, b, r: _core.relu_gradient(y, r),
        lambda y, s, b, r: np.where(r > 0, y, 0),
    ),
}
APART = {
    "add_after_relu": (lambda y, s, b, r: ops.add(ops.relu(y), r), lambda y, s, b, r: np.maximum(y, 0) + r),
    "tanh": (lambda y, s, b, r: ops.tanh(ops.add(y, b)), lambda y, s, b, r: np.tanh(y + b)),
}


def steps(kind, tail, dtype, groups, known):
    x, k = (3, SIDE, SIDE, IC * groups), (3, 3, IC // (IC if kind == "depthwise" else 1), OC * groups)
    if kind == "depthwise":
        groups, k = IC * groups, (3, 3, 1, IC * groups)
    y = conv_cases.output_shape(x, k, padding="same")
    shapes = [x, k, (y[-1],), (y[-1],), y]
    names = [s if known or i in (1, 2, 3) else ("batch", *s[1:]) for i, s in enumerate(shapes)]

    def function(x, k, s, b, r):
        return [tail(_core.conv(x, k, padding="same", groups=groups), s, b, r)]

    with device("gpu"):
        return shapes, groups, compiled(function, *[(s, dtype) for s in names])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("kind", ["plain", "grouped", "depthwise"])
@pytest.mark.parametrize("tail", [*FUSED, *APART])
def test_epilogues(tail, kind, dtype):
    function, meaning = {**FUSED, **APART}[tail]
    shapes, groups, program = steps(kind, function, dtype, 2 if kind == "grouped" else 1, known=tail != "bias_relu")
    assert (len(program.kernels) == 1) == (tail in FUSED), program.kernels
    rng = np.random.default_rng(2)
    operands = [np.asarray(jnp.asarray(rng.standard_normal(s), dtype)) for s in shapes]
    x, k, s, b, r = (a.astype("float64") for a in operands)
    y = conv_cases.reference(x, k, padding="same", groups=groups)
    size = conv_cases.reference(np.abs(x), np.abs(k), padding="same", groups=groups)
    got = np.asarray(program.numpy(*operands)[0]).astype("float64")
    want = meaning(y, s, b, r)
    rounding = {"float32": 2.0**-23, "bfloat16": 2.0**-8, "float16": 2.0**-11}[dtype]
    stored = np.abs(y) if tail in APART else 0  # and rounded, before the rest
    bound = 2.0**-22 * 20 * (size * (1 + np.abs(s)) + np.abs(b) + np.abs(r))
    bound = bound + 3 * rounding * (np.abs(want) + stored + 1e-3)
    assert np.all(np.abs(got - want) <= bound)
