"""Cases of fused optimizer updates and what they mean, in float64 NumPy (Keras 3's formulas)."""

import numpy as np

SIZES = [0, 1, 15, 17, 1024, 5003]
SGD = [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}]
ADAM = [{}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}, {"amsgrad": True}]


def sgd(w, g, lr, m=None, momentum=0.0, nesterov=False):
    if momentum == 0:
        return [w - lr * g]
    m = momentum * m - lr * g
    return [w + (momentum * m - lr * g if nesterov else m), m]


def adam(w, g, alpha, m, v, h=None, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False):
    m, v = m + (g - m) * (1 - beta_1), v + (g * g - v) * (1 - beta_2)
    top = np.maximum(h, v) if amsgrad else v
    return [w - m * alpha / (np.sqrt(top) + epsilon), m, v, *([top] if amsgrad else [])]
