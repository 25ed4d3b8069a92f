"""Cases of branches and loops: small bodies whose meaning NumPy says; tests/ops/test_control.py tries the rest."""

import numpy as np

from maas import ops
from tests.ops.case import Case, Op, Operand


def flag(value):
    return Operand((), lambda rng, shape: np.asarray(value), "bool")


def branch(pred, a, b):
    return a * b if pred else a + b


def call_branch(pred, a, b):
    return ops.cond(pred, lambda: a * b, lambda: a + b)


def loop(h, xs):
    ys = []
    for x in xs:
        h = h * x + x
        ys.append(h * h)
    return h, np.stack(ys)


def call_loop(h, xs):
    def turn(h, x):
        h = h * x + x
        return h, h * h

    return ops.scan(turn, h, xs)


OPS = [
    Op(
        "branch",
        branch,
        [Case(flag(True), (3, 5), (3, 5)), Case(flag(False), (3, 5), (3, 5)), Case(flag(True), (4, 700), (4, 700))],
        rows=(1, 2),
        call=call_branch,
    ),
    Op(
        "loop",
        loop,
        # Of one sign: errors are counted in epsilons of the answer, which must not cancel.
        [Case(a, b, values=(0.1, 0.9)) for a, b in (((4, 3), (6, 4, 3)), ((33,), (1, 33)), ((2, 5), (17, 2, 5)))],
        epsilons=60,
        rows="the first axis of the sequence is time",
        call=call_loop,
    ),
]
