"""Gradients against finite differences."""

import numpy as np


def check_gradients(f, *x, eps=1e-6, rtol=1e-5, seed=0):
    """Compare the gradients of `f` with central differences in float64, along random directions and for every operand.

    Args:
        f: function of tensors, written with `maas.ops`, returning one float tensor.
        *x: arrays; converted to float64.
        eps: float, step of the differences.
        rtol: float, allowed error relative to the size of the directional derivative's terms.
        seed: int, of the directions and of the weights that make a scalar of `f`.

    Raises:
        AssertionError: naming the operand and both derivatives.
    """
    from maas import _core, ops

    rng = np.random.default_rng(seed)
    arrays = [np.asarray(v, "float64") for v in x]
    with _core.Trace() as trace:
        inputs = [trace.input(a.shape, "float64", f"x{i}") for i, a in enumerate(arrays)]
        y = f(*inputs)
        weights = rng.normal(size=tuple(y.shape))
        loss = ops.sum(y * _core.Tensor(weights, "float64"))
        grads = _core.gradients(loss, inputs)
        given = [i for i, g in enumerate(grads) if g is not None]
        program = trace.compile([loss, *(grads[i] for i in given)], name="check_gradients")

    values = [np.asarray(v) for v in program(*arrays)]
    gradient = dict(zip(given, values[1:]))
    for i, a in enumerate(arrays):
        analytic_gradient = gradient.get(i, np.zeros_like(a))
        for _ in range(3):
            d = rng.normal(size=a.shape)
            ends = []
            for sign in (1, -1):
                moved = list(arrays)
                moved[i] = a + sign * eps * d
                ends.append(float(np.asarray(program(*moved)[0])))
            numeric, analytic = (ends[0] - ends[1]) / (2 * eps), float((analytic_gradient * d).sum())
            size = float(np.abs(analytic_gradient * d).sum()) + abs(numeric) + 1e-3
            if not abs(numeric - analytic) <= rtol * size:
                raise AssertionError(
                    f"operand {i}: the difference quotient is {numeric!r}, received the gradient's {analytic!r}"
                )
