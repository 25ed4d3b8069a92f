"""Normalization."""

from maas import _core
from maas.backend.symbolic import op
from maas.ops.core import as_tensor, cast

__all__ = ["batch_normalization", "batch_normalization_train", "layer_normalization"]


def _statistics_type(dtype):
    return dtype if dtype in ("float32", "float64") else "float32"


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
    if epsilon is None:
        from maas.backend.config import epsilon as default_epsilon

        epsilon = default_epsilon()
    given = [as_tensor(v) for v in (gamma, beta) if v is not None]
    axes = [axis] if isinstance(axis, int) else list(axis)
    return _core.layer_norm(
        as_tensor(x), *given, axis=axes, epsilon=float(epsilon), scale=gamma is not None, center=beta is not None
    )
