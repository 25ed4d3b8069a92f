"""Normalization."""

from maas import _core
from maas.backend.symbolic import op
from maas.ops.core import as_tensor, cast

__all__ = [
    "batch_normalization",
    "batch_normalization_train",
    "group_normalization",
    "layer_normalization",
    "normalize",
    "rms_normalization",
]


def _statistics_type(dtype):
    return dtype if dtype in ("float32", "float64") else "float32"


def _epsilon(given):
    if given is not None:
        return float(given)
    from maas.backend.config import epsilon

    return epsilon()


def _axes(axis):
    return [axis] if isinstance(axis, int) else sorted(axis)


@op
def batch_normalization(x, mean, variance, axis, offset=None, scale=None, epsilon=1e-3):
    """`(x - mean) / sqrt(variance + epsilon) * scale + offset` along one axis, with given statistics.

    Computed as `x * a + b` with one factor and one summand per channel, prepared once where they are parameters.

    Args:
        x: Tensor of any shape, floating dtype.
        mean, variance: Tensors of shape (x.shape[axis],).
        axis: int.
        offset, scale: Tensors of shape (x.shape[axis],), or None.
        epsilon: float, added to the variance.

    Returns:
        Tensor with the shape of `x`.

    Raises:
        ValueError: if `axis` is out of range or a vector does not fit.
    Reference: Ioffe and Szegedy, 2015, "Batch Normalization", arXiv:1502.03167.
    """
    x = as_tensor(x)
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"batch_normalization: axis={axis} is out of range for x, received {x.shape}")
    axis %= x.ndim
    shape = [1] * x.ndim
    shape[axis] = x.shape[axis]
    dtype = _statistics_type(x.dtype)

    def channels(name, value):
        value = as_tensor(value)
        if value.ndim != 1 or value.shape[0] != x.shape[axis]:
            raise ValueError(f"batch_normalization: {name} must have shape ({x.shape[axis]},), received {value.shape}")
        return cast(value, dtype)

    factor = _core.rsqrt(_core.add(channels("variance", variance), epsilon))
    if scale is not None:
        factor = _core.multiply(factor, channels("scale", scale))
    summand = _core.negative(_core.multiply(channels("mean", mean), factor))
    if offset is not None:
        summand = _core.add(summand, channels("offset", offset))
    if axis != x.ndim - 1:
        factor, summand = _core.reshape(factor, shape=shape), _core.reshape(summand, shape=shape)
    return cast(_core.add(_core.multiply(cast(x, dtype), factor), summand), x.dtype)


def batch_normalization_train(x, axis, offset=None, scale=None, epsilon=1e-3):
    """Batch normalization by the batch's own statistics, in one op.

    Args:
        x: Tensor of any shape, floating dtype.
        axis: int, the channels.
        offset, scale: Tensors of shape (x.shape[axis],), or None.
        epsilon: float, added to the variance.

    Returns:
        Tuple `(y, mean, variance)`: `y` in the shape and dtype of `x`; mean and variance (divided by the number of
        elements) of each channel, as `moments` gives them, in float32 for 16-bit `x`.

    Raises:
        ValueError: if `axis` is out of range, the channels are unknown or a vector does not fit.
    Reference: Ioffe and Szegedy, 2015, "Batch Normalization", arXiv:1502.03167.
    """
    given = [as_tensor(v) for v in (scale, offset) if v is not None]
    return _core.batch_norm_train(
        as_tensor(x), *given, axis=axis, epsilon=float(epsilon), scale=scale is not None, center=offset is not None
    )


@op
def layer_normalization(x, gamma=None, beta=None, axis=-1, epsilon=None, **kwargs):
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`, statistics over `axis` of each sample.

    Args:
        x: Tensor of any shape, floating dtype.
        gamma, beta: Tensors with the sizes of `x` along the sorted axes, or None.
        axis: int or list of ints.
        epsilon: float, added to the variance; default `maas.config.epsilon()`.

    Returns:
        Tensor with the shape and dtype of `x`. Statistics are kept in float32 or better.

    Raises:
        ValueError: if an axis is out of range or gamma or beta do not fit.
    Reference: Ba et al., 2016, "Layer Normalization", arXiv:1607.06450.
    """
    if kwargs.pop("rms_scaling", False):
        raise NotImplementedError("layer_normalization: rms_scaling does not exist here, received rms_scaling=True")
    if kwargs:
        raise TypeError(f"layer_normalization: unknown arguments, received {sorted(kwargs)}")
    given = [as_tensor(v) for v in (gamma, beta) if v is not None]
    axes = [axis] if isinstance(axis, int) else list(axis)
    return _core.layer_norm(
        as_tensor(x), *given, axis=axes, epsilon=_epsilon(epsilon), scale=gamma is not None, center=beta is not None
    )


@op
def rms_normalization(x, scale=None, axis=-1, epsilon=None):
    """`x / sqrt(mean(x^2) + epsilon) * scale`, the mean over `axis` of each sample.

    Args:
        x: Tensor of any shape, floating dtype; a scalar counts as a vector of one.
        scale: Tensor that broadcasts with `x`, or None.
        axis: int or list of ints.
        epsilon: float, added to the mean; default `maas.config.epsilon()`.

    Returns:
        Tensor with the dtype of `x`. The mean is kept in float32 or better.

    Raises:
        ValueError: if an axis is out of range or `scale` does not fit.
        TypeError: if `x` is not floating.
    Reference: Zhang and Sennrich, 2019, "Root Mean Square Layer Normalization", arXiv:1910.07467.
    """
    x = as_tensor(x)
    if x.ndim == 0:
        x = _core.reshape(x, shape=[1])
    axes = _axes(axis)
    options = {"axis": axes, "epsilon": _epsilon(epsilon), "center": False, "subtract_mean": False}
    if scale is None:
        return _core.layer_norm(x, scale=False, **options)
    scale = as_tensor(scale)
    places = [a % x.ndim for a in axes if -x.ndim <= a < x.ndim]
    last = list(range(x.ndim - len(axes), x.ndim))
    if places == last and list(scale.shape) == [x.shape[a] for a in last]:
        return _core.layer_norm(x, scale, scale=True, **options)
    dtype = _statistics_type(x.dtype)
    y = _core.layer_norm(cast(x, dtype), scale=False, **options)
    return cast(_core.multiply(y, cast(scale, dtype)), x.dtype)


def group_normalization(x, groups, axis=-1, gamma=None, beta=None, epsilon=1e-3):
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`, statistics of each sample over every group of channels.

    Args:
        x: Tensor (batch, ...), floating dtype.
        groups: int, divides the channels; as many as channels: instance normalization.
        axis: int, the channels.
        gamma, beta: Tensors of shape (x.shape[axis],), or None.
        epsilon: float, added to the variance.

    Returns:
        Tensor with the shape and dtype of `x`. Statistics are kept in float32 or better.

    Raises:
        ValueError: if `axis` is out of range, the channels are unknown or `groups` does not divide them.
    Reference: Wu and He, 2018, "Group Normalization", arXiv:1803.08494.
    """
    from maas.ops.views import moveaxis

    x = as_tensor(x)
    if not -x.ndim <= axis < x.ndim or axis % x.ndim == 0:
        raise ValueError(f"group_normalization: axis must be in [1, {x.ndim}), received axis={axis}")
    given = [as_tensor(v) for v in (gamma, beta) if v is not None]
    last = axis % x.ndim == x.ndim - 1
    y = _core.group_norm(
        x if last else moveaxis(x, axis, -1), *given, groups=groups, epsilon=float(epsilon),
        scale=gamma is not None, center=beta is not None,
    )  # fmt: skip
    return y if last else moveaxis(y, -1, axis)


@op
def normalize(x, axis=-1, order=2, epsilon=None):
    """`x / max(norm(x), epsilon)`, the norm of that order along `axis`.

    Args:
        x: Tensor; a scalar counts as a vector of one.
        axis: int, tuple of ints, or None for all axes.
        order: int, at least 1.
        epsilon: float; default `maas.config.epsilon()`.

    Raises:
        ValueError: if `order` is not a positive int.
    """
    from maas import ops

    if not isinstance(order, int) or not order >= 1:
        raise ValueError(f"normalize: order must be an int of at least 1, received order={order}")
    x, epsilon = as_tensor(x), _epsilon(epsilon)
    if x.ndim == 0:
        x = _core.reshape(x, shape=[1])
    if order == 2:
        squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
        return ops.multiply(x, ops.minimum(ops.rsqrt(squares), 1.0 / epsilon))
    return ops.divide(x, ops.maximum(ops.norm(x, ord=order, axis=axis, keepdims=True), epsilon))
