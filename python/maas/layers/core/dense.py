"""`Dense`: a fully connected layer."""

from maas.layers.input_spec import InputSpec
from maas.layers.layer import Layer
from maas.layers.options import check_positive, config_of, set_options


class Dense(Layer):
    """`activation(inputs @ kernel + bias)`, over the last axis.

    Args:
        units: int, size of the last axis of the output.
        activation: name or callable.
        use_bias: bool.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
            kernel_constraint, bias_constraint: of the weights `kernel` (inputs, units) and `bias` (units,) and of the
                output.

    Raises:
        ValueError: for a wrong argument, or if the last axis of the input is unknown or has another size than the
            kernel.
    """

    def __init__(
        self, units, activation=None, use_bias=True, kernel_initializer="glorot_uniform", bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None, activity_regularizer=None, kernel_constraint=None, bias_constraint=None, lora_rank=None,
        lora_alpha=None,
        quantization_config=None, **kwargs,
    ):  # fmt: skip
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        refuse(self, lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config)
        self.units = check_positive(units, "units", self._label())
        set_options(
            self, activation=activation, use_bias=use_bias, kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer, bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )  # fmt: skip
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape):
        features = input_shape[-1]
        if features is None:
            raise ValueError(
                f"{self._label()}: the last axis of the input must be known, received {tuple(input_shape)}"
            )
        self.kernel = self.add_weight(
            name="kernel", shape=(features, self.units), initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )  # fmt: skip
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.units,), initializer=self.bias_initializer, regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )  # fmt: skip
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})

    def call(self, inputs, training=None):
        from maas import ops

        x = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return self.activation(x)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        config = super().get_config()
        activity = (
            {"activity_regularizer": config.pop("activity_regularizer")} if "activity_regularizer" in config else {}
        )
        own = config_of(
            self, "units", "activation", "use_bias", "kernel_initializer", "bias_initializer", "kernel_regularizer",
            "bias_regularizer",
            "kernel_constraint", "bias_constraint",
        )  # fmt: skip
        return {**config, **activity, **own, "quantization_config": None}


def refuse(layer, **options):
    """Options of Keras that do not exist here: None is accepted, anything else is an error."""
    for name, value in options.items():
        if value is not None:
            raise NotImplementedError(f"{layer._label()}: `{name}` does not exist yet, received {name}={value!r}")
