"""`Conv2D`: convolution over images."""

from maas.layers.convolution.base_conv import BaseConv


class Conv2D(BaseConv):
    """Convolution over the two spatial axes of (batch, rows, columns, channels).

    Args:
        filters: int, number of output channels.
        kernel_size, strides, dilation_rate: int or two ints.
        padding: "valid" or "same".
        data_format, groups, activation, use_bias and weight options: see `BaseConv`.
    """

    def __init__(
        self, filters, kernel_size, strides=(1, 1), padding="valid", data_format=None, dilation_rate=(1, 1), groups=1,
        activation=None,
        use_bias=True, kernel_initializer="glorot_uniform", bias_initializer="zeros", kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None, kernel_constraint=None, bias_constraint=None, **kwargs,
    ):  # fmt: skip
        super().__init__(
            2, filters, kernel_size, strides, padding, data_format, dilation_rate, groups, activation, use_bias,
            kernel_initializer,
            bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer, kernel_constraint,
            bias_constraint, **kwargs,
        )  # fmt: skip
