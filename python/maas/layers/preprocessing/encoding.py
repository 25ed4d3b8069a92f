"""Indices as vectors of categories: `encode`, and the layer CategoryEncoding."""

import numpy as np

from maas.layers.layer import Layer

MODES = ("int", "one_hot", "multi_hot", "count")


def encode(indices, output_mode, depth, dtype, count_weights=None):
    """Indices as one-hot, multi-hot or counting vectors; an index outside of [0, depth) counts nowhere.

    Args:
        indices: Tensor of integers.
        output_mode: "int" (unchanged), "one_hot", "multi_hot" or "count".
        depth: int, size of the vectors.
        dtype: str.
        count_weights: Tensor of the shape of `indices`, or None; for "count".

    Returns:
        Tensor: for "one_hot" with an axis more (a last axis of 1 goes), for the others with the axis of a sample
        replaced.
    """
    from maas import ops

    if output_mode == "int":
        return ops.cast(indices, dtype)
    if indices.ndim == 0:
        indices = ops.expand_dims(indices, -1)
    if output_mode == "one_hot":
        if indices.ndim > 1 and indices.shape[-1] == 1:
            indices = ops.squeeze(indices, -1)
        return ops.one_hot(indices, depth, dtype=dtype)
    counts = _counts(indices, depth, dtype, count_weights)
    return ops.minimum(counts, 1) if output_mode == "multi_hot" else counts


def _counts(indices, depth, dtype, weights):
    """`y[b, ..., v] = sum of weights[b, j, ...] with indices[b, j, ...] == v`, for any batch size of a trace."""
    from maas import ops

    single, rest = indices.ndim == 1, tuple(indices.shape[2:])
    summed = "float32" if dtype in ("float16", "bfloat16") else dtype

    def rows(x):
        """Axis 1 last, all others one."""
        x = ops.expand_dims(x, 0) if single else ops.moveaxis(x, 1, -1)
        return ops.reshape(x, (-1, x.shape[-1])) if rest else x

    known = ops.logical_and(indices >= 0, indices < depth)
    # What counts nowhere goes into one more column.
    column = rows(ops.cast(ops.where(known, indices, depth), "int32"))
    weights = ops.ones_like(column, dtype=summed) if weights is None else rows(ops.cast(weights, summed))
    # The sizes of a trace are open: the number of a row is a running sum, and zeros are made from the indices.
    none = ops.sum(ops.zeros_like(column), axis=1, keepdims=True)
    row = ops.cumsum(ops.ones_like(none), axis=0) - 1
    places = ops.stack([row + ops.zeros_like(column), column], axis=-1)
    zeros = ops.cast(none, summed) + ops.zeros((1, depth + 1), summed)
    counts = ops.scatter_update(zeros, places, weights, "add")[:, :depth]
    counts = ops.reshape(counts, (-1, *rest, depth)) if rest else counts[0] if single else counts
    return ops.cast(counts, dtype)


def encoded_shape(shape, output_mode, depth):
    """Shape of `encode` for indices of a shape."""
    shape = tuple(shape)
    if output_mode == "int":
        return shape
    if output_mode == "one_hot":
        return (*(shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape), depth) if shape else (depth,)
    return (*shape[:1], *shape[2:], depth) if len(shape) > 1 else (depth,)


class OwnOutputDtype:
    """Mixin of layers whose output has a dtype of its own, `_output_dtype`."""

    def compute_output_spec(self, inputs):
        from maas.backend.keras_tensor import KerasTensor

        return KerasTensor(self.compute_output_shape(inputs.shape), dtype=self._output_dtype)


def check_mode(layer, output_mode, known):
    """The output mode by its one name.

    Raises:
        ValueError: for an unknown one.
    """
    output_mode = {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(output_mode, output_mode)
    if output_mode not in known:
        raise ValueError(f"{layer}: `output_mode` must be one of {tuple(known)}, received {output_mode!r}")
    return output_mode


def refuse_sparse(layer, sparse):
    """ValueError for sparse outputs, which need another kind of tensor."""
    if sparse:
        raise ValueError(f"{layer}: there are no sparse tensors, use sparse=False, received sparse={sparse!r}")


def batches_of(data, steps=None):
    """The batches that `adapt` reads.

    Args:
        data: array or list (one batch), or an iterable of batches (generator, `PyDataset`, data set); of a batch that
            is a tuple, the first entry.
        steps: int or None, how many batches.
    """
    from maas.data.py_dataset import PyDataset

    if isinstance(data, PyDataset):
        data = (data[i] for i in range(data.num_batches if steps is None else min(steps, data.num_batches)))
    if isinstance(data, (str, bytes, list, tuple, np.ndarray)) or hasattr(data, "__array__"):
        yield data, True
        return
    for i, batch in enumerate(data):
        if steps is not None and i >= steps:
            return
        yield (batch[0] if isinstance(batch, tuple) else batch), False


class CategoryEncoding(Layer):
    """Integer categories as one-hot, multi-hot or counting vectors.

    Args:
        num_tokens: int, number of categories; inputs lie in [0, num_tokens).
        output_mode: "multi_hot" (one vector per sample), "one_hot" (one per integer) or "count".
        sparse: bool; only False.

    Raises:
        ValueError: for a missing or wrong argument.
    """

    def __init__(self, num_tokens=None, output_mode="multi_hot", sparse=False, **kwargs):
        super().__init__(**kwargs)
        self.output_mode = check_mode(self._label(), output_mode, ("count", "one_hot", "multi_hot"))
        if num_tokens is None or num_tokens < 1:
            raise ValueError(
                f"{self._label()}: `num_tokens` must be a positive int (IntegerLookup learns it from data), received "
                f"num_tokens={num_tokens}"
            )
        refuse_sparse(self._label(), sparse)
        self.num_tokens, self.sparse = num_tokens, sparse
        self._convert_input_args, self._allow_non_tensor_positional_args = False, True
        self._build_at_init()

    def call(self, inputs, count_weights=None):
        from maas import ops

        if count_weights is not None and self.output_mode != "count":
            raise ValueError(
                f"{self._label()}: `count_weights` needs output_mode='count', received {self.output_mode!r}"
            )
        if count_weights is not None:
            count_weights = ops.convert_to_tensor(count_weights, dtype=self.compute_dtype)
        inputs = ops.convert_to_tensor(inputs)
        if "int" not in str(inputs.dtype):
            inputs = ops.cast(inputs, "int32")
        return encode(inputs, self.output_mode, self.num_tokens, self.compute_dtype, count_weights)

    def compute_output_shape(self, input_shape):
        return encoded_shape(input_shape, self.output_mode, self.num_tokens)

    def get_config(self):
        return {**super().get_config(), "num_tokens": self.num_tokens, "output_mode": self.output_mode}
