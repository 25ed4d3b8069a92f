"""`GroupNormalization`."""

from maas.layers.input_spec import InputSpec
from maas.layers.layer import Layer
from maas.layers.options import config_of, set_options


class GroupNormalization(Layer):
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta`, statistics of each sample over every group of channels.

    Args:
        groups: int, divides the channels; -1: as many as channels, which is instance normalization.
        axis: int, the channel axis.
        epsilon: number.
        center, scale: bool, whether beta and gamma exist.
        beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint: of
            the weights, each of shape (channels,).

    Raises:
        ValueError: if `groups` is not positive or does not divide the channels, or these are unknown.
    Reference: Wu and He, 2018, "Group Normalization", arXiv:1803.08494.
    """

    def __init__(
        self, groups=32, axis=-1, epsilon=1e-3, center=True, scale=True, beta_initializer="zeros",
        gamma_initializer="ones", beta_regularizer=None, gamma_regularizer=None, beta_constraint=None,
        gamma_constraint=None, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        if not isinstance(groups, int) or (groups <= 0 and groups != -1):
            raise ValueError(f"{self._label()}: groups must be positive, or -1, received groups={groups}")
        self.groups, self.axis, self.epsilon, self.center, self.scale = groups, axis, epsilon, center, scale
        set_options(
            self, beta_initializer=beta_initializer, gamma_initializer=gamma_initializer,
            beta_regularizer=beta_regularizer, gamma_regularizer=gamma_regularizer, beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
        )  # fmt: skip
        self.supports_masking = True
        self.autocast = False
        self.gamma = self.beta = None

    def build(self, input_shape):
        rank = len(input_shape)
        if not -rank <= self.axis < rank:
            raise ValueError(f"{self._label()}: axis={self.axis} is out of range, received {tuple(input_shape)}")
        channels = input_shape[self.axis]
        if channels is None:
            raise ValueError(
                f"{self._label()}: axis {self.axis} of the input must be known, received {tuple(input_shape)}"
            )
        if self.groups == -1:
            self.groups = channels
        if channels % self.groups:
            raise ValueError(
                f"{self._label()}: groups must divide the {channels} channels, received groups={self.groups}"
            )
        self.input_spec = InputSpec(ndim=rank, axes={self.axis: channels})
        if self.scale:
            self.gamma = self.add_weight(
                name="gamma", shape=(channels,), initializer=self.gamma_initializer, regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint, autocast=False,
            )  # fmt: skip
        if self.center:
            self.beta = self.add_weight(
                name="beta", shape=(channels,), initializer=self.beta_initializer, regularizer=self.beta_regularizer,
                constraint=self.beta_constraint, autocast=False,
            )  # fmt: skip

    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, inputs):
        from maas import ops

        y = ops.group_normalization(inputs, self.groups, self.axis, self.gamma, self.beta, self.epsilon)
        return ops.cast(y, self.compute_dtype)

    def get_config(self):
        own = config_of(
            self, "groups", "axis", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer",
            "beta_regularizer", "gamma_regularizer", "beta_constraint", "gamma_constraint",
        )  # fmt: skip
        return {**super().get_config(), **own}
