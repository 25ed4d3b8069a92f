"""Layers that scale without shifting: `RMSNormalization`, `UnitNormalization`, `SpectralNormalization`."""

from maas.layers.core.wrapper import Wrapper
from maas.layers.input_spec import InputSpec
from maas.layers.layer import Layer
from maas.layers.options import config_of


def _check_axes(layer, shape):
    axes = [layer.axis] if isinstance(layer.axis, int) else layer.axis
    if any(not -len(shape) <= a < len(shape) for a in axes):
        raise ValueError(f"{layer._label()}: axis={layer.axis} is out of range, received {tuple(shape)}")


class RMSNormalization(Layer):
    """`scale * x / sqrt(mean(x^2) + epsilon)`, the mean over `axis` of each sample.

    Args:
        axis: int or list of ints.
        epsilon: number.

    Raises:
        ValueError: if `axis` is out of range or its sizes are unknown.
    Reference: Zhang and Sennrich, 2019, "Root Mean Square Layer Normalization", arXiv:1910.07467.
    """

    def __init__(self, axis=-1, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        self.axis, self.epsilon = axis, epsilon

    def build(self, input_shape):
        _check_axes(self, input_shape)
        self.axis = sorted(self.axis) if isinstance(self.axis, (list, tuple)) else [self.axis]
        shape = tuple(input_shape[a] for a in self.axis)
        if None in shape:
            raise ValueError(
                f"{self._label()}: the sizes along axis={self.axis} must be known, received {tuple(input_shape)}"
            )
        self.scale = self.add_weight(name="scale", shape=shape, initializer="ones")

    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, x):
        from maas import ops

        return ops.rms_normalization(x, scale=self.scale, axis=self.axis, epsilon=self.epsilon)

    def get_config(self):
        return {**super().get_config(), **config_of(self, "axis", "epsilon")}


class UnitNormalization(Layer):
    """`x / sqrt(sum(x^2))` along `axis`.

    Args:
        axis: int or list of ints.

    Raises:
        TypeError: if `axis` is neither.
    """

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        if isinstance(axis, bool) or not isinstance(axis, (int, list, tuple)):
            raise TypeError(f"{self._label()}: axis must be an int or a list of ints, received axis={axis!r}")
        self.axis = axis if isinstance(axis, int) else list(axis)
        self.supports_masking = True
        self.built = True

    def compute_output_shape(self, input_shape):
        _check_axes(self, input_shape)
        return input_shape

    def call(self, inputs):
        from maas import ops

        return ops.normalize(inputs, axis=self.axis, order=2, epsilon=1e-12)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


class SpectralNormalization(Wrapper):
    """In training divides the kernel of `layer` by its largest singular value, found by power iteration.

    Args:
        layer: Layer with a `kernel` or `embeddings`.
        power_iterations: int, steps per call.

    Raises:
        ValueError: if `power_iterations` is not positive or `layer` has no such weight.
    Reference: Miyato et al., 2018, "Spectral Normalization for Generative Adversarial Networks", arXiv:1802.05957.
    """

    def __init__(self, layer, power_iterations=1, **kwargs):
        super().__init__(layer, **kwargs)
        if power_iterations <= 0:
            raise ValueError(
                f"{self._label()}: power_iterations must be positive, received power_iterations={power_iterations}"
            )
        self.power_iterations = power_iterations

    def build(self, input_shape):
        from maas.initializers import TruncatedNormal

        super().build(input_shape)
        self.input_spec = InputSpec(min_ndim=1, axes={-1: input_shape[-1]})
        self.kernel = getattr(self.layer, "kernel", None)
        if self.kernel is None:
            self.kernel = getattr(self.layer, "embeddings", None)
        if self.kernel is None:
            raise ValueError(
                f"{self._label()}: the layer must have a kernel or embeddings, received {type(self.layer).__name__}"
            )
        self.vector_u = self.add_weight(
            name="vector_u", shape=(1, self.kernel.shape[-1]), initializer=TruncatedNormal(stddev=0.02),
            trainable=False, dtype=self.kernel.dtype,
        )  # fmt: skip

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def call(self, inputs, training=False):
        from maas import ops

        if training:
            self._normalize_kernel()
        return ops.cast(self.layer(inputs), inputs.dtype)

    def _normalize_kernel(self):
        from maas import ops

        kernel, u = ops.convert_to_tensor(self.kernel), ops.convert_to_tensor(self.vector_u)
        w, start = ops.reshape(kernel, (-1, kernel.shape[-1])), u
        for _ in range(self.power_iterations):
            v = ops.normalize(ops.matmul(u, ops.transpose(w)), axis=None)
            u = ops.normalize(ops.matmul(v, w), axis=None)
        u, v = ops.stop_gradient(u), ops.stop_gradient(v)
        # A kernel of zeros stays as it is, and so does the vector.
        zero = ops.all(ops.equal(kernel, 0))
        sigma = ops.where(zero, ops.ones((1, 1), kernel.dtype), ops.matmul(ops.matmul(v, w), ops.transpose(u)))
        self.vector_u.assign(ops.where(zero, start, u))
        self.kernel.assign(ops.divide(kernel, ops.reshape(sigma, ())))

    def get_config(self):
        return {**super().get_config(), "power_iterations": self.power_iterations}
