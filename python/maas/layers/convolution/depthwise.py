"""`DepthwiseConv2D` and `SeparableConv2D`: a filter of its own for every input channel."""

from maas.layers.convolution.sizes import spatial_output_shape
from maas.layers.input_spec import InputSpec
from maas.layers.layer import Layer
from maas.layers.options import (
    channels_first,
    channels_last,
    check_positive,
    config_of,
    set_options,
    standardize_data_format,
    standardize_padding,
    standardize_tuple,
)


class _Depthwise(Layer):
    """Base: sizes, weights `depthwise_kernel` (rows, columns, channels, depth_multiplier), and the depthwise
    product.
    """

    def __init__(
        self,
        kernel_size,
        strides,
        padding,
        depth_multiplier,
        data_format,
        dilation_rate,
        options,
        activity_regularizer,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        owner = self._label()
        self.depth_multiplier = check_positive(depth_multiplier, "depth_multiplier", owner)
        self.kernel_size = standardize_tuple(kernel_size, 2, "kernel_size", owner)
        self.strides = standardize_tuple(strides, 2, "strides", owner)
        self.dilation_rate = standardize_tuple(dilation_rate, 2, "dilation_rate", owner)
        self.padding = standardize_padding(padding, owner)
        self.data_format = standardize_data_format(data_format, owner)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{owner}: strides > 1 and dilation_rate > 1 exclude each other, received strides={self.strides}, "
                f"dilation_rate={self.dilation_rate}"
            )
        set_options(self, **options)
        self.input_spec = InputSpec(min_ndim=4)

    def _channel_axis(self):
        return -1 if self.data_format == "channels_last" else 1

    def _add_depthwise(self, input_shape):
        channels = input_shape[self._channel_axis()]
        if channels is None:
            raise ValueError(f"{self._label()}: the channels of the input must be known, received {tuple(input_shape)}")
        self.compute_output_shape(input_shape)
        kernel = self.add_weight(
            name="kernel" if isinstance(self, DepthwiseConv2D) else "depthwise_kernel",
            shape=(*self.kernel_size, channels, self.depth_multiplier), initializer=self.depthwise_initializer,
            regularizer=self.depthwise_regularizer, constraint=self.depthwise_constraint,
        )  # fmt: skip
        self.input_spec = InputSpec(min_ndim=4, axes={self._channel_axis(): channels})
        return kernel, channels

    def _add_bias(self, size):
        if not self.use_bias:
            return None
        return self.add_weight(
            name="bias",
            shape=(size,),
            initializer=self.bias_initializer,
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )

    def _depthwise(self, x, kernel):
        from maas import ops

        rows, cols, channels, multiplier = kernel.shape
        # One group per channel; the filters of a channel lie beside each other.
        return ops.conv(
            x, ops.reshape(kernel, (rows, cols, 1, channels * multiplier)), strides=self.strides, padding=self.padding,
            data_format="channels_last", dilation_rate=self.dilation_rate,
        )  # fmt: skip

    def _product(self, x):
        raise NotImplementedError

    def call(self, inputs):
        from maas import ops

        first = self.data_format == "channels_first"
        x = self._product(channels_last(inputs) if first else inputs)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        x = self.activation(x)
        return channels_first(x) if first else x

    def _output_shape(self, input_shape, channels):
        if len(input_shape) != 4:
            raise ValueError(f"{self._label()}: the input must have rank 4, received {tuple(input_shape)}")
        return spatial_output_shape(
            input_shape,
            self.kernel_size,
            self.strides,
            self.padding,
            channels,
            self.data_format,
            self._label(),
            self.dilation_rate,
        )


_SIZES = ("kernel_size", "strides", "padding", "data_format", "dilation_rate")


class DepthwiseConv2D(_Depthwise):
    """Convolves each channel with `depth_multiplier` filters of its own.

    Args:
        kernel_size, strides, dilation_rate: int or two ints.
        padding: "valid" or "same".
        depth_multiplier: int, output channels per input channel.
        data_format: "channels_last" or "channels_first".
        activation, use_bias and the options of the weights `kernel` (rows, columns, channels, depth_multiplier) and
        `bias`.

    Raises:
        ValueError: for a wrong argument or an input that does not fit.
    """

    def __init__(
        self, kernel_size, strides=(1, 1), padding="valid", depth_multiplier=1, data_format=None, dilation_rate=(1, 1),
        activation=None,
        use_bias=True, depthwise_initializer="glorot_uniform", bias_initializer="zeros", depthwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None, depthwise_constraint=None, bias_constraint=None, **kwargs,
    ):  # fmt: skip
        options = {
            "activation": activation, "use_bias": use_bias, "depthwise_initializer": depthwise_initializer,
            "bias_initializer": bias_initializer,
            "depthwise_regularizer": depthwise_regularizer, "bias_regularizer": bias_regularizer,
            "depthwise_constraint": depthwise_constraint, "bias_constraint": bias_constraint,
        }  # fmt: skip
        super().__init__(
            kernel_size,
            strides,
            padding,
            depth_multiplier,
            data_format,
            dilation_rate,
            options,
            activity_regularizer,
            **kwargs,
        )

    def build(self, input_shape):
        self.kernel, channels = self._add_depthwise(input_shape)
        self.bias = self._add_bias(channels * self.depth_multiplier)

    def _product(self, x):
        return self._depthwise(x, self.kernel)

    def compute_output_shape(self, input_shape):
        channels = input_shape[self._channel_axis()]
        return self._output_shape(input_shape, channels * self.depth_multiplier)

    def get_config(self):
        own = config_of(
            self, "depth_multiplier", *_SIZES, "activation", "use_bias", "depthwise_initializer", "bias_initializer",
            "depthwise_regularizer",
            "bias_regularizer", "activity_regularizer", "depthwise_constraint", "bias_constraint",
        )  # fmt: skip
        return {**super().get_config(), **own}


class SeparableConv2D(_Depthwise):
    """A depthwise convolution, then a 1x1 convolution that mixes the channels.

    Args:
        filters: int, number of output channels.
        kernel_size, strides, dilation_rate: int or two ints, of the depthwise part.
        padding: "valid" or "same".
        depth_multiplier: int, channels per input channel between the two parts.
        data_format: "channels_last" or "channels_first".
        activation, use_bias and the options of `depthwise_kernel`, `pointwise_kernel` and `bias`.

    Raises:
        ValueError: for a wrong argument or an input that does not fit.
    """

    def __init__(
        self, filters, kernel_size, strides=(1, 1), padding="valid", data_format=None, dilation_rate=(1, 1),
        depth_multiplier=1,
        activation=None, use_bias=True, depthwise_initializer="glorot_uniform", pointwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None, pointwise_regularizer=None, bias_regularizer=None, activity_regularizer=None,
        depthwise_constraint=None,
        pointwise_constraint=None, bias_constraint=None, **kwargs,
    ):  # fmt: skip
        options = {
            "activation": activation, "use_bias": use_bias, "depthwise_initializer": depthwise_initializer,
            "pointwise_initializer": pointwise_initializer, "bias_initializer": bias_initializer,
            "depthwise_regularizer": depthwise_regularizer,
            "pointwise_regularizer": pointwise_regularizer, "bias_regularizer": bias_regularizer,
            "depthwise_constraint": depthwise_constraint,
            "pointwise_constraint": pointwise_constraint, "bias_constraint": bias_constraint,
        }  # fmt: skip
        super().__init__(
            kernel_size,
            strides,
            padding,
            depth_multiplier,
            data_format,
            dilation_rate,
            options,
            activity_regularizer,
            **kwargs,
        )
        self.filters = check_positive(filters, "filters", self._label())

    def build(self, input_shape):
        self.depthwise_kernel, channels = self._add_depthwise(input_shape)
        self.pointwise_kernel = self.add_weight(
            name="pointwise_kernel", shape=(1, 1, channels * self.depth_multiplier, self.filters),
            initializer=self.pointwise_initializer,
            regularizer=self.pointwise_regularizer, constraint=self.pointwise_constraint,
        )  # fmt: skip
        self.bias = self._add_bias(self.filters)

    def _product(self, x):
        from maas import ops

        return ops.conv(
            self._depthwise(x, self.depthwise_kernel),
            self.pointwise_kernel,
            padding="valid",
            data_format="channels_last",
        )

    def compute_output_shape(self, input_shape):
        return self._output_shape(input_shape, self.filters)

    def get_config(self):
        own = config_of(
            self, "depth_multiplier", "filters", *_SIZES, "activation", "use_bias", "depthwise_initializer",
            "pointwise_initializer",
            "bias_initializer", "depthwise_regularizer", "pointwise_regularizer", "bias_regularizer",
            "activity_regularizer",
            "depthwise_constraint", "pointwise_constraint", "bias_constraint",
        )  # fmt: skip
        return {**super().get_config(), **own}
