"""Pooling to a given size: windows cut every axis as evenly as they can."""

from maas.layers.input_spec import InputSpec
from maas.layers.layer import Layer
from maas.layers.options import config_of, standardize_data_format, standardize_tuple


class _AdaptivePooling(Layer):
    """The maximum or mean over windows that cut an axis of size n into m: window i is [floor(i n/m), ceil((i+1) n/m)).

    Args:
        output_size: int or one per spatial axis.
        data_format: "channels_last" or "channels_first".

    Raises:
        ValueError: for a wrong argument.
    """

    rank, mode = 1, "max"

    def __init__(self, output_size, data_format=None, **kwargs):
        super().__init__(**kwargs)
        owner = self._label()
        self.output_size = standardize_tuple(output_size, self.rank, "output_size", owner)
        self.data_format = standardize_data_format(data_format, owner)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def compute_output_shape(self, input_shape):
        if self.data_format == "channels_last":
            return (input_shape[0], *self.output_size, input_shape[-1])
        return (*input_shape[:2], *self.output_size)

    def call(self, inputs):
        from maas import ops

        pool = ops.adaptive_max_pool if self.mode == "max" else ops.adaptive_average_pool
        return pool(inputs, self.output_size, self.data_format)

    def get_config(self):
        return {**super().get_config(), **config_of(self, "output_size", "data_format")}


class AdaptiveMaxPooling1D(_AdaptivePooling):
    __doc__ = _AdaptivePooling.__doc__.replace("maximum or mean", "maximum")


class AdaptiveMaxPooling2D(_AdaptivePooling):
    __doc__ = AdaptiveMaxPooling1D.__doc__
    rank = 2


class AdaptiveMaxPooling3D(_AdaptivePooling):
    __doc__ = AdaptiveMaxPooling1D.__doc__
    rank = 3


class AdaptiveAveragePooling1D(_AdaptivePooling):
    __doc__ = _AdaptivePooling.__doc__.replace("maximum or mean", "mean")
    mode = "average"


class AdaptiveAveragePooling2D(AdaptiveAveragePooling1D):
    __doc__ = AdaptiveAveragePooling1D.__doc__
    rank = 2


class AdaptiveAveragePooling3D(AdaptiveAveragePooling1D):
    __doc__ = AdaptiveAveragePooling1D.__doc__
    rank = 3
