"""`LayerNormalization`."""

from maas.layers.layer import Layer
from maas.layers.options import config_of, set_options


class LayerNormalization(Layer):
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta`, statistics over `axis` of each sample.

    Args:
        axis: int or list of ints.
        epsilon: number.
        center, scale: bool, whether beta and gamma exist.
        beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint: of
            the weights, whose shape is the input's along `axis`.

    Raises:
        ValueError: if `axis` is out of range or its sizes are unknown.
    Reference: Ba et al., 2016, "Layer Normalization", arXiv:1607.06450.
    """

    def __init__(
        self, axis=-1, epsilon=1e-3, center=True, scale=True, beta_initializer="zeros", gamma_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None, beta_constraint=None, gamma_constraint=None, **kwargs,
    ):  # fmt: skip
        rms_scaling = kwargs.pop("rms_scaling", False)
        super().__init__(**kwargs)
        if rms_scaling:
            raise NotImplementedError(
                f"{self._label()}: rms_scaling does not exist here, received rms_scaling={rms_scaling}"
            )
        if isinstance(axis, (list, tuple)):
            axis = list(axis)
        elif isinstance(axis, bool) or not isinstance(axis, int):
            raise TypeError(f"{self._label()}: `axis` must be an int or a list of ints, received axis={axis!r}")
        self.axis, self.epsilon, self.center, self.scale, self.rms_scaling = axis, epsilon, center, scale, False
        set_options(
            self, beta_initializer=beta_initializer, gamma_initializer=gamma_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer, beta_constraint=beta_constraint, gamma_constraint=gamma_constraint,
        )  # fmt: skip
        self.supports_masking = True
        self.autocast = False
        self.gamma = self.beta = None

    def build(self, input_shape):
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        rank = len(input_shape)
        if any(not -rank <= a < rank for a in axes):
            raise ValueError(f"{self._label()}: axis={self.axis} is out of range, received {tuple(input_shape)}")
        self.axis = axes
        shape = tuple(input_shape[a] for a in axes)
        if None in shape:
            raise ValueError(
                f"{self._label()}: the sizes along axis={self.axis} must be known, received {tuple(input_shape)}"
            )
        if self.scale:
            self.gamma = self.add_weight(
                name="gamma", shape=shape, initializer=self.gamma_initializer, regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint, autocast=False,
            )  # fmt: skip
        if self.center:
            self.beta = self.add_weight(
                name="beta", shape=shape, initializer=self.beta_initializer, regularizer=self.beta_regularizer,
                constraint=self.beta_constraint, autocast=False,
            )  # fmt: skip

    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, inputs):
        from maas import ops

        y = ops.layer_normalization(inputs, gamma=self.gamma, beta=self.beta, axis=self.axis, epsilon=self.epsilon)
        return ops.cast(y, self.compute_dtype)

    def get_config(self):
        own = config_of(
            self, "axis", "epsilon", "center", "scale", "rms_scaling", "beta_initializer", "gamma_initializer",
            "beta_regularizer",
            "gamma_regularizer", "beta_constraint", "gamma_constraint",
        )  # fmt: skip
        return {**super().get_config(), **own}
