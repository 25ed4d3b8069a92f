"""Convolution and pooling over one to three spatial axes."""

from maas import _core
from maas.backend import image_data_format, result_type
from maas.backend.symbolic import op
from maas.ops.core import as_tensor, cast
from maas.ops.views import reshape, transpose

__all__ = ["average_pool", "conv", "conv_transpose", "depthwise_conv", "max_pool", "separable_conv"]


def _channels_first(name, data_format):
    data_format = data_format or image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f'{name}: data_format must be "channels_last" or "channels_first", received {data_format!r}')
    return data_format == "channels_first"


def _padding(name, padding):
    if not isinstance(padding, str) or padding.lower() not in ("valid", "same"):
        raise ValueError(f'{name}: padding must be "valid" or "same", received {padding!r}')
    return padding.lower()


def _sizes(name, what, value, spatial, least=1):
    """`value` as a list of `spatial` ints; one int counts for every axis."""
    sizes = [value] * spatial if hasattr(value, "__index__") else list(value)
    if len(sizes) != spatial or any(not hasattr(s, "__index__") or s < least for s in sizes):
        kind = "a positive int" if least else "an int >= 0"
        raise ValueError(f"{name}: {what} must be {kind} or {spatial} of them, received {value!r}")
    return [int(s) for s in sizes]


def _images(name, x, data_format):
    """(x with its channels last, what brings a result into the format of x)."""
    first = _channels_first(name, data_format)
    if x.ndim not in (3, 4, 5):
        raise ValueError(f"{name}: inputs must have 3 to 5 axes, 1 to 3 of them spatial, received shape {x.shape}")
    if not first:
        return x, lambda y: y
    # Both are views; where one layer's result goes straight into the next, they cancel.
    return transpose(x, [0, *range(2, x.ndim), 1]), lambda y: transpose(y, [0, y.ndim - 1, *range(1, y.ndim - 1)])


def _operands(name, inputs, *kernels):
    """Inputs and kernels as tensors of one floating dtype."""
    tensors = [as_tensor(t) for t in (inputs, *kernels)]
    dtype = result_type(*(t.dtype for t in tensors), float)
    x = tensors[0]
    for kernel in tensors[1:]:
        if kernel.ndim != x.ndim:
            raise ValueError(
                f"{name}: inputs and kernel need as many axes, received shapes {x.shape} and {kernel.shape}"
            )
    return [cast(t, dtype) for t in tensors]


def _window(name, spatial, strides, padding, dilation_rate):
    return {
        "strides": _sizes(name, "strides", strides, spatial),
        "dilation": _sizes(name, "dilation_rate", dilation_rate, spatial),
        "padding": _padding(name, padding),
    }


def _check_channels(name, x, kernel, channels, taken):
    if not channels or not taken or channels % taken:
        raise ValueError(
            f"{name}: the {channels} channels of inputs must be a multiple of the kernel's {taken}, "
            f"received shapes {x.shape} and {kernel.shape}"
        )


@op
def conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    """Convolution: `y[n, o, f] = sum(x[n, o * stride - begin + k * dilation, c] * kernel[k, c, f])` over k and c.

    Args:
        inputs: floating Tensor (batch, *spatial, channels) with 1 to 3 spatial axes, or (batch, channels, *spatial).
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
    given, kernel = _operands("conv", inputs, kernel)
    x, back = _images("conv", given, data_format)
    channels, taken = x.shape[-1], kernel.shape[-2]
    _check_channels("conv", given, kernel, channels, taken)
    settings = _window("conv", x.ndim - 2, strides, padding, dilation_rate)
    return back(_core.conv(x, kernel, groups=channels // taken, **settings))


@op
def causal_conv(inputs, kernel, strides, dilation_rate):
    """`conv` of (batch, time, channels) with zeros before the first step, so that step t sees none after it."""
    x, kernel = _operands("conv", inputs, kernel)
    settings = _window("conv", 1, strides, "valid", dilation_rate)
    channels, taken = x.shape[-1], kernel.shape[-2]
    _check_channels("conv", x, kernel, channels, taken)
    settings.update(padding="explicit", pads=[settings["dilation"][0] * (kernel.shape[0] - 1), 0])
    return _core.conv(x, kernel, groups=channels // taken, **settings)


@op
def depthwise_conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    """Every channel convolved with filters of its own: `y[n, o, c * m + j] = sum(x[n, s, c] * kernel[k, c, j])` over k.

    Args:
        inputs: floating Tensor (batch, *spatial, channels) with 1 to 3 spatial axes, or (batch, channels, *spatial).
        kernel: Tensor (*kernel_size, channels, depth multiplier m).
        strides, padding, data_format, dilation_rate: as in `conv`, which also says what source s is.

    Returns:
        Tensor (batch, *output sizes, channels * m), channels where those of `inputs` are.

    Raises:
        ValueError: if axes or channels do not fit, or the kernel is larger than a "valid" input.

    Reference: Chollet, 2017, "Xception: Deep Learning with Depthwise Separable Convolutions", arXiv:1610.02357.
    """
    given, kernel = _operands("depthwise_conv", inputs, kernel)
    x, back = _images("depthwise_conv", given, data_format)
    if x.shape[-1] != kernel.shape[-2]:
        raise ValueError(
            f"depthwise_conv: the kernel must have the {x.shape[-1]} channels of inputs, received shapes {given.shape} "
            f"and {kernel.shape}"
        )
    channels, multiplier = kernel.shape[-2:]
    # One group per channel; the filters of a channel lie beside each other.
    kernel = reshape(kernel, (*kernel.shape[:-2], 1, channels * multiplier))
    settings = _window("depthwise_conv", x.ndim - 2, strides, padding, dilation_rate)
    return back(_core.conv(x, kernel, groups=channels, **settings))


@op
def separable_conv(
    inputs, depthwise_kernel, pointwise_kernel, strides=1, padding="valid", data_format=None, dilation_rate=1
):
    """A depthwise convolution, then a convolution of window 1 that mixes the channels.

    Args:
        inputs: floating Tensor (batch, *spatial, channels) with 1 to 3 spatial axes, or (batch, channels, *spatial).
        depthwise_kernel: Tensor (*kernel_size, channels, depth multiplier m).
        pointwise_kernel: Tensor (1, ..., channels * m, filters).
        strides, padding, data_format, dilation_rate: of the depthwise part, as in `conv`.

    Returns:
        Tensor (batch, *output sizes, filters), channels where those of `inputs` are.

    Raises:
        ValueError: if axes or channels do not fit, or the kernel is larger than a "valid" input.
    """
    x = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(x, pointwise_kernel, 1, "valid", data_format)


def _transposed_axis(name, kernel, stride, dilation, padding, extra):
    """(begin, end, constant): outputs are `size * stride + constant`; pads of the convolution this is the gradient of.

    "same" without output_padding gives `size * stride` outputs and "valid" those that any window touches, as in Keras.
    """
    extent = (kernel - 1) * dilation + 1
    if padding == "valid":
        before = extent - 1
        after = extent - 1 + (max(extent, stride) - extent if extra is None else extra)
    else:
        total = stride + extent - 2 if extra is None else extent + extent % 2 - 2 + extra
        before = min(total // 2 + total % 2, extent - 1)
        after = total - before
    if after < 0 or before < 0:
        raise ValueError(f"{name}: nothing is left of an axis, received kernel size {kernel}, output_padding={extra}")
    return extent - 1 - before, extent - 1 - after, before + after + 2 - extent - stride


@op
def conv_transpose(inputs, kernel, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1):
    """The gradient of a convolution for its input: `y[n, o * stride - begin + k * dilation, f] += x[n, o, c] *
    kernel[k, f, c]`.

    Args:
        inputs: floating Tensor (batch, *spatial, channels) with 1 to 3 spatial axes, or (batch, channels, *spatial).
        kernel: Tensor (*kernel_size, filters, channels).
        strides: int or one per spatial axis, by which sizes grow.
        padding: "same" (outputs are `size * stride`) or "valid" (`(size - 1) * stride + max(kernel size, stride)`).
        output_padding: int or one per spatial axis: outputs at the end, in place of those that `padding` gives.
        data_format: "channels_last" or "channels_first"; default `maas.config.image_data_format()`.
        dilation_rate: int or one per spatial axis.

    Returns:
        Tensor (batch, *output sizes, filters), channels where those of `inputs` are.

    Raises:
        ValueError: if axes or channels do not fit.

    Reference: Dumoulin and Visin, 2016, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285.
    """
    name = "conv_transpose"
    given, kernel = _operands(name, inputs, kernel)
    x, back = _images(name, given, data_format)
    spatial = x.ndim - 2
    if x.shape[-1] != kernel.shape[-1]:
        raise ValueError(
            f"{name}: the kernel's last axis must be the {x.shape[-1]} channels of inputs, received shapes "
            f"{given.shape} and {kernel.shape}"
        )
    settings = _window(name, spatial, strides, padding, dilation_rate)
    extra = [None] * spatial
    if output_padding is not None:
        extra = _sizes(name, "output_padding", output_padding, spatial, least=0)
    pads, size = [], []
    for axis in range(spatial):
        stride = settings["strides"][axis]
        begin, end, constant = _transposed_axis(
            name, kernel.shape[axis], stride, settings["dilation"][axis], settings["padding"], extra[axis]
        )
        pads += [begin, end]
        size.append(x.dims[axis + 1] * stride + constant)
    settings.update(padding="explicit", pads=pads, size=size)
    return back(_core.conv_input_gradient(x, kernel, **settings))


def _pool(name, fn, inputs, pool_size, strides, padding, data_format):
    x, back = _images(name, as_tensor(inputs), data_format)
    spatial = x.ndim - 2
    pool_size = _sizes(name, "pool_size", pool_size, spatial)
    strides = pool_size if strides is None else _sizes(name, "strides", strides, spatial)
    return back(fn(x, pool_size=pool_size, strides=strides, padding=_padding(name, padding)))


@op
def max_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    """The largest value of every window: `y[n, o, c] = max(x[n, o * stride - begin + k, c])` over k. NaN wins.

    Args:
        inputs: floating Tensor (batch, *spatial, channels) with 1 to 3 spatial axes, or (batch, channels, *spatial).
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
        inputs: floating Tensor (batch, *spatial, channels) with 1 to 3 spatial axes, or (batch, channels, *spatial).
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
