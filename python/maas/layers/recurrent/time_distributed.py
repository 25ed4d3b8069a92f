"""`TimeDistributed`: one layer applied to every step."""

from maas.layers.core.wrapper import Wrapper


class TimeDistributed(Wrapper):
    """Applies `layer` to each step of (batch, time, ...).

    Args:
        layer: Layer.

    Raises:
        ValueError: if the input has rank below 3, or a mask does not fit.
    """

    def __init__(self, layer, **kwargs):
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def _step_shape(self, input_shape):
        if not isinstance(input_shape, (tuple, list)) or len(input_shape) < 3:
            raise ValueError(f"{self._label()}: the input must have rank 3 or more, received {input_shape}")
        return (input_shape[0], *input_shape[2:])

    def build(self, input_shape):
        super().build(self._step_shape(input_shape))

    def compute_output_shape(self, input_shape):
        out = self.layer.compute_output_shape(self._step_shape(input_shape))
        return (out[0], input_shape[1], *out[1:])

    def call(self, inputs, training=None, mask=None):
        from maas import ops

        if mask is not None and (len(mask.shape) < 2 or any(
            a is not None and b is not None and a != b for a, b in zip(mask.shape[:2], inputs.shape[:2])
        )):  # fmt: skip
            raise ValueError(
                f"{self._label()}: the mask must have the batch and time of the input, received {tuple(mask.shape)}"
            )
        from maas.layers.call_spec import call_signature

        names = call_signature(type(self.layer).call).parameters
        kwargs = {"training": training} if "training" in names else {}
        if "mask" in names and mask is not None:
            kwargs["mask"] = ops.reshape(mask, (-1, *mask.shape[2:]))
        # Steps ride in the batch axis: rows do not see each other, so one call does them all.
        sizes = ops.shape(inputs)
        out = self.layer.call(ops.reshape(inputs, (-1, *sizes[2:])), **kwargs)
        return ops.reshape(out, (sizes[0], sizes[1], *ops.shape(out)[1:]))
