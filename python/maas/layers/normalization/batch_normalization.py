"""`BatchNormalization`."""

from maas.backend import result_type
from maas.layers.input_spec import InputSpec
from maas.layers.layer import Layer
from maas.layers.options import config_of, set_options


class BatchNormalization(Layer):
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta`, statistics over all axes but `axis`.

    In training (and if `trainable`) the batch's statistics are used and the moving ones follow: `moving = moving *
    momentum + batch * (1 - momentum)`. Otherwise the moving ones are used.

    Args:
        axis: int, the channel axis.
        momentum, epsilon: numbers.
        center, scale: bool, whether beta and gamma exist.
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer, beta_regularizer,
        gamma_regularizer,
            beta_constraint, gamma_constraint: of the weights, each of shape (channels,).
        renorm, renorm_clipping, renorm_momentum, synchronized: only their defaults exist.

    Raises:
        ValueError: if the channels are unknown or do not fit.
        NotImplementedError: for `renorm=True` or `synchronized=True`.
    Reference: Ioffe and Szegedy, 2015, "Batch Normalization", arXiv:1502.03167.
    """

    def __init__(
        self, axis=-1, momentum=0.99, epsilon=1e-3, center=True, scale=True, beta_initializer="zeros",
        gamma_initializer="ones",
        moving_mean_initializer="zeros", moving_variance_initializer="ones", beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None, gamma_constraint=None, renorm=False, renorm_clipping=None, renorm_momentum=0.99,
        synchronized=False, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        if renorm or synchronized:
            raise NotImplementedError(
                f"{self._label()}: not available yet, received renorm={renorm}, synchronized={synchronized}"
            )
        self.axis = int(axis[0]) if isinstance(axis, (list, tuple)) and len(axis) == 1 else int(axis)
        self.momentum, self.epsilon, self.center, self.scale = momentum, epsilon, center, scale
        set_options(
            self, beta_initializer=beta_initializer, gamma_initializer=gamma_initializer,
            moving_mean_initializer=moving_mean_initializer,
            moving_variance_initializer=moving_variance_initializer, beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint, gamma_constraint=gamma_constraint,
        )  # fmt: skip
        self.synchronized, self.renorm = synchronized, renorm
        self.renorm_clipping, self.renorm_momentum = renorm_clipping, renorm_momentum
        self.supports_masking = True
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
        add = self.add_weight
        if self.scale:
            self.gamma = add(
                name="gamma", shape=(channels,), initializer=self.gamma_initializer, regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint, autocast=False,
            )  # fmt: skip
        if self.center:
            self.beta = add(
                name="beta", shape=(channels,), initializer=self.beta_initializer, regularizer=self.beta_regularizer,
                constraint=self.beta_constraint, autocast=False,
            )  # fmt: skip
        self.moving_mean = add(
            name="moving_mean",
            shape=(channels,),
            initializer=self.moving_mean_initializer,
            trainable=False,
            autocast=False,
        )
        self.moving_variance = add(
            name="moving_variance",
            shape=(channels,),
            initializer=self.moving_variance_initializer,
            trainable=False,
            autocast=False,
        )
        self.input_spec = InputSpec(ndim=rank, axes={self.axis: channels})

    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, inputs, training=None, mask=None):
        from maas import ops

        if mask is not None and len(mask.shape) != len(inputs.shape) - 1:
            raise ValueError(
                f"{self._label()}: the mask must have one axis less than the input, received {tuple(mask.shape)}"
            )
        if not (training and self.trainable):
            mean, variance = self.moving_mean, self.moving_variance
            return ops.batch_normalization(
                inputs, mean, variance, axis=self.axis, offset=self.beta, scale=self.gamma, epsilon=self.epsilon
            )
        if mask is None:
            y, mean, variance = ops.batch_normalization_train(
                inputs, axis=self.axis, offset=self.beta, scale=self.gamma, epsilon=self.epsilon
            )
        else:
            mean, variance = self._masked_moments(ops.cast(inputs, result_type(inputs.dtype, "float32")), mask)
            y = ops.batch_normalization(
                inputs, mean, variance, axis=self.axis, offset=self.beta, scale=self.gamma, epsilon=self.epsilon
            )
        old = 1.0 - self.momentum
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(ops.add(ops.multiply(moving, self.momentum), ops.multiply(now, old)))
        return y

    def _masked_moments(self, inputs, mask):
        from maas import ops
        from maas.backend.config import epsilon

        axes = [i for i in range(len(inputs.shape)) if i != self.axis % len(inputs.shape)]
        kept = ops.broadcast_to(ops.cast(ops.expand_dims(mask, -1), inputs.dtype), ops.shape(inputs))
        count = ops.add(ops.sum(kept, axis=axes, keepdims=True), epsilon())
        mean = ops.divide(ops.sum(ops.multiply(inputs, kept), axis=axes, keepdims=True), count)
        spread = ops.multiply(ops.square(ops.subtract(inputs, mean)), kept)
        variance = ops.divide(ops.sum(spread, axis=axes, keepdims=True), count)
        return ops.squeeze(mean, axis=tuple(axes)), ops.squeeze(variance, axis=tuple(axes))

    def get_config(self):
        own = config_of(
            self, "axis", "momentum", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer",
            "moving_mean_initializer",
            "moving_variance_initializer", "beta_regularizer", "gamma_regularizer", "beta_constraint",
            "gamma_constraint", "synchronized",
            "renorm", "renorm_clipping", "renorm_momentum",
        )  # fmt: skip
        return {**super().get_config(), **own}
