"""Pooling over all steps, pixels or voxels."""

from maas.layers.input_spec import InputSpec
from maas.layers.layer import Layer
from maas.layers.options import standardize_data_format


class _GlobalPooling(Layer):
    """The maximum or mean over all spatial axes.

    Args:
        data_format: "channels_last" or "channels_first".
        keepdims: bool, keep the spatial axes with size 1.
    """

    rank = 2

    def __init__(self, data_format=None, keepdims=False, **kwargs):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format, self._label())
        self.keepdims = bool(keepdims)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self._build_at_init()

    def _axes(self):
        first = 1 if self.data_format == "channels_last" else 2
        axes = tuple(range(first, first + self.rank))
        return axes if len(axes) > 1 else axes[0]

    def compute_output_shape(self, input_shape):
        axes = self._axes()
        axes = axes if isinstance(axes, tuple) else (axes,)
        return tuple(1 if i in axes else d for i, d in enumerate(input_shape) if self.keepdims or i not in axes)

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format, "keepdims": self.keepdims}


class GlobalMaxPooling2D(_GlobalPooling):
    __doc__ = _GlobalPooling.__doc__.replace("maximum or mean", "maximum")

    def call(self, inputs):
        from maas import ops

        return ops.max(inputs, axis=self._axes(), keepdims=self.keepdims)


class GlobalMaxPooling1D(GlobalMaxPooling2D):
    __doc__ = _GlobalPooling.__doc__.replace("maximum or mean", "maximum")
    rank = 1


class GlobalMaxPooling3D(GlobalMaxPooling2D):
    __doc__ = _GlobalPooling.__doc__.replace("maximum or mean", "maximum")
    rank = 3


class GlobalAveragePooling2D(_GlobalPooling):
    __doc__ = _GlobalPooling.__doc__.replace("maximum or mean", "mean")

    def call(self, inputs):
        from maas import ops

        return ops.mean(inputs, axis=self._axes(), keepdims=self.keepdims)


class GlobalAveragePooling3D(GlobalAveragePooling2D):
    __doc__ = _GlobalPooling.__doc__.replace("maximum or mean", "mean")
    rank = 3


class GlobalAveragePooling1D(_GlobalPooling):
    __doc__ = _GlobalPooling.__doc__.replace(
        "maximum or mean over all spatial axes", "mean over the steps that a mask does not turn off"
    )
    rank = 1

    def __init__(self, data_format=None, keepdims=False, **kwargs):
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        from maas import ops

        axis = self._axes()
        if mask is None:
            return ops.mean(inputs, axis=axis, keepdims=self.keepdims)
        kept = ops.expand_dims(ops.cast(mask, inputs.dtype), 2 if self.data_format == "channels_last" else 1)
        total = ops.sum(ops.multiply(inputs, kept), axis=axis, keepdims=self.keepdims)
        count = ops.sum(kept, axis=axis, keepdims=self.keepdims)
        # A row without any step counts as zero.
        return ops.divide(total, ops.maximum(count, 1.0))

    def compute_mask(self, inputs, mask=None):
        return None
