"""Layers that only move entries: Flatten, Reshape, Permute, RepeatVector."""

import math

from maas.backend.keras_tensor import KerasTensor
from maas.layers.input_spec import InputSpec
from maas.layers.layer import Layer
from maas.layers.options import channels_last, standardize_data_format


class _KeepsDtype(Layer):
    """Base: the output has the input's dtype."""

    def compute_output_spec(self, inputs):
        return KerasTensor(self.compute_output_shape(inputs.shape), dtype=inputs.dtype)


class Flatten(_KeepsDtype):
    """(batch, ...) to (batch, n).

    Args:
        data_format: "channels_last" or "channels_first"; the latter moves channels last first.
    """

    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format, self._label())
        self.input_spec = InputSpec(min_ndim=1)
        self._channels_first = self.data_format == "channels_first"

    def call(self, inputs):
        from maas import ops

        if self._channels_first and len(inputs.shape) > 2:
            inputs = channels_last(inputs)
        rest = self.compute_output_shape(tuple(inputs.shape))[1]
        batch = ops.shape(inputs)[0]
        return ops.reshape(inputs, (batch, rest if rest is not None else -1))

    def compute_output_shape(self, input_shape):
        rest = input_shape[1:]
        return (input_shape[0], None if None in rest else math.prod(rest))

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format}


class Reshape(_KeepsDtype):
    """(batch, ...) to (batch, *target_shape).

    Args:
        target_shape: tuple of ints, without the batch axis; one of them may be -1.

    Raises:
        ValueError: if the sizes do not multiply to that of the input.
    """

    def __init__(self, target_shape, **kwargs):
        super().__init__(**kwargs)
        target_shape = (target_shape,) if isinstance(target_shape, int) else tuple(target_shape)
        if sum(d == -1 for d in target_shape) > 1 or any(d is None or d < -1 for d in target_shape):
            raise ValueError(f"{self._label()}: `target_shape` takes sizes and at most one -1, received {target_shape}")
        self.target_shape = target_shape
        self._build_at_init()

    def compute_output_shape(self, input_shape):
        rest, target = tuple(input_shape[1:]), self.target_shape
        if None in rest:
            return (input_shape[0], *(None if d == -1 else d for d in target))
        size, known = math.prod(rest), math.prod(d for d in target if d != -1)
        if (-1 in target and (known == 0 or size % known)) or (-1 not in target and size != known):
            raise ValueError(
                f"{self._label()}: cannot reshape {size} entries to {target}, received {tuple(input_shape)}"
            )
        return (input_shape[0], *(size // known if d == -1 else d for d in target))

    def call(self, inputs):
        from maas import ops

        shape = self.compute_output_shape(tuple(inputs.shape))[1:]
        if None in shape:
            shape = self.target_shape
        return ops.reshape(inputs, (ops.shape(inputs)[0], *shape))

    def get_config(self):
        return {**super().get_config(), "target_shape": self.target_shape}


class Permute(_KeepsDtype):
    """Reorders the axes after the batch.

    Args:
        dims: tuple, a permutation of 1, 2, ..., n.

    Raises:
        ValueError: if `dims` is no permutation or does not fit the input's rank.
    """

    def __init__(self, dims, **kwargs):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"{self._label()}: `dims` must be a permutation of 1..{len(self.dims)}, received {self.dims}"
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs):
        from maas import ops

        return ops.transpose(inputs, axes=(0, *self.dims))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *(input_shape[d] for d in self.dims))

    def get_config(self):
        return {**super().get_config(), "dims": self.dims}


class RepeatVector(Layer):
    """(batch, features) to (batch, n, features).

    Args:
        n: int.
    """

    def __init__(self, n, **kwargs):
        super().__init__(**kwargs)
        if isinstance(n, bool) or not isinstance(n, int):
            raise TypeError(f"{self._label()}: `n` must be an int, received {n!r} (of type {type(n).__name__})")
        self.n = n
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs):
        from maas import ops

        batch, features = ops.shape(inputs)
        return ops.broadcast_to(ops.reshape(inputs, (batch, 1, features)), (batch, self.n, features))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.n, input_shape[1])

    def get_config(self):
        return {**super().get_config(), "n": self.n}
