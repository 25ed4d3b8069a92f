"""`Conv1D`: convolution over time."""

from maas.layers.convolution.base_conv import BaseConv


class Conv1D(BaseConv):
    """Convolution over the time axis of (batch, time, channels).

    Args:
        filters: int, number of output channels.
        kernel_size, strides, dilation_rate: int.
        padding: "valid", "same", or "causal" (step t sees no later step).
        data_format, groups, activation, use_bias and weight options: see `BaseConv`.
    """

    def __init__(
        self, filters, kernel_size, strides=1, padding="valid", data_format=None, dilation_rate=1, groups=1,
        activation=None, use_bias=True,
        kernel_initializer="glorot_uniform", bias_initializer="zeros", kernel_regularizer=None, bias_regularizer=None,
        activity_regularizer=None, kernel_constraint=None, bias_constraint=None, **kwargs,
    ):  # fmt: skip
        super().__init__(
            1, filters, kernel_size, strides, padding, data_format, dilation_rate, groups, activation, use_bias,
            kernel_initializer,
            bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer, kernel_constraint,
            bias_constraint, **kwargs,
        )  # fmt: skip

    def convolution(self, inputs):
        from maas import ops

        padding = self.padding
        if padding == "causal":
            before = self.dilation_rate[0] * (self.kernel_size[0] - 1)
            inputs, padding = ops.pad(inputs, ((0, 0), (before, 0), (0, 0))), "valid"
        # A row of height 1: the 2-D kernels serve one spatial axis too.
        x = ops.conv(
            ops.expand_dims(inputs, 1), ops.expand_dims(self.kernel, 0), strides=(1, self.strides[0]), padding=padding,
            data_format="channels_last", dilation_rate=(1, self.dilation_rate[0]),
        )  # fmt: skip
        return ops.squeeze(x, axis=1)
