"""`DepthwiseConv1D`, `DepthwiseConv2D`, `SeparableConv1D`, `SeparableConv2D`: filters of its own for every channel."""

from maas.layers.convolution.base_conv import BaseConv
from maas.layers.options import check_positive


class _DepthwiseConv(BaseConv):
    def __init__(
        self, kernel_size, strides=1, padding="valid", depth_multiplier=1, data_format=None, dilation_rate=1,
        activation=None, use_bias=True, depthwise_initializer="glorot_uniform", bias_initializer="zeros",
        depthwise_regularizer=None, bias_regularizer=None, activity_regularizer=None, depthwise_constraint=None,
        bias_constraint=None, **kwargs,
    ):  # fmt: skip
        options = {
            "activation": activation, "use_bias": use_bias, "depthwise_initializer": depthwise_initializer,
            "bias_initializer": bias_initializer, "depthwise_regularizer": depthwise_regularizer,
            "bias_regularizer": bias_regularizer, "depthwise_constraint": depthwise_constraint,
            "bias_constraint": bias_constraint,
        }  # fmt: skip
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, options,
            activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
        self.depth_multiplier = check_positive(depth_multiplier, "depth_multiplier", self._label())
        self.own_config = (*self.own_config, "depth_multiplier")

    def build(self, input_shape):
        channels = self._channels(input_shape)
        self.kernel = self._add_kernel((*self.kernel_size, channels, self.depth_multiplier), kind="depthwise")
        self.bias = self._add_bias(channels * self.depth_multiplier)

    def compute_output_shape(self, input_shape):
        self._check_rank(input_shape)
        return self._output_shape(input_shape, input_shape[self._channel_axis()] * self.depth_multiplier)

    def product(self, x):
        from maas import ops

        return ops.depthwise_conv(x, self.kernel, **self._window())


class _SeparableConv(BaseConv):
    def __init__(
        self, filters, kernel_size, strides=1, padding="valid", data_format=None, dilation_rate=1, depth_multiplier=1,
        activation=None, use_bias=True, depthwise_initializer="glorot_uniform", pointwise_initializer="glorot_uniform",
        bias_initializer="zeros", depthwise_regularizer=None, pointwise_regularizer=None, bias_regularizer=None,
        activity_regularizer=None, depthwise_constraint=None, pointwise_constraint=None, bias_constraint=None, **kwargs,
    ):  # fmt: skip
        options = {
            "activation": activation, "use_bias": use_bias, "depthwise_initializer": depthwise_initializer,
            "pointwise_initializer": pointwise_initializer, "bias_initializer": bias_initializer,
            "depthwise_regularizer": depthwise_regularizer, "pointwise_regularizer": pointwise_regularizer,
            "bias_regularizer": bias_regularizer, "depthwise_constraint": depthwise_constraint,
            "pointwise_constraint": pointwise_constraint, "bias_constraint": bias_constraint,
        }  # fmt: skip
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, options,
            activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
        self.filters = check_positive(filters, "filters", self._label())
        self.depth_multiplier = check_positive(depth_multiplier, "depth_multiplier", self._label())
        self.own_config = (*self.own_config, "filters", "depth_multiplier")

    def build(self, input_shape):
        channels, m = self._channels(input_shape), self.depth_multiplier
        self.depthwise_kernel = self._add_kernel((*self.kernel_size, channels, m), "depthwise_kernel", "depthwise")
        shape = (*(1,) * self.rank, channels * m, self.filters)
        self.pointwise_kernel = self._add_kernel(shape, "pointwise_kernel", "pointwise")
        self.bias = self._add_bias(self.filters)

    def compute_output_shape(self, input_shape):
        return self._output_shape(input_shape, self.filters)

    def product(self, x):
        from maas import ops

        return ops.separable_conv(x, self.depthwise_kernel, self.pointwise_kernel, **self._window())


_DEPTHWISE = """Convolves each channel with `depth_multiplier` filters of its own, over {0}.

    Args:
        kernel_size, strides, dilation_rate: int or one int per spatial axis.
        padding: "valid" or "same".
        depth_multiplier: int, output channels per input channel.
        data_format: "channels_last" or "channels_first".
        activation, use_bias and the options of the weights `kernel` (*kernel_size, channels, depth_multiplier) and
        `bias` (channels * depth_multiplier,).

    Raises:
        ValueError: for a wrong argument or an input that does not fit.
    """
_SEPARABLE = """A depthwise convolution over {0}, then a convolution of window 1 that mixes the channels.

    Args:
        filters: int, number of output channels.
        kernel_size, strides, dilation_rate: int or one int per spatial axis, of the depthwise part.
        padding: "valid" or "same".
        depth_multiplier: int, channels per input channel between the two parts.
        data_format: "channels_last" or "channels_first".
        activation, use_bias and the options of `depthwise_kernel`, `pointwise_kernel` and `bias`.

    Raises:
        ValueError: for a wrong argument or an input that does not fit.

    Reference: Chollet, 2017, "Xception: Deep Learning with Depthwise Separable Convolutions", arXiv:1610.02357.
    """


class DepthwiseConv1D(_DepthwiseConv):
    __doc__ = _DEPTHWISE.format("time")
    rank = 1


class DepthwiseConv2D(_DepthwiseConv):
    __doc__ = _DEPTHWISE.format("images")


class SeparableConv1D(_SeparableConv):
    __doc__ = _SEPARABLE.format("time")
    rank = 1


class SeparableConv2D(_SeparableConv):
    __doc__ = _SEPARABLE.format("images")
