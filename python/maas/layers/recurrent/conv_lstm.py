"""`ConvLSTM1D`, `ConvLSTM2D`, `ConvLSTM3D`: an LSTM whose products are convolutions."""

from maas.layers.convolution.sizes import spatial_output_shape
from maas.layers.input_spec import InputSpec
from maas.layers.layer import Layer
from maas.layers.options import (
    check_positive,
    config_of,
    set_options,
    standardize_data_format,
    standardize_padding,
    standardize_tuple,
)
from maas.layers.recurrent.cells import WEIGHT_OPTIONS, LSTMCell
from maas.layers.recurrent.rnn import RNN

_CONV_OPTIONS = ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate")
_CELL_OPTIONS = (
    "activation", "recurrent_activation", "use_bias", *WEIGHT_OPTIONS, "unit_forget_bias", "dropout",
    "recurrent_dropout", "seed",
)  # fmt: skip


class ConvLSTMCell(LSTMCell):
    """`c' = f c + i act(g)`, `h' = o act(c')`, where a gate is `x * kernel + h * recurrent_kernel + bias` and `*`
    convolves; gates in the order i f g o.

    Args:
        rank: int, number of spatial axes.
        filters: int, channels of the states.
        kernel_size, strides, padding, data_format, dilation_rate: of the input's convolution, as in `Conv2D`; the
            state's has stride 1 and "same" padding.
        other options: as in `LSTMCell`.
    """

    def __init__(
        self, rank, filters, kernel_size, strides=1, padding="valid", data_format=None, dilation_rate=1,
        activation="tanh", recurrent_activation="sigmoid", use_bias=True, kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal", bias_initializer="zeros", unit_forget_bias=True, kernel_regularizer=None,
        recurrent_regularizer=None, bias_regularizer=None, kernel_constraint=None, recurrent_constraint=None,
        bias_constraint=None, dropout=0.0, recurrent_dropout=0.0, seed=None, **kwargs,
    ):  # fmt: skip
        values = locals()
        options = {n: values[n] for n in _CELL_OPTIONS}
        super().__init__(filters, implementation=1, **options, **kwargs)
        owner = self._label()
        if rank not in (1, 2, 3):
            raise ValueError(f"{owner}: rank must be 1, 2 or 3, received {rank!r}")
        self.rank, self.filters = rank, check_positive(filters, "filters", owner)
        self.kernel_size = standardize_tuple(kernel_size, rank, "kernel_size", owner)
        self.strides = standardize_tuple(strides, rank, "strides", owner)
        self.padding = standardize_padding(padding, owner)
        self.data_format = standardize_data_format(data_format, owner)
        self.dilation_rate = standardize_tuple(dilation_rate, rank, "dilation_rate", owner)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{owner}: strides > 1 do not go with dilation_rate > 1, received strides={self.strides} and "
                f"dilation_rate={self.dilation_rate}"
            )
        set_options(self, activation=activation)
        self._step_shape = None

    def build(self, inputs_shape, states_shape=None):
        first = self.data_format == "channels_first"
        spatial, channels = (inputs_shape[2:], inputs_shape[1]) if first else (inputs_shape[1:-1], inputs_shape[-1])
        if None in spatial or channels is None:
            raise ValueError(
                f"{self._label()}: spatial axes and channels must be known, received {tuple(inputs_shape)}"
            )
        self._step_shape = tuple(inputs_shape[1:])
        add, wide = self.add_weight, 4 * self.filters
        self.kernel = add(
            name="kernel", shape=(*self.kernel_size, channels, wide), initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint,
        )  # fmt: skip
        self.recurrent_kernel = add(
            name="recurrent_kernel", shape=(*self.kernel_size, self.filters, wide),
            initializer=self.recurrent_initializer, regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )  # fmt: skip
        self.bias = None
        if self.use_bias:
            self.bias = add(
                name="bias", shape=(wide,), initializer=self._initial_bias(), regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )  # fmt: skip

    def step_output_shape(self, inputs_shape):
        """Shape of h for one step of inputs, batch included."""
        return spatial_output_shape(
            inputs_shape, self.kernel_size, self.strides, self.padding, self.filters, self.data_format, self._label(),
            self.dilation_rate,
        )  # fmt: skip

    def compute_output_shape(self, inputs_shape, states_shape=None):
        out = self.step_output_shape(inputs_shape)
        return out, [out, out]

    def get_initial_state(self, batch_size=None):
        from maas import ops

        shape = self.step_output_shape((batch_size, *self._step_shape))
        return [ops.zeros(shape, dtype=self.compute_dtype) for _ in range(2)]

    def _convolve(self, x, kernel, mask, **options):
        """Convolution with the kernel of every gate, as a list."""
        from maas import ops

        axis = 1 if self.data_format == "channels_first" else -1
        if mask is None:
            return ops.split(ops.conv(x, kernel, data_format=self.data_format, **options), 4, axis=axis)
        kernels = ops.split(kernel, 4, axis=-1)
        convolve = [(ops.multiply(x, m), k) for m, k in zip(mask, kernels)]
        return [ops.conv(x, k, data_format=self.data_format, **options) for x, k in convolve]

    def call(self, inputs, states, training=False, dropout_masks=None):
        from maas import ops

        h, c = states
        x_mask, h_mask = self._masks(inputs, h, training, dropout_masks)
        options = {"strides": self.strides, "padding": self.padding, "dilation_rate": self.dilation_rate}
        xs = self._convolve(inputs, self.kernel, x_mask, **options)
        hs = self._convolve(h, self.recurrent_kernel, h_mask, strides=1, padding="same")
        z = [ops.add(a, b) for a, b in zip(xs, hs)]
        if self.bias is not None:
            ones = [1] * self.rank
            shape = (1, self.filters, *ones) if self.data_format == "channels_first" else (1, *ones, self.filters)
            z = [ops.add(a, ops.reshape(b, shape)) for a, b in zip(z, ops.split(self.bias, 4))]
        i, f, g, o = z
        gate = self.recurrent_activation
        c = ops.add(ops.multiply(gate(f), c), ops.multiply(gate(i), self.activation(g)))
        h = ops.multiply(gate(o), self.activation(c))
        return h, [h, c]

    def get_config(self):
        own = {**config_of(self, *_CELL_OPTIONS), **{k: getattr(self, k) for k in _CONV_OPTIONS}, "rank": self.rank}
        return {**Layer.get_config(self), **own}


class _ConvLSTM(RNN):
    """Base: the layer's attributes (`filters`, `kernel_initializer`, ...) are the cell's."""

    rank = 2

    def __init__(
        self, filters, kernel_size, strides=1, padding="valid", data_format=None, dilation_rate=1, activation="tanh",
        recurrent_activation="sigmoid", use_bias=True, kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal", bias_initializer="zeros", unit_forget_bias=True, kernel_regularizer=None,
        recurrent_regularizer=None, bias_regularizer=None, activity_regularizer=None, kernel_constraint=None,
        recurrent_constraint=None, bias_constraint=None, dropout=0.0, recurrent_dropout=0.0, seed=None,
        return_sequences=False, return_state=False, go_backwards=False, stateful=False, **kwargs,
    ):  # fmt: skip
        values = locals()
        options = {n: values[n] for n in (*_CONV_OPTIONS, *_CELL_OPTIONS)}
        cell = ConvLSTMCell(rank=self.rank, name="conv_lstm_cell", dtype=kwargs.get("dtype"), **options)
        super().__init__(
            cell, return_sequences=return_sequences, return_state=return_state, go_backwards=go_backwards,
            stateful=stateful, activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
        self.input_spec = InputSpec(ndim=self.rank + 3)

    def __getattr__(self, name):
        # Only reached for names the layer itself does not have.
        cell = self.__dict__.get("cell")
        if cell is not None and name in (*_CONV_OPTIONS, *_CELL_OPTIONS):
            return getattr(cell, name)
        raise AttributeError(f"'{type(self).__name__}' has no attribute '{name}'")

    def _state_shapes(self, sequences_shape):
        return [self.cell.step_output_shape((sequences_shape[0], *sequences_shape[2:]))] * 2

    def build(self, sequences_shape, initial_state_shape=None):
        if not self.cell.built:
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
            self.cell.built = True
        super().build(sequences_shape)

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        state = self._state_shapes(sequences_shape)[0]
        out = (state[0], sequences_shape[1], *state[1:]) if self.return_sequences else state
        return (out, state, state) if self.return_state else out

    def get_config(self):
        own = {**self._loop_config(), **{k: getattr(self.cell, k) for k in _CONV_OPTIONS}}
        own |= {**config_of(self.cell, *_CELL_OPTIONS), **config_of(self, "activity_regularizer")}
        return {**Layer.get_config(self), **own}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return super(RNN, cls).from_config(config)


class ConvLSTM1D(_ConvLSTM):
    """Convolutional LSTM over (batch, time, steps, channels).

    Args:
        filters, kernel_size, strides, padding, data_format, dilation_rate: of the convolutions, see `ConvLSTMCell`.
        activation, recurrent_activation, use_bias, unit_forget_bias, dropout, recurrent_dropout, seed and weight
            options: as in `LSTM`, with kernel (*kernel_size, channels, 4 filters).
        return_sequences, return_state, go_backwards, stateful: see `RNN`.

    Raises:
        ValueError: for a wrong argument or an input of another rank.
    Reference: Shi et al., 2015, "Convolutional LSTM Network", arXiv:1506.04214.
    """

    rank = 1


class ConvLSTM2D(_ConvLSTM):
    """Convolutional LSTM over (batch, time, height, width, channels); arguments as in `ConvLSTM1D`.

    Reference: Shi et al., 2015, "Convolutional LSTM Network", arXiv:1506.04214.
    """

    rank = 2


class ConvLSTM3D(_ConvLSTM):
    """Convolutional LSTM over (batch, time, depth, height, width, channels); arguments as in `ConvLSTM1D`.

    Reference: Shi et al., 2015, "Convolutional LSTM Network", arXiv:1506.04214.
    """

    rank = 3
