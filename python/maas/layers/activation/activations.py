"""Activation functions as layers."""

from maas.layers.input_spec import InputSpec
from maas.layers.layer import Layer
from maas.layers.options import config_of, set_options


class _Elementwise(Layer):
    """Base: keeps the shape, passes the mask on."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self._build_at_init()

    def compute_output_shape(self, input_shape):
        return input_shape


class ReLU(_Elementwise):
    """`max(x, 0)`; in general `x` above `threshold` (at most `max_value`), `negative_slope * (x - threshold)` below.

    Args:
        max_value: number >= 0 or None.
        negative_slope, threshold: numbers >= 0.

    Raises:
        ValueError: for a negative argument.
    """

    def __init__(self, max_value=None, negative_slope=0.0, threshold=0.0, **kwargs):
        super().__init__(**kwargs)
        for name, value in (("max_value", max_value), ("negative_slope", negative_slope), ("threshold", threshold)):
            if (value is None and name != "max_value") or (value is not None and value < 0):
                raise ValueError(f"{self._label()}: `{name}` must not be negative, received {name}={value!r}")
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def call(self, inputs):
        from maas.activations import relu

        return relu(inputs, negative_slope=self.negative_slope, max_value=self.max_value, threshold=self.threshold)

    def get_config(self):
        return {**super().get_config(), **config_of(self, "max_value", "negative_slope", "threshold")}


class LeakyReLU(_Elementwise):
    """`x` for x > 0, `negative_slope * x` below.

    Args:
        negative_slope: number >= 0, default 0.3.

    Raises:
        ValueError: for a negative slope.
    """

    def __init__(self, negative_slope=0.3, **kwargs):
        if "alpha" in kwargs:  # the name in older books
            negative_slope = kwargs.pop("alpha")
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0:
            raise ValueError(f"{self._label()}: `negative_slope` must not be negative, received {negative_slope!r}")
        self.negative_slope = negative_slope

    def call(self, inputs):
        from maas.activations import leaky_relu

        return leaky_relu(inputs, negative_slope=self.negative_slope)

    def get_config(self):
        return {**super().get_config(), "negative_slope": self.negative_slope}


class ELU(_Elementwise):
    """`x` for x > 0, `alpha * (exp(x) - 1)` below.

    Args:
        alpha: number.
    """

    def __init__(self, alpha=1.0, **kwargs):
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs):
        from maas.activations import elu

        return elu(inputs, alpha=self.alpha)

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha}


class PReLU(Layer):
    """`x` for x > 0, `alpha * x` below, with a learned alpha.

    Args:
        alpha_initializer, alpha_regularizer, alpha_constraint: of the weight `alpha`, whose shape is that of the input
            without batch.
        shared_axes: list of axes along which alpha is shared, such as (1, 2) after Conv2D.
    """

    def __init__(
        self, alpha_initializer="Zeros", alpha_regularizer=None, alpha_constraint=None, shared_axes=None, **kwargs
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        set_options(
            self,
            alpha_initializer=alpha_initializer,
            alpha_regularizer=alpha_regularizer,
            alpha_constraint=alpha_constraint,
        )
        self.shared_axes = (
            [shared_axes] if isinstance(shared_axes, int) else None if shared_axes is None else list(shared_axes)
        )

    def build(self, input_shape):
        shared = self.shared_axes or []
        shape = [1 if i in shared else d for i, d in enumerate(input_shape)][1:]
        if None in shape:
            raise ValueError(
                f"{self._label()}: all axes but the shared ones must be known, received {tuple(input_shape)}"
            )
        self.alpha = self.add_weight(
            name="alpha",
            shape=shape,
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        self.input_spec = InputSpec(
            ndim=len(input_shape),
            axes={i: d for i, d in enumerate(input_shape) if i > 0 and i not in shared and d is not None},
        )

    def call(self, inputs):
        from maas import ops

        return ops.subtract(ops.relu(inputs), ops.multiply(self.alpha, ops.relu(ops.negative(inputs))))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        own = config_of(self, "alpha_initializer", "alpha_regularizer", "alpha_constraint")
        return {
            **super().get_config(),
            **own,
            "shared_axes": None if self.shared_axes is None else list(self.shared_axes),
        }


class Softmax(_Elementwise):
    """`exp(x) / sum(exp(x))` along `axis`; entries that a mask turns off get 0.

    Args:
        axis: int, or several as a tuple.
    """

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs, mask=None):
        from maas import ops

        axis = tuple(self.axis) if isinstance(self.axis, (tuple, list)) else self.axis
        if mask is None:
            return _softmax(inputs, axis)
        kept = ops.cast(mask, "bool")
        shifted = ops.where(kept, inputs, ops.cast(-3e4 if inputs.dtype == "float16" else -1e9, inputs.dtype))
        outputs = _softmax(shifted, axis)
        # Where a whole row is off, softmax of equal numbers would be uniform: zero it.
        return ops.multiply(outputs, ops.cast(kept, outputs.dtype))

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


def _softmax(x, axis):
    from maas import ops

    if isinstance(axis, tuple) and len(axis) == 1:
        axis = axis[0]
    if not isinstance(axis, tuple):
        return ops.softmax(x, axis=axis)
    e = ops.exp(ops.subtract(x, ops.max(x, axis=axis, keepdims=True)))
    return ops.divide(e, ops.sum(e, axis=axis, keepdims=True))
