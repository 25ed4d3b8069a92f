"""Batches from generators and from anything that can be iterated: tf.data, a torch DataLoader, a list of batches."""

import itertools

from maas import tree
from maas.data.adapter import DataAdapter
from maas.data.arrays import class_weight_to_sample_weights, to_numpy
from maas.data.batch import key_of, prepare_batch
from maas.data.packing import unpack_x_y_sample_weight


def standardize_batch(batch, source, class_weight=None, input_dtypes=None):
    """(layout, key, arrays) of what a source yielded.

    Raises:
        ValueError: if it is not `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`.
    """
    if isinstance(batch, (list, tuple)) and not 1 <= len(batch) <= 3:
        raise ValueError(
            f"{source} must yield (x,), (x, y) or (x, y, sample_weight), received a {type(batch).__name__} "
            f"of {len(batch)} items"
        )
    x, y, sample_weight = unpack_x_y_sample_weight(batch)
    x, y, sample_weight = _numpy("x", x), _numpy("y", y), _numpy("sample_weight", sample_weight)
    if class_weight is not None and y is not None:
        if sample_weight is not None:
            raise ValueError(f"give class_weight or sample_weight, received class_weight and {source} with weights")
        sample_weight = class_weight_to_sample_weights(y, class_weight)
    layout, arrays = prepare_batch(x, y, sample_weight, input_dtypes)
    return layout, key_of(layout, arrays), arrays


class IterableAdapter(DataAdapter):
    """Any iterable of batches. A generator is read once; others start anew every epoch."""

    def __init__(self, data, class_weight=None, input_dtypes=None):
        self.class_weight, self.input_dtypes = class_weight, input_dtypes
        self.source = type(data).__name__
        self.num_batches = _length(data)
        if self.num_batches == 0:
            raise ValueError(f"{self.source} must yield at least one batch, received none")
        self._data, self._stream = data, None
        self.counts_passes = iter(data) is not data
        if not self.counts_passes:  # a generator or iterator: no second pass
            self._stream, self.one_pass = _Stream(data), True
            if self.exhausted():
                raise ValueError(f"{self.source} must yield at least one batch, received none")

    def exhausted(self):
        return self._stream is not None and self._stream.exhausted()

    def batches(self):
        for batch in self._data if self._stream is None else self._stream:
            yield standardize_batch(batch, self.source, self.class_weight, self.input_dtypes)


class _Stream:
    """An iterator that can tell whether there is more."""

    def __init__(self, iterator):
        self._iterator, self._held = iterator, []

    def exhausted(self):
        if not self._held:
            self._held.extend(itertools.islice(self._iterator, 1))
        return not self._held

    def __iter__(self):
        return self

    def __next__(self):
        return self._held.pop() if self._held else next(self._iterator)


def _numpy(name, part):
    return tree.map_structure(lambda a: None if a is None else to_numpy(a, name), part)


def _length(data):
    """Number of batches, or None if unknown."""
    try:
        n = len(data)
    except TypeError:  # no len, or an endless dataset
        return None
    return int(n)
