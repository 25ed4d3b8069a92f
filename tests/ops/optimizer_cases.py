"""Cases of fused optimizer updates and what they mean, in float64 NumPy (Keras 3's formulas).

Operands: the rule's scalars, the decay if there is one, then w, g and slots of every variable.
"""

from functools import partial

import numpy as np

from tests.ops.case import Case, Op, Operand

SIZES = [0, 1, 15, 17, 1024, 5003]
RATE = np.asarray(0.01)


def sgd(r, w, g, m=None, momentum=0.0, nesterov=False):
    if momentum == 0:
        return [w - r[0] * g]
    m = momentum * m - r[0] * g
    return [w + (momentum * m - r[0] * g if nesterov else m), m]


def adam(r, w, g, m, v, h=None, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False):
    m, v = m + (g - m) * (1 - beta_1), v + (g * g - v) * (1 - beta_2)
    top = np.maximum(h, v) if amsgrad else v
    return [w - m * r[0] / (np.sqrt(top) + epsilon), m, v, *([top] if amsgrad else [])]


def rmsprop(r, w, g, v, *slots, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False):
    slots, v = list(slots), rho * v + (1 - rho) * g * g
    square = v
    if centered:
        slots[-1] = rho * slots[-1] + (1 - rho) * g
        square = v - slots[-1] ** 2
    step = r[0] * g / np.sqrt(square + epsilon)
    if momentum:
        step = slots[0] = momentum * slots[0] + step
    return [w - step, v, *slots]


def adagrad(r, w, g, a, epsilon=1e-7):
    a = a + g * g
    return [w - r[0] * g / np.sqrt(a + epsilon), a]


def adadelta(r, w, g, a, b, rho=0.95, epsilon=1e-7):
    a = rho * a + (1 - rho) * g * g
    step = -np.sqrt(b + epsilon) * g / np.sqrt(a + epsilon)
    return [w + r[0] * step, a, rho * b + (1 - rho) * step**2]


def adamax(r, w, g, m, u, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, u = m + (g - m) * (1 - beta_1), np.maximum(beta_2 * u, np.abs(g))
    return [w - r[0] * m / (u + epsilon), m, u]


def nadam(r, w, g, m, v, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, v = m + (g - m) * (1 - beta_1), v + (g * g - v) * (1 - beta_2)
    return [w - (r[0] * m + r[1] * g) / (np.sqrt(v * r[2]) + epsilon), m, v]


def lion(r, w, g, m, beta_1=0.9, beta_2=0.99):
    return [w - r[0] * np.sign(beta_1 * m + (1 - beta_1) * g), beta_2 * m + (1 - beta_2) * g]


def ftrl(r, w, g, a, l, power=0.5, l1=0.0, l2=0.0, shrinkage=0.0, beta=0.0):  # noqa: E741
    n = a + g * g
    l = l + g + shrinkage * w - (n**power - a**power) / r[0] * w  # noqa: E741
    return [(np.clip(l, -l1, l1) - l) / (n**power / r[0] + l2 + beta / r[0]), n, l]


def meaning(rule, scalars, *operands, variables=1, decay=False, **params):
    """The rule, variable by variable, after the decay."""
    lead = scalars + decay
    width, out = (len(operands) - lead) // variables, []
    for k in range(variables):
        w, *others = operands[lead + k * width : lead + (k + 1) * width]
        out += rule(operands[:scalars], w - w * operands[scalars] if decay else w, *others, **params)
    return tuple(out) if len(out) > 1 else out[0]


def error(rule, scalars, *operands, **params):
    y = meaning(rule, scalars, *operands, **params)
    return [8 * np.abs(a) + 4 for a in (y if isinstance(y, tuple) else [y])]


def ftrl_error(*operands, **params):
    """w' is a quotient of a sum that holds n^p w / rate, with its roundings; l' holds it itself."""
    y = meaning(ftrl, 1, *operands, **params)
    return [16 * np.abs(a) + 4 if i % 3 == 1 else 200 * (np.abs(a) + 4) for i, a in enumerate(y)]


def square(rng, shape):
    return rng.standard_normal(shape) ** 2


# Slots of a rule by how they are made. "positive": where a root or quotient has a bounded slope.
def large(rng, shape):
    return rng.uniform(3, 6, shape)


def cases(options, *scalars, smooth=False):
    """For (slot values, params): every size, several variables in one op, and decay."""
    for slots, params in options:

        def case(sizes, gradient=True, slots=slots, rows=None, params=params, **more):
            numbers = [*(np.asarray(s) for s in (scalars or (0.01,))), *([np.asarray(0.02)] if "decay" in more else [])]
            operands = [o for n in sizes for o in ((n,), (n,), *(Operand((n,), s) for s in slots))]
            return Case(*numbers, *operands, gradient=gradient, rows=rows, **more, **params)

        rows = [*range(len(scalars) or 1, (len(scalars) or 1) + 2 + len(slots))]
        steep = any(s is square for s in slots)  # the slope of a root has no bound at 0
        for n in SIZES:
            yield case([n], gradient=not steep, rows=rows)
        bounded = ["positive" if s is square else s for s in slots]
        yield case([17], slots=bounded, rows=rows)
        yield case([33, 1, 0, 2050, 5], slots=bounded, gradient=False, rows=(), variables=5)
        yield case([3, 17], slots=bounded, rows=(), variables=2, decay=True)


def update(name, rule, options, *scalars, **settings):
    count = len(scalars) or 1
    settings = {"epsilons": 1, "error": partial(error, rule, count), **settings}
    return Op(name, partial(meaning, rule, count), list(cases(options, *scalars)), rows=(), **settings)


N, S = "normal", square
OPS = [
    update("sgd", sgd, [([], {}), ([N], {"momentum": 0.9}), ([N], {"momentum": 0.9, "nesterov": True})]),
    update(
        "adam", adam, [([N, S], {}), ([N, S], {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}),
                       ([N, S, S], {"amsgrad": True})],
    ),
    update(
        "rmsprop", rmsprop, [([S], {}), ([S, N], {"momentum": 0.9, "rho": 0.7}),
                             ([large, (-1, 1)], {"centered": True, "epsilon": 1e-3}),
                             ([large, N, (-1, 1)], {"centered": True, "momentum": 0.5})],
    ),
    update("adagrad", adagrad, [(["positive"], {}), (["positive"], {"epsilon": 1e-2})]),
    update("adadelta", adadelta, [(["positive", "positive"], {}), (["positive", "positive"], {"rho": 0.5})]),
    update("adamax", adamax, [([N, "positive"], {}), ([N, "positive"], {"beta_1": 0.5, "epsilon": 1e-3})]),
    update("nadam", nadam, [([N, S], {}), ([N, S], {"beta_2": 0.9, "epsilon": 1e-3})], 0.01, 0.002, 1.5),
    update("lion", lion, [([N], {}), ([N], {"beta_1": 0.5, "beta_2": 0.7})]),
    update(
        "ftrl", ftrl, [(["positive", N], {"l1": 0.1, "l2": 0.2, "shrinkage": 0.1, "beta": 0.3}),
                       (["positive", N], {"power": 0.7})],
        error=ftrl_error, gradient_epsilons=4000,
    ),
]  # fmt: skip
