"""Activations."""

import math

from maas import _core, ops
from maas.onnx.convert.common import like
from maas.onnx.registry import converts

_PLAIN = {"Relu": "relu", "Sigmoid": "sigmoid", "Softplus": "softplus", "Softsign": "softsign"}


@converts(*_PLAIN)
def plain(call, x):
    return getattr(_core, _PLAIN[call.op])(x)


@converts("LeakyRelu")
def leaky_relu(call, x):
    return _core.leaky_relu(x, like(call.attr("alpha", 0.01), x))


@converts("PRelu")
def prelu(call, x, slope):
    if slope.ndim == 1 and x.ndim > 1 and slope.shape[0] != x.shape[-1] and slope.shape[0] == x.shape[1]:
        # Before opset 7 a vector is one slope for each channel.
        slope = _core.reshape(slope, shape=[-1] + [1] * (x.ndim - 2))
    return _core.where(_core.less(x, like(0, x)), _core.multiply(x, slope), x)


@converts("Elu")
def elu(call, x):
    return _core.elu(x, like(call.attr("alpha", 1.0), x))


@converts("Celu")
def celu(call, x):
    alpha = like(call.attr("alpha", 1.0), x)
    return _core.where(_core.greater(x, like(0, x)), x, _core.multiply(alpha, _core.expm1(_core.divide(x, alpha))))


@converts("Selu")
def selu(call, x):
    alpha, gamma = call.attr("alpha", 1.67326319217681884765625), call.attr("gamma", 1.05070102214813232421875)
    return _core.multiply(_core.elu(x, like(alpha, x)), like(gamma, x))


@converts("HardSigmoid")
def hard_sigmoid(call, x):
    alpha, beta = call.attr("alpha", 0.2), call.attr("beta", 0.5)
    y = _core.add(_core.multiply(x, like(alpha, x)), like(beta, x))
    return _core.minimum(_core.maximum(y, like(0, x)), like(1, x))


@converts("HardSwish")
def hard_swish(call, x):
    return _core.multiply(x, _core.hard_sigmoid(x))


@converts("Gelu")
def gelu(call, x):
    return _core.gelu_tanh(x) if call.attr("approximate", "none") == "tanh" else _core.gelu_erf(x)


@converts("Swish")
def swish(call, x):
    alpha = call.attr("alpha", 1.0)
    return _core.silu(x) if alpha == 1 else _core.multiply(x, _core.sigmoid(_core.multiply(x, like(alpha, x))))


@converts("Mish")
def mish(call, x):
    return _core.multiply(x, _core.tanh(_core.softplus(x)))


@converts("ThresholdedRelu")
def thresholded_relu(call, x):
    return _core.where(_core.greater(x, like(call.attr("alpha", 1.0), x)), x, like(0, x))


@converts("Shrink")
def shrink(call, x):
    edge, bias = call.attr("lambd", 0.5), like(call.attr("bias", 0.0), x)
    low = _core.where(_core.less(x, like(-edge, x)), _core.add(x, bias), like(0, x))
    return _core.where(_core.greater(x, like(edge, x)), _core.subtract(x, bias), low)


@converts("Dropout")
def dropout(call, x, *rest):
    """Inference: the values as they are; training mode needs a known `training_mode` of false."""
    if call.given(2) is not None and call.opset >= 12 and bool(call.known(2, "training_mode")):
        raise NotImplementedError("training_mode must be false: train the model with fit(), received true")
    return (x, ops.ones_like(x, "bool"))[: call.count]


@converts("BiasGelu", domain="com.microsoft")
def bias_gelu(call, x, bias):
    return _core.gelu_erf(_core.add(x, bias))


@converts("FastGelu", domain="com.microsoft")
def fast_gelu(call, x, bias=None):
    return _core.gelu_tanh(x if bias is None else _core.add(x, bias))


@converts("QuickGelu", domain="com.microsoft")
def quick_gelu(call, x):
    alpha = call.attr("alpha", 1.702)
    return _core.multiply(x, _core.sigmoid(_core.multiply(x, like(alpha if math.isfinite(alpha) else 1.702, x))))
