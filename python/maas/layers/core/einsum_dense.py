"""`EinsumDense`: a dense layer whose product is any einsum of inputs and kernel."""

import re

from maas.initializers.variance_scaling import VarianceScaling
from maas.layers.core.dense import refuse
from maas.layers.layer import Layer
from maas.layers.options import config_of, set_options


class EinsumDense(Layer):
    """`activation(einsum(equation, inputs, kernel) + bias)`.

    Args:
        equation: str such as "abc,cd->abd" or "...x,xy->...y"; the first term is the input, the second the kernel.
        output_shape: int or tuple, the output without its batch axis; None for unknown sizes.
        activation: name or callable.
        bias_axes: str of output letters that the bias spans, None for no bias.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint:
            of the weights.

    Raises:
        ValueError: for an equation that does not fit the shapes.
    """

    def __init__(
        self, equation, output_shape, activation=None, bias_axes=None, kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None, bias_regularizer=None, kernel_constraint=None, bias_constraint=None, lora_rank=None,
        lora_alpha=None,
        gptq_unpacked_column_size=None, quantization_config=None, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        refuse(
            self, lora_rank=lora_rank, lora_alpha=lora_alpha, gptq_unpacked_column_size=gptq_unpacked_column_size,
            quantization_config=quantization_config,
        )  # fmt: skip
        self.equation = equation
        self.partial_output_shape = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        self.bias_axes = bias_axes
        set_options(
            self, activation=activation, kernel_initializer=kernel_initializer, bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer, bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )  # fmt: skip

    def build(self, input_shape):
        kernel, bias, self.full_output_shape = analyze_equation(
            self.equation, self.bias_axes, tuple(input_shape), self.partial_output_shape, self._label()
        )
        self.kernel = self.add_weight(
            name="kernel", shape=kernel, initializer=self._kernel_initializer(), regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )  # fmt: skip
        self.bias = None
        if bias is not None:
            self.bias = self.add_weight(
                name="bias", shape=bias, initializer=self.bias_initializer, regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )  # fmt: skip

    def _kernel_initializer(self):
        """The initializer, told which axes of the kernel are inputs and which are outputs, for its spread."""
        initializer = self.kernel_initializer
        if not isinstance(initializer, VarianceScaling) or None not in (
            initializer.input_axes,
            initializer.output_axes,
        ):
            return initializer
        _, kernel, outputs = re.split(",|->", self.equation.replace(" ", ""))
        made = [axis for axis, letter in enumerate(kernel) if letter in outputs]
        summed = [axis for axis in range(len(kernel)) if axis not in made]
        # With the seed that it has: a second layer with the same object draws the same values.
        config = {**initializer.get_config(), "seed": initializer.seed, "input_axes": summed, "output_axes": made}
        return type(initializer).from_config(config)

    def call(self, inputs, training=None):
        from maas import ops

        x = ops.einsum(self.equation, inputs, self.kernel)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return self.activation(x)

    def compute_output_shape(self, input_shape):
        return analyze_equation(
            self.equation, self.bias_axes, tuple(input_shape), self.partial_output_shape, self._label()
        )[2]

    def get_config(self):
        own = config_of(
            self, "equation", "activation", "bias_axes", "kernel_initializer", "bias_initializer",
            "kernel_regularizer", "bias_regularizer",
            "activity_regularizer", "kernel_constraint", "bias_constraint",
        )  # fmt: skip
        return {**super().get_config(), "output_shape": self.partial_output_shape, **own, "quantization_config": None}


def analyze_equation(equation, bias_axes, input_shape, output_shape, owner):
    """Sizes that an einsum equation asks for.

    Args:
        equation: "input,kernel->output", with "..." in input and output for any leading or trailing axes.
        bias_axes: output letters that the bias spans, or None.
        input_shape: tuple with the batch axis.
        output_shape: tuple without the batch axis (without the axes that "..." stands for).

    Returns:
        `(kernel_shape, bias_shape or None, full_output_shape)`.

    Raises:
        ValueError: if a letter has no size or two sizes.
    """
    match = re.fullmatch(
        r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?", equation.replace(" ", "")
    )
    if not match or bool(match[1]) != bool(match[5]) or bool(match[3]) != bool(match[7]):
        raise ValueError(f"{owner}: the equation must look like 'ab,bc->ac', received {equation!r}")
    left, inputs, right, kernel, _, outputs, _ = match.groups()
    elided = len(input_shape) - len(inputs) if left or right else 0
    if elided < 0 or (not (left or right) and len(input_shape) != len(inputs)):
        raise ValueError(
            f"{owner}: equation {equation!r} needs an input of rank {len(inputs)}, received {tuple(input_shape)}"
        )
    lead = elided if left else 0
    sizes = dict(zip(inputs, input_shape[lead : lead + len(inputs)]))
    hidden = tuple(input_shape[:lead]) if left else tuple(input_shape[len(inputs) :])

    # With leading "..." the first output letter is not the batch axis.
    given = tuple(output_shape) if left else (input_shape[0], *output_shape)
    if left:
        given = given[-len(outputs) :] if len(given) >= len(outputs) else given
    if len(given) != len(outputs):
        raise ValueError(
            f"{owner}: equation {equation!r} needs {len(outputs) - (not left)} output sizes, received "
            f"{tuple(output_shape)}"
        )
    out_sizes = {}
    for letter, size in zip(outputs, given):
        known = sizes.get(letter)
        if size is not None and known is not None and size != known:
            raise ValueError(
                f"{owner}: axis '{letter}' of {equation!r} has size {known} in the input, received {size} in the "
                f"output shape"
            )
        out_sizes[letter] = known if size is None else size
    kernel_shape = []
    for letter in kernel:
        size = sizes.get(letter) if sizes.get(letter) is not None else out_sizes.get(letter)
        if size is None:
            raise ValueError(
                f"{owner}: axis '{letter}' of the kernel in {equation!r} has no known size, received "
                f"{tuple(input_shape)}"
            )
        kernel_shape.append(size)
    bias_shape = None
    if bias_axes is not None:
        for letter in bias_axes:
            if letter not in out_sizes:
                raise ValueError(
                    f"{owner}: bias axis '{letter}' is not an output axis of {equation!r}, received "
                    f"bias_axes={bias_axes!r}"
                )
        first = min(outputs.index(letter) for letter in bias_axes)
        bias_shape = tuple(out_sizes[c] if c in bias_axes else 1 for c in outputs[first:])
        bias_shape += (1,) * len(hidden) if right else ()
    full = tuple(given)  # sizes given as None stay unknown, as in Keras
    full = hidden + full if left else full + hidden
    return tuple(kernel_shape), bias_shape, full
