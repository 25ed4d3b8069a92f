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
    axis = 1 if indices.ndim > 1 else 0
    vectors = ops.one_hot(indices, depth, dtype=dtype)
    if output_mode == "multi_hot":
        return ops.max(vectors, axis=axis)
    if count_weights is not None:
        vectors = vectors * ops.expand_dims(ops.cast(count_weights, dtype), -1)
    return ops.sum(vectors, axis=axis)


def encoded_shape(shape, output_mode, depth):
    """Shape of `encode` for indices of a shape."""
    shape = tuple(shape)
    if output_mode == "int":
        return shape
    if output_mode == "one_hot":
        return (*(shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape), depth) if shape else (depth,)
    return (*shape[:1], *shape[2:], depth) if len(shape) > 1 else (depth,)


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

    def compute_output_shape(self, input_shape, count_weights_shape=None):
        return encoded_shape(input_shape, self.output_mode, self.num_tokens)

    def get_config(self):
        return {**super().get_config(), "num_tokens": self.num_tokens, "output_mode": self.output_mode}
