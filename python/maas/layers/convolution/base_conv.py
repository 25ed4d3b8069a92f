"""What Conv1D and Conv2D share."""

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


class BaseConv(Layer):
    """Convolution over `rank` spatial axes: `activation(conv(inputs, kernel) + bias)`.

    Args:
        rank: int, number of spatial axes.
        filters: int, number of output channels.
        kernel_size, strides, dilation_rate: int or `rank` ints.
        padding: "valid" or "same" (1-D also "causal").
        data_format: "channels_last" or "channels_first".
        groups: int, number of groups that channels are split into.
        activation, use_bias and the options of the weights `kernel` (*kernel_size, channels / groups, filters) and
        `bias` (filters,).

    Raises:
        ValueError: for a wrong argument or an input that does not fit.
    """

    def __init__(
        self, rank, filters, kernel_size, strides=1, padding="valid", data_format=None, dilation_rate=1, groups=1,
        activation=None, use_bias=True,
        kernel_initializer="glorot_uniform", bias_initializer="zeros", kernel_regularizer=None, bias_regularizer=None,
        activity_regularizer=None, kernel_constraint=None, bias_constraint=None, **kwargs,
    ):  # fmt: skip
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        owner = self._label()
        self.rank = rank
        self.filters = check_positive(filters, "filters", owner)
        self.groups = check_positive(groups, "groups", owner)
        self.kernel_size = standardize_tuple(kernel_size, rank, "kernel_size", owner)
        self.strides = standardize_tuple(strides, rank, "strides", owner)
        self.dilation_rate = standardize_tuple(dilation_rate, rank, "dilation_rate", owner)
        self.padding = standardize_padding(padding, owner, allow_causal=rank == 1)
        self.data_format = standardize_data_format(data_format, owner)
        if self.filters % self.groups:
            raise ValueError(
                f"{owner}: `filters` must be a multiple of `groups`, received filters={filters}, groups={groups}"
            )
        if self.padding == "causal" and self.data_format != "channels_last":
            raise ValueError(
                f"{owner}: padding='causal' needs data_format='channels_last', received {self.data_format!r}"
            )
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{owner}: strides > 1 and dilation_rate > 1 exclude each other, received strides={self.strides}, "
                f"dilation_rate={self.dilation_rate}"
            )
        set_options(
            self, activation=activation, use_bias=use_bias, kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer, bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )  # fmt: skip
        self.input_spec = InputSpec(min_ndim=rank + 2)

    def _channel_axis(self):
        return -1 if self.data_format == "channels_last" else 1

    def build(self, input_shape):
        channels = input_shape[self._channel_axis()]
        if channels is None:
            raise ValueError(f"{self._label()}: the channels of the input must be known, received {tuple(input_shape)}")
        if channels % self.groups:
            raise ValueError(
                f"{self._label()}: input channels must be a multiple of groups={self.groups}, received "
                f"{tuple(input_shape)}"
            )
        self.compute_output_shape(input_shape)  # refuses windows larger than the input before weights are made
        self.kernel = self.add_weight(
            name="kernel", shape=(*self.kernel_size, channels // self.groups, self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.filters,), initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )  # fmt: skip
        self.input_spec = InputSpec(min_ndim=self.rank + 2, axes={self._channel_axis(): channels})

    def compute_output_shape(self, input_shape):
        if len(input_shape) != self.rank + 2:
            raise ValueError(
                f"{self._label()}: the input must have rank {self.rank + 2}, received {tuple(input_shape)}"
            )
        return spatial_output_shape(
            input_shape,
            self.kernel_size,
            self.strides,
            self.padding,
            self.filters,
            self.data_format,
            self._label(),
            self.dilation_rate,
        )

    def convolution(self, inputs):
        """The bare convolution, channels last."""
        from maas import ops

        return ops.conv(
            inputs,
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            data_format="channels_last",
            dilation_rate=self.dilation_rate,
        )

    def call(self, inputs):
        from maas import ops

        first = self.data_format == "channels_first"
        x = self.convolution(channels_last(inputs) if first else inputs)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        x = self.activation(x)
        return channels_first(x) if first else x

    def get_config(self):
        own = config_of(
            self, "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups",
            "activation", "use_bias",
            "kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer", "activity_regularizer",
            "kernel_constraint",
            "bias_constraint",
        )  # fmt: skip
        return {**super().get_config(), **own}
