"""`Conv1D`, `Conv2D`, `Conv3D`: convolution over time, images and volumes."""

from maas.layers.convolution.base_conv import BaseConv
from maas.layers.options import check_positive


class _Conv(BaseConv):
    def __init__(
        self, filters, kernel_size, strides=1, padding="valid", data_format=None, dilation_rate=1, groups=1,
        activation=None, use_bias=True, kernel_initializer="glorot_uniform", bias_initializer="zeros",
        kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None, kernel_constraint=None,
        bias_constraint=None, **kwargs,
    ):  # fmt: skip
        options = {
            "activation": activation, "use_bias": use_bias, "kernel_initializer": kernel_initializer,
            "bias_initializer": bias_initializer, "kernel_regularizer": kernel_regularizer,
            "bias_regularizer": bias_regularizer, "kernel_constraint": kernel_constraint,
            "bias_constraint": bias_constraint,
        }  # fmt: skip
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, options, causal=self.rank == 1,
            activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
        owner = self._label()
        self.filters = check_positive(filters, "filters", owner)
        self.groups = check_positive(groups, "groups", owner)
        self.own_config = (*self.own_config, "filters", "groups")
        if self.filters % self.groups:
            raise ValueError(
                f"{owner}: `filters` must be a multiple of `groups`, received filters={filters}, groups={groups}"
            )
        self._refuse_strides_with_dilation()

    def build(self, input_shape):
        channels = self._channels(input_shape)
        if channels % self.groups:
            raise ValueError(
                f"{self._label()}: input channels must be a multiple of groups={self.groups}, received "
                f"{tuple(input_shape)}"
            )
        self.kernel = self._add_kernel((*self.kernel_size, channels // self.groups, self.filters))
        self.bias = self._add_bias(self.filters)

    def compute_output_shape(self, input_shape):
        return self._output_shape(input_shape, self.filters)

    def product(self, x):
        from maas import ops

        return ops.conv(x, self.kernel, **self._window())


class Conv1D(_Conv):
    """Convolution over the time axis of (batch, time, channels): `activation(conv(inputs, kernel) + bias)`.

    Args:
        filters: int, number of output channels.
        kernel_size, strides, dilation_rate: int.
        padding: "valid", "same", or "causal" (step t sees no later step).
        data_format: "channels_last" or "channels_first".
        groups: int, number of groups that channels are split into.
        activation, use_bias and the options of the weights `kernel` (*kernel_size, channels / groups, filters) and
        `bias` (filters,).

    Raises:
        ValueError: for a wrong argument or an input that does not fit.
    """

    rank = 1

    def product(self, x):
        from maas.ops.nn_conv import causal_conv

        if self.padding != "causal":
            return super().product(x)
        return causal_conv(x, self.kernel, self.strides, self.dilation_rate)


class Conv2D(_Conv):
    """Convolution over images (batch, rows, columns, channels): `activation(conv(inputs, kernel) + bias)`.

    Args:
        filters: int, number of output channels.
        kernel_size, strides, dilation_rate: int or two ints.
        padding: "valid" or "same".
        data_format, groups, activation, use_bias and the options of the weights: see `Conv1D`.

    Raises:
        ValueError: for a wrong argument or an input that does not fit.
    """


class Conv3D(_Conv):
    """Convolution over volumes (batch, depth, rows, columns, channels): `activation(conv(inputs, kernel) + bias)`.

    Args:
        filters: int, number of output channels.
        kernel_size, strides, dilation_rate: int or three ints.
        padding: "valid" or "same".
        data_format, groups, activation, use_bias and the options of the weights: see `Conv1D`.

    Raises:
        ValueError: for a wrong argument or an input that does not fit.
    """

    rank = 3
