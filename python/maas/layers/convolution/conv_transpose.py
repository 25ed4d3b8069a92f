"""`Conv1DTranspose`, `Conv2DTranspose`, `Conv3DTranspose`: layers that let sizes grow by the strides."""

from maas.layers.convolution.base_conv import BaseConv
from maas.layers.convolution.sizes import transposed_output_size
from maas.layers.options import check_positive, standardize_tuple


class _ConvTranspose(BaseConv):
    def __init__(
        self, filters, kernel_size, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1,
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
            kernel_size, strides, padding, data_format, dilation_rate, options,
            activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
        owner = self._label()
        self.filters = check_positive(filters, "filters", owner)
        self.output_padding = output_padding
        if output_padding is not None:
            self.output_padding = standardize_tuple(output_padding, self.rank, "output_padding", owner, allow_zero=True)
            if any(p >= s for p, s in zip(self.output_padding, self.strides)):
                raise ValueError(
                    f"{owner}: `output_padding` must be less than `strides` on every axis, received "
                    f"output_padding={self.output_padding}, strides={self.strides}"
                )
        self.own_config = (*self.own_config, "filters", "output_padding")
        self._refuse_strides_with_dilation()

    def build(self, input_shape):
        channels = self._channels(input_shape)
        self.kernel = self._add_kernel((*self.kernel_size, self.filters, channels))
        self.bias = self._add_bias(self.filters)

    def compute_output_shape(self, input_shape):
        self._check_rank(input_shape)
        first = 1 if self.data_format == "channels_last" else 2
        extra = self.output_padding or (None,) * self.rank
        sizes = tuple(
            transposed_output_size(n, k, s, self.padding, p, d)
            for n, k, s, p, d in zip(input_shape[first:], self.kernel_size, self.strides, extra, self.dilation_rate)
        )
        return (input_shape[0], *sizes, self.filters) if first == 1 else (input_shape[0], self.filters, *sizes)

    def product(self, x):
        from maas import ops

        return ops.conv_transpose(x, self.kernel, output_padding=self.output_padding, **self._window())


_DOC = """The gradient of `{0}` for its input, as a layer: `activation(conv_transpose(inputs, kernel) + bias)`.

    Args:
        filters: int, number of output channels.
        kernel_size, strides, dilation_rate: int or one int per spatial axis; sizes grow by `strides`.
        padding: "valid" or "same".
        output_padding: int or one per spatial axis, less than `strides`: outputs at the end, in place of those that
            `padding` gives.
        data_format: "channels_last" or "channels_first".
        activation, use_bias and the options of the weights `kernel` (*kernel_size, filters, channels) and `bias`.

    Raises:
        ValueError: for a wrong argument or an input that does not fit.
    """


class Conv1DTranspose(_ConvTranspose):
    __doc__ = _DOC.format("Conv1D")
    rank = 1


class Conv2DTranspose(_ConvTranspose):
    __doc__ = _DOC.format("Conv2D")


class Conv3DTranspose(_ConvTranspose):
    __doc__ = _DOC.format("Conv3D")
    rank = 3
