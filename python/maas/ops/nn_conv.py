"""Convolution and pooling of sequences and images."""

from maas import _core
from maas.backend import image_data_format, result_type
from maas.backend.symbolic import op
from maas.ops.core import as_tensor, cast
from maas.ops.views import expand_dims, squeeze, transpose

__all__ = ["average_pool", "conv", "max_pool"]


def _channels_first(name, data_format):
    data_format = data_format or image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f'{name}: data_format must be "channels_last" or "channels_first", received {data_format!r}')
    return data_format == "channels_first"


def _padding(name, padding):
    if not isinstance(padding, str) or padding.lower() not in ("valid", "same"):
        raise ValueError(f'{name}: padding must be "valid" or "same", received {padding!r}')
    return padding.lower()


def _sizes(name, what, value, spatial):
    """`value` as a list of `spatial` positive ints; one int counts for every axis."""
    sizes = [value] * spatial if hasattr(value, "__index__") else list(value)
    if len(sizes) != spatial or any(not hasattr(s, "__index__") or s < 1 for s in sizes):
        raise ValueError(f"{name}: {what} must be a positive int or {spatial} of them, received {value!r}")
    return [int(s) for s in sizes]


def _on_images(name, x, first, fn):
    """Calls `fn` on `x` as (batch, height, width, channels): sequences get a height of 1."""
    spatial = x.ndim - 2
    if spatial not in (1, 2):
        raise ValueError(f"{name}: inputs must have 3 or 4 axes, 1 or 2 of them spatial, received shape {x.shape}")
    if first:
        x = transpose(x, [0, *range(2, x.ndim), 1])
    y = fn(expand_dims(x, 1) if spatial == 1 else x)
    if spatial == 1:
        y = squeeze(y, 1)
    return transpose(y, [0, y.ndim - 1, *range(1, y.ndim - 1)]) if first else y


@op
def conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    """Convolution: `y[n, o, f] = sum(x[n, o * stride - begin + k * dilation, c] * kernel[k, c, f])` over k and c.

    Args:
        inputs: floating Tensor (batch, *spatial, channels) with 1 or 2 spatial axes, or (batch, channels, *spatial).
        kernel: Tensor (*kernel_size, channels / groups, filters); the number of groups follows from the sizes.
        strides: int or one per spatial axis.
        padding: "valid" (none) or "same" (zeros, so that sizes are divided by the stride; the odd one goes at the end).
        data_format: "channels_last" or "channels_first"; default `maas.config.image_data_format()`.
        dilation_rate: int or one per spatial axis.

    Returns:
        Tensor (batch, *output sizes, filters), channels where those of `inputs` are.

    Raises:
        ValueError: if axes or channels do not fit, or the kernel is larger than a "valid" input.
    """
    x, kernel = as_tensor(inputs), as_tensor(kernel)
    dtype = result_type(x.dtype, kernel.dtype, float)
    x, kernel = cast(x, dtype), cast(kernel, dtype)
    first, spatial = _channels_first("conv", data_format), x.ndim - 2
    if kernel.ndim != x.ndim:
        raise ValueError(f"conv: inputs and kernel need as many axes, received shapes {x.shape} and {kernel.shape}")
    channels, taken = x.shape[1 if first else -1], kernel.shape[-2]
    if not channels or not taken or channels % taken:
        raise ValueError(
            f"conv: the {channels} channels of inputs must be a multiple of the kernel's {taken}, "
            f"received shapes {x.shape} and {kernel.shape}"
        )
    strides = _sizes("conv", "strides", strides, spatial)
    dilation = _sizes("conv", "dilation_rate", dilation_rate, spatial)
    one = [1] * (2 - spatial)
    if spatial == 1:
        kernel = expand_dims(kernel, 0)
    settings = {"strides": one + strides, "dilation": one + dilation, "padding": _padding("conv", padding)}
    settings["groups"] = channels // taken
    return _on_images("conv", x, first, lambda images: _core.conv(images, kernel, **settings))


def _pool(name, fn, inputs, pool_size, strides, padding, data_format):
    x = as_tensor(inputs)
    first, spatial = _channels_first(name, data_format), x.ndim - 2
    pool_size = _sizes(name, "pool_size", pool_size, spatial)
    strides = pool_size if strides is None else _sizes(name, "strides", strides, spatial)
    one = [1] * (2 - spatial)
    settings = {"pool_size": one + pool_size, "strides": one + strides, "padding": _padding(name, padding)}
    return _on_images(name, x, first, lambda images: fn(images, **settings))


@op
def max_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    """The largest value of every window: `y[n, o, c] = max(x[n, o * stride - begin + k, c])` over k. NaN wins.

    Args:
        inputs: floating Tensor (batch, *spatial, channels) with 1 or 2 spatial axes, or (batch, channels, *spatial).
        pool_size: int or one per spatial axis, size of the window.
        strides: int or one per spatial axis; default `pool_size`.
        padding: "valid" or "same"; positions outside never win.
        data_format: "channels_last" or "channels_first"; default `maas.config.image_data_format()`.

    Returns:
        Tensor (batch, *output sizes, channels).

    Raises:
        ValueError: if axes do not fit or the window is larger than a "valid" input.
    """
    return _pool("max_pool", _core.max_pool, inputs, pool_size, strides, padding, data_format)


@op
def average_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    """The mean of every window; with "same" padding, of its positions inside the image.

    Args:
        inputs: floating Tensor (batch, *spatial, channels) with 1 or 2 spatial axes, or (batch, channels, *spatial).
        pool_size: int or one per spatial axis, size of the window.
        strides: int or one per spatial axis; default `pool_size`.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first"; default `maas.config.image_data_format()`.

    Returns:
        Tensor (batch, *output sizes, channels).

    Raises:
        ValueError: if axes do not fit or the window is larger than a "valid" input.
    """
    return _pool("average_pool", _core.average_pool, inputs, pool_size, strides, padding, data_format)
