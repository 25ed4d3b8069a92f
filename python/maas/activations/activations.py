"""Activation functions: elementwise (softmax and log_softmax: along an axis) functions of a tensor."""


def _ops():
    from maas import ops

    return ops


def relu(x, negative_slope=0.0, max_value=None, threshold=0.0):
    """`max(x, 0)`; in general `x` above `threshold` (cut at `max_value`), `negative_slope * (x - threshold)` below it.

    Args:
        x: tensor.
        negative_slope: number, slope below the threshold.
        max_value: number or None, the largest output.
        threshold: number below which the slope applies.

    Returns:
        Tensor of the shape and dtype of `x`.
    """
    ops = _ops()
    if threshold == 0:
        if negative_slope == 0:
            if max_value is None:
                return ops.relu(x)
            return ops.relu6(x) if max_value == 6 else ops.minimum(ops.relu(x), max_value)
        y = ops.leaky_relu(x, negative_slope=negative_slope)
    else:
        below = ops.multiply(ops.subtract(x, threshold), negative_slope) if negative_slope else ops.zeros_like(x)
        y = ops.where(ops.greater(x, threshold), x, below)
    return y if max_value is None else ops.minimum(y, max_value)


def softmax(x, axis=-1):
    """`exp(x) / sum(exp(x))` along `axis` (an int, or several axes as a tuple).

    Raises:
        ValueError: for a tensor of rank 1 with a negative axis out of range.
    """
    return _ops().softmax(x, axis=axis)


def log_softmax(x, axis=-1):
    """`x - log(sum(exp(x)))` along `axis`."""
    return _ops().log_softmax(x, axis=axis)


def leaky_relu(x, negative_slope=0.2):
    """`x` for x > 0, `negative_slope * x` below."""
    return _ops().leaky_relu(x, negative_slope=negative_slope)


def relu6(x):
    """`min(max(x, 0), 6)`."""
    return _ops().relu6(x)


def elu(x, alpha=1.0):
    """`x` for x > 0, `alpha * (exp(x) - 1)` below. Reference: Clevert et al., 2016, arXiv:1511.07289."""
    return _ops().elu(x, alpha=alpha)


def selu(x):
    """`1.0507 * elu(x, 1.6733)`. Reference: Klambauer et al., 2017, arXiv:1706.02515."""
    return _ops().selu(x)


def celu(x, alpha=1.0):
    """`max(0, x) + min(0, alpha * (exp(x / alpha) - 1))`. Reference: Barron, 2017, arXiv:1704.07483."""
    return _ops().celu(x, alpha)


def softplus(x):
    """`log(exp(x) + 1)`."""
    return _ops().softplus(x)


def softsign(x):
    """`x / (|x| + 1)`."""
    return _ops().softsign(x)


def silu(x):
    """`x * sigmoid(x)`, also called swish. Reference: Ramachandran et al., 2017, arXiv:1710.05941."""
    return _ops().silu(x)


def gelu(x, approximate=False):
    """`x * P(X <= x)` for a unit normal X; `approximate=True` uses tanh. Reference: Hendrycks and Gimpel, 2016,
    arXiv:1606.08415.
    """
    return _ops().gelu(x, approximate=approximate)


def tanh(x):
    """`(exp(x) - exp(-x)) / (exp(x) + exp(-x))`."""
    return _ops().tanh(x)


def sigmoid(x):
    """`1 / (1 + exp(-x))`."""
    return _ops().sigmoid(x)


def exponential(x):
    """`exp(x)`."""
    return _ops().exp(x)


def hard_sigmoid(x):
    """`clip(x / 6 + 1/2, 0, 1)`."""
    return _ops().hard_sigmoid(x)


def hard_silu(x):
    """`x * hard_sigmoid(x)`, also called hard swish. Reference: Howard et al., 2019, arXiv:1905.02244."""
    return _ops().multiply(x, _ops().hard_sigmoid(x))


def log_sigmoid(x):
    """`log(1 / (1 + exp(-x)))`."""
    return _ops().negative(_ops().softplus(_ops().negative(x)))


def hard_tanh(x):
    """`clip(x, -1, 1)`."""
    return _ops().hard_tanh(x)


def tanh_shrink(x):
    """`x - tanh(x)`."""
    return _ops().tanh_shrink(x)


def glu(x, axis=-1):
    """`a * sigmoid(b)` for the halves `a` and `b` of `x` along `axis`. Reference: Dauphin et al., 2017,
    arXiv:1612.08083.
    """
    return _ops().glu(x, axis=axis)


def hard_shrink(x, threshold=0.5):
    """`x` where `|x| > threshold`, else 0."""
    return _ops().hard_shrink(x, threshold=threshold)


def soft_shrink(x, threshold=0.5):
    """`sign(x) * max(|x| - threshold, 0)`."""
    return _ops().soft_shrink(x, threshold=threshold)


def threshold(x, threshold, default_value):
    """`x` where `x > threshold`, else `default_value`."""
    return _ops().threshold(x, threshold, default_value)


def squareplus(x, b=4):
    """`(x + sqrt(x^2 + b)) / 2`. Reference: Barron, 2021, arXiv:2112.11687."""
    return _ops().squareplus(x, b=b)


def sparse_plus(x):
    """0 up to -1, `((x + 1) / 2)^2` up to 1, then `x`."""
    return _ops().sparse_plus(x)


def sparse_sigmoid(x):
    """0 up to -1, `(x + 1) / 2` up to 1, then 1. Reference: Martins and Astudillo, 2016, arXiv:1602.02068."""
    return _ops().sparse_sigmoid(x)


def sparsemax(x, axis=-1):
    """`max(x - tau, 0)` with the `tau` for which it sums to 1 along `axis`. Reference: Martins and Astudillo, 2016,
    arXiv:1602.02068.
    """
    return _ops().sparsemax(x, axis=axis)


def mish(x):
    """`x * tanh(softplus(x))`. Reference: Misra, 2019, arXiv:1908.08681."""
    return _ops().multiply(x, _ops().tanh(_ops().softplus(x)))


def linear(x):
    """`x` itself."""
    return x


swish = silu
hard_swish = hard_silu
