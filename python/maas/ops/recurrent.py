"""Recurrent layers as one operation each: the input projection of all steps at once, then the recurrence."""

from maas import _core
from maas.backend.symbolic import op
from maas.ops.core import as_tensor, cast, zeros_like
from maas.ops.elementwise import where
from maas.ops.shape import flip
from maas.ops.views import expand_dims

__all__ = ["gru", "lstm", "simple_rnn"]

# Activations that the fused cells know: their derivative follows from their result.
FUSED_ACTIVATIONS = ("linear", "tanh", "sigmoid", "relu", "relu6", "hard_sigmoid", "softsign", "elu")


def _operands(x, states, kernel, recurrent_kernel, bias, mask):
    given = [as_tensor(v) for v in (x, *states, kernel, recurrent_kernel)]
    if bias is not None:
        given.append(as_tensor(bias))
    if mask is not None:
        given.append(cast(as_tensor(mask), "bool"))
    return given, {"use_bias": bias is not None, "use_mask": mask is not None}


def _masked_to_zero(output, mask, reverse, return_sequences):
    mask = cast(as_tensor(mask), "bool")
    if return_sequences:
        mask = flip(mask, axis=1) if reverse else mask  # into the order of the steps
    else:
        mask = mask[:, 0 if reverse else -1]
    return where(expand_dims(mask, -1), output, zeros_like(output))


@op
def lstm(
    x, h0, c0, kernel, recurrent_kernel, bias=None, mask=None, activation="tanh", recurrent_activation="sigmoid",
    reverse=False, return_sequences=False, zero_output_for_mask=False,
):  # fmt: skip
    """LSTM over all steps: `c' = sigmoid(z_f) c + sigmoid(z_i) tanh(z_g)`, `h' = sigmoid(z_o) tanh(c')`.

    `z = x_t kernel + h recurrent_kernel + bias` for all four gates.

    Args:
        x: Tensor (batch, time, features), float32, float64, bfloat16 or float16.
        h0, c0: Tensors (batch, units), the states before the first step.
        kernel: Tensor (features, 4 * units), columns of the gates i, f, g, o.
        recurrent_kernel: Tensor (units, 4 * units).
        bias: Tensor (4 * units,) or None.
        mask: bool Tensor (batch, time) or None; a step that is False keeps the states, repeats the output and costs no
            product.
        activation, recurrent_activation: in place of tanh and sigmoid; names from `FUSED_ACTIVATIONS`.
        reverse: bool, run from the last step to the first. Outputs are in the order in which the steps run, as Keras's
            `go_backwards`.
        return_sequences: bool, whether the output has every step.
        zero_output_for_mask: bool, whether the output of a masked step is 0; the states are kept all the same.

    Returns:
        (output, h, c): the output is (batch, time, units), or (batch, units) of the last step; the states are
        (batch, units).

    Raises:
        ValueError: for shapes that do not fit.
        TypeError: for operands of different dtypes.
    Reference: Hochreiter and Schmidhuber, 1997, "Long Short-Term Memory".
    """
    given, use = _operands(x, (h0, c0), kernel, recurrent_kernel, bias, mask)
    h, c, *sequence = _core.lstm(
        *given, activation=activation, recurrent_activation=recurrent_activation, reverse=reverse,
        return_sequences=return_sequences, **use,
    )  # fmt: skip
    output = sequence[0] if return_sequences else h
    if zero_output_for_mask and mask is not None:
        output = _masked_to_zero(output, mask, reverse, return_sequences)
    return output, h, c


@op
def simple_rnn(
    x, h0, kernel, recurrent_kernel, bias=None, mask=None, activation="tanh", reverse=False, return_sequences=False,
    zero_output_for_mask=False,
):  # fmt: skip
    """Elman network over all steps: `h' = activation(x_t kernel + h recurrent_kernel + bias)`.

    Args:
        x: Tensor (batch, time, features), float32, float64, bfloat16 or float16.
        h0: Tensor (batch, units), the state before the first step.
        kernel: Tensor (features, units).
        recurrent_kernel: Tensor (units, units).
        bias: Tensor (units,) or None.
        mask: bool Tensor (batch, time) or None; a step that is False keeps the state and repeats the output.
        activation: a name from `FUSED_ACTIVATIONS`.
        reverse, return_sequences, zero_output_for_mask: as in `lstm`.

    Returns:
        (output, h): the output is (batch, time, units), or (batch, units) of the last step; the state (batch, units).

    Raises:
        ValueError: for shapes that do not fit, or another activation.
        TypeError: for operands of different dtypes.
    Reference: Elman, 1990, "Finding Structure in Time".
    """
    given, use = _operands(x, (h0,), kernel, recurrent_kernel, bias, mask)
    results = _core.simple_rnn(*given, activation=activation, reverse=reverse, return_sequences=return_sequences, **use)
    h, output = results if return_sequences else (results, results)
    if zero_output_for_mask and mask is not None:
        output = _masked_to_zero(output, mask, reverse, return_sequences)
    return output, h


@op
def gru(
    x, h0, kernel, recurrent_kernel, bias=None, mask=None, activation="tanh", recurrent_activation="sigmoid",
    reset_after=True, reverse=False, return_sequences=False, zero_output_for_mask=False,
):  # fmt: skip
    """Gated recurrent unit over all steps: `h' = z h + (1 - z) n`, `z` and `r` sigmoids of their sums.

    `n = tanh(x_n + r (h U_n + b_n))` with `reset_after`, else `n = tanh(x_n + (r h) U_n)`.

    Args:
        x: Tensor (batch, time, features), float32, float64, bfloat16 or float16.
        h0: Tensor (batch, units), the state before the first step.
        kernel: Tensor (features, 3 * units), columns of the gates z, r, n.
        recurrent_kernel: Tensor (units, 3 * units).
        bias: Tensor (2, 3 * units), of the input's and the state's product, with `reset_after`, else (3 * units,);
            or None.
        mask: bool Tensor (batch, time) or None; a step that is False keeps the state and repeats the output.
        activation, recurrent_activation: of the candidate n and of the gates z and r.
        reset_after: bool, whether r scales the product of the state or the state before it.
        reverse, return_sequences, zero_output_for_mask: as in `lstm`.

    Returns:
        (output, h): the output is (batch, time, units), or (batch, units) of the last step; the state (batch, units).

    Raises:
        ValueError: for shapes that do not fit.
        TypeError: for operands of different dtypes.
    Reference: Cho et al., 2014, arXiv:1406.1078.
    """
    given, use = _operands(x, (h0,), kernel, recurrent_kernel, bias, mask)
    results = _core.gru(
        *given, activation=activation, recurrent_activation=recurrent_activation, reset_after=bool(reset_after),
        reverse=reverse, return_sequences=return_sequences, **use,
    )  # fmt: skip
    h, output = results if return_sequences else (results, results)
    if zero_output_for_mask and mask is not None:
        output = _masked_to_zero(output, mask, reverse, return_sequences)
    return output, h
