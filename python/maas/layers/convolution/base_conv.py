"""What all convolution layers share: sizes, weights, bias and activation."""

from maas.layers.convolution.sizes import spatial_output_shape
from maas.layers.input_spec import InputSpec
from maas.layers.layer import Layer
from maas.layers.options import (
    channels_first,
    channels_last,
    config_of,
    set_options,
    standardize_data_format,
    standardize_padding,
    standardize_tuple,
)


class BaseConv(Layer):
    """`activation(product(inputs) + bias)` over `rank` spatial axes; the product is the subclass's.

    Args:
        kernel_size, strides, dilation_rate: int or `rank` ints.
        padding: "valid" or "same" (with `causal` also "causal").
        data_format: "channels_last" or "channels_first".
        options: dict of activation, use_bias and the options of the weights.

    Raises:
        ValueError: for a wrong argument or an input that does not fit.
    """

    rank = 2
    own_config = ()  # further names in the config

    def __init__(
        self, kernel_size, strides, padding, data_format, dilation_rate, options, causal=False, **kwargs
    ):  # fmt: skip
        super().__init__(**kwargs)
        owner, rank = self._label(), self.rank
        self.kernel_size = standardize_tuple(kernel_size, rank, "kernel_size", owner)
        self.strides = standardize_tuple(strides, rank, "strides", owner)
        self.dilation_rate = standardize_tuple(dilation_rate, rank, "dilation_rate", owner)
        self.padding = standardize_padding(padding, owner, allow_causal=causal)
        self.data_format = standardize_data_format(data_format, owner)
        set_options(self, **options)
        self.own_config = (*self.own_config, *options)
        self.input_spec = InputSpec(min_ndim=rank + 2)

    def _refuse_strides_with_dilation(self):
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{self._label()}: strides > 1 and dilation_rate > 1 exclude each other, received "
                f"strides={self.strides}, dilation_rate={self.dilation_rate}"
            )

    def _channel_axis(self):
        return -1 if self.data_format == "channels_last" else 1

    def _channels(self, input_shape):
        """Channels of the input; checks the input before weights are made."""
        channels = input_shape[self._channel_axis()]
        if channels is None:
            raise ValueError(f"{self._label()}: the channels of the input must be known, received {tuple(input_shape)}")
        self.compute_output_shape(input_shape)
        self.input_spec = InputSpec(min_ndim=self.rank + 2, axes={self._channel_axis(): channels})
        return channels

    def _add_kernel(self, shape, name="kernel", kind="kernel"):
        return self.add_weight(
            name=name, shape=shape, initializer=getattr(self, f"{kind}_initializer"),
            regularizer=getattr(self, f"{kind}_regularizer"), constraint=getattr(self, f"{kind}_constraint"),
        )  # fmt: skip

    def _add_bias(self, size):
        return self._add_kernel((size,), "bias", "bias") if self.use_bias else None

    def _check_rank(self, input_shape):
        if len(input_shape) != self.rank + 2:
            raise ValueError(
                f"{self._label()}: the input must have rank {self.rank + 2}, received {tuple(input_shape)}"
            )

    def _output_shape(self, input_shape, channels):
        self._check_rank(input_shape)
        return spatial_output_shape(
            input_shape, self.kernel_size, self.strides, self.padding, channels, self.data_format, self._label(),
            self.dilation_rate,
        )  # fmt: skip

    def _window(self):
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "data_format": "channels_last",
        }

    def product(self, x):
        """The bare product, channels last."""
        raise NotImplementedError

    def call(self, inputs):
        from maas import ops

        first = self.data_format == "channels_first"
        x = self.product(channels_last(inputs) if first else inputs)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        x = self.activation(x)
        return channels_first(x) if first else x

    def get_config(self):
        sizes = ("kernel_size", "strides", "padding", "data_format", "dilation_rate", "activity_regularizer")
        return {**super().get_config(), **config_of(self, *sizes, *self.own_config)}
