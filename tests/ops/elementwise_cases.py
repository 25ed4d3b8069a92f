"""Cases of the elementwise functions: meaning in float64 NumPy, range, error bound in epsilons."""

from dataclasses import dataclass
from math import erf, sqrt

import numpy as np


def _erf(x):
    return np.vectorize(erf, otypes=["float64"])(x)


@dataclass(frozen=True)
class Case:
    name: str
    reference: object
    low: float = -8.0
    high: float = 8.0
    eps: float = 4.0  # of the result; where the result is near 0, of `floor`
    floor: float = 1e-30
    arity: int = 1
    differentiable: bool = True

    def operands(self, dtype="float32", size=1003):
        rng = np.random.default_rng(0)
        return [rng.uniform(self.low, self.high, size).astype(dtype) for _ in range(self.arity)]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


CASES = [
    Case("negative", np.negative),
    Case("absolute", np.abs),
    Case("square", np.square),
    Case("sqrt", np.sqrt, 0.01),
    Case("rsqrt", lambda x: 1 / np.sqrt(x), 0.01),
    Case("reciprocal", lambda x: 1 / x, 0.1),
    Case("exp", np.exp, -80, 80),
    Case("expm1", np.expm1),
    Case("log", np.log, 1e-6, 100, floor=1e-2),
    Case("log1p", np.log1p, -0.9, 100, floor=1e-3),
    Case("log2", np.log2, 1e-6, 100, floor=1e-2),
    Case("sin", np.sin, -100, 100, floor=1e-2),
    Case("cos", np.cos, -100, 100, floor=1e-2),
    Case("tan", np.tan, -1.5, 1.5, eps=6),
    Case("tanh", np.tanh),
    Case("sinh", np.sinh),
    Case("cosh", np.cosh),
    Case("arctan", np.arctan),
    Case("arcsin", np.arcsin, -0.99, 0.99),
    Case("arccos", np.arccos, -0.99, 0.99),
    Case("erf", _erf),
    Case("sigmoid", sigmoid),
    Case("log_sigmoid", lambda x: -np.logaddexp(0, -x)),
    Case("softplus", lambda x: np.logaddexp(0, x)),
    Case("softsign", lambda x: x / (1 + np.abs(x))),
    Case("relu", lambda x: np.maximum(x, 0)),
    Case("relu6", lambda x: np.clip(x, 0, 6)),
    Case("silu", lambda x: x * sigmoid(x)),
    Case("gelu_erf", lambda x: x * 0.5 * (1 + _erf(x / sqrt(2))), eps=8, floor=1e-4),
    Case(
        "gelu_tanh", lambda x: 0.5 * x * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x**3))), eps=8, floor=0.1
    ),  # 1 + tanh cancels
    Case("selu", lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)), eps=6),
    Case("hard_sigmoid", lambda x: np.clip(x / 6 + 0.5, 0, 1), floor=0.1),
    Case("floor", np.floor, differentiable=False),
    Case("ceil", np.ceil, differentiable=False),
    Case("trunc", np.trunc, differentiable=False),
    Case("round", np.round, differentiable=False),
    Case("sign", np.sign, differentiable=False),
    Case("add", np.add, arity=2, floor=1e-2),
    Case("subtract", np.subtract, arity=2, floor=1e-2),
    Case("multiply", np.multiply, arity=2),
    Case("divide", np.divide, 0.5, arity=2),
    Case("power", np.power, 0.1, 4, arity=2, eps=6),
    Case("maximum", np.maximum, arity=2),
    Case("minimum", np.minimum, arity=2),
    Case("leaky_relu", lambda x, a: np.where(x > 0, x, a * x), arity=2),
    Case("elu", lambda x, a: np.where(x > 0, x, a * np.expm1(x)), arity=2, eps=6),
    Case("floor_divide", lambda a, b: np.floor(a / b), 1, 8, arity=2, differentiable=False),
]

SHAPES = [  # operands that broadcast
    [(7, 5), (5,)],
    [(7, 5), (7, 1)],
    [(2, 3, 4), ()],
    [(2, 1, 4), (3, 1)],
    [(6, 1, 5, 1), (1, 4, 1, 3)],
    [(1,), (1, 1)],
    [(0, 3), (3,)],
    [(3000,), (3000,)],
    [(33, 64), (64,)],
]
