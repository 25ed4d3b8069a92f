"""Max and average pooling over windows."""

from maas.layers.convolution.sizes import spatial_output_shape
from maas.layers.input_spec import InputSpec
from maas.layers.layer import Layer
from maas.layers.options import (
    config_of,
    standardize_data_format,
    standardize_padding,
    standardize_tuple,
)


class _Pooling(Layer):
    """The maximum or mean of every window.

    Args:
        pool_size: int or ints, size of the window.
        strides: int or ints, distance of the windows; None means `pool_size`.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first".

    Raises:
        ValueError: for a wrong argument, or if the window is larger than the input.
    """

    rank = 2
    mode = "max"

    def __init__(self, pool_size, strides=None, padding="valid", data_format=None, name=None, **kwargs):
        super().__init__(name=name, **kwargs)
        owner = self._label()
        self.pool_size = standardize_tuple(pool_size, self.rank, "pool_size", owner)
        self.strides = standardize_tuple(self.pool_size if strides is None else strides, self.rank, "strides", owner)
        self.padding = standardize_padding(padding, owner)
        self.data_format = standardize_data_format(data_format, owner)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self._build_at_init()

    def compute_output_shape(self, input_shape):
        channels = input_shape[-1] if self.data_format == "channels_last" else input_shape[1]
        return spatial_output_shape(
            input_shape, self.pool_size, self.strides, self.padding, channels, self.data_format, self._label()
        )

    def call(self, inputs):
        from maas import ops

        self.compute_output_shape(tuple(inputs.shape))
        pool = ops.max_pool if self.mode == "max" else ops.average_pool
        return pool(inputs, self.pool_size, self.strides, self.padding, self.data_format)

    def get_config(self):
        return {**super().get_config(), **config_of(self, "pool_size", "padding", "strides", "data_format")}


class MaxPooling1D(_Pooling):
    __doc__ = _Pooling.__doc__.replace("maximum or mean", "maximum over time")
    rank = 1

    def __init__(self, pool_size=2, strides=None, padding="valid", data_format=None, name=None, **kwargs):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class MaxPooling2D(_Pooling):
    __doc__ = _Pooling.__doc__.replace("maximum or mean", "maximum")

    def __init__(self, pool_size=(2, 2), strides=None, padding="valid", data_format=None, name=None, **kwargs):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class AveragePooling1D(_Pooling):
    __doc__ = _Pooling.__doc__.replace("maximum or mean", "mean over time")
    rank, mode = 1, "average"

    # Keras asks for a pool_size here; older books leave it out and mean 2.
    def __init__(self, pool_size=2, strides=None, padding="valid", data_format=None, name=None, **kwargs):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class AveragePooling2D(_Pooling):
    __doc__ = _Pooling.__doc__.replace("maximum or mean", "mean")
    mode = "average"

    def __init__(self, pool_size=(2, 2), strides=None, padding="valid", data_format=None, name=None, **kwargs):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class MaxPooling3D(_Pooling):
    __doc__ = _Pooling.__doc__.replace("maximum or mean", "maximum")
    rank = 3

    def __init__(self, pool_size=(2, 2, 2), strides=None, padding="valid", data_format=None, name=None, **kwargs):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class AveragePooling3D(_Pooling):
    __doc__ = _Pooling.__doc__.replace("maximum or mean", "mean")
    rank, mode = 3, "average"

    def __init__(self, pool_size=(2, 2, 2), strides=None, padding="valid", data_format=None, name=None, **kwargs):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)
