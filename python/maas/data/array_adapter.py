"""Batches from arrays in memory."""

import math

import numpy as np

from maas import tree
from maas.data.adapter import DataAdapter
from maas.data.arrays import check_lengths, check_targets, class_weight_to_sample_weights, target_dtype, to_numpy
from maas.data.batch import Layout

# Arrays up to this size are cast once, before the first step; larger ones batch by batch, to spare memory.
_CAST_AT_ONCE = 1 << 28


class ArrayAdapter(DataAdapter):
    """Rows of arrays, in order or shuffled.

    Shuffling permutes indices and gathers rows into buffers that every batch reuses.

    Args:
        x, y, sample_weight: (nested) arrays or None.
        batch_size: int; 32 by default, or what `steps` asks for.
        steps: int or None.
        shuffle: bool, or `"batch"` to shuffle inside batches only.
        class_weight: dict from class to weight, or None.
        input_dtypes: function from `x` to the list of dtypes the model's inputs want, or None.
    """

    def __init__(
        self,
        x,
        y=None,
        sample_weight=None,
        batch_size=None,
        steps=None,
        shuffle=False,
        class_weight=None,
        input_dtypes=None,
    ):
        x, y = _numpy("x", x), _numpy("y", y)
        sample_weight = self._weights(y, _numpy("sample_weight", sample_weight), class_weight)
        self.num_samples = check_lengths(x, y, sample_weight)
        if batch_size is not None and (not isinstance(batch_size, (int, np.integer)) or batch_size < 1):
            raise ValueError(f"batch_size must be an int >= 1, received batch_size={batch_size!r}")
        self.batch_size = int(batch_size or (math.ceil(self.num_samples / steps) if steps else 32))
        self.num_batches = math.ceil(self.num_samples / self.batch_size)
        self.shuffle = shuffle
        self._layout = Layout(x, y, sample_weight)
        self._prepare(self._layout.flatten(x, y, sample_weight), input_dtypes(x) if input_dtypes else None)
        self._key = self._layout.form, tuple((a.shape[1:], t.char) for a, t in zip(self._arrays, self._dtypes))

    @staticmethod
    def _weights(y, sample_weight, class_weight):
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError("give class_weight or sample_weight, received both")
            if y is None or tree.is_nested(y):
                raise ValueError(f"class_weight needs a single array y, received y of type {type(y).__name__}")
            return class_weight_to_sample_weights(y, class_weight)
        if sample_weight is None or not tree.is_nested(y):
            return sample_weight
        if tree.is_nested(sample_weight):
            tree.assert_same_structure(y, sample_weight)
            return sample_weight
        if sample_weight.ndim > 2 or (sample_weight.ndim == 2 and sample_weight.shape[1] != 1):
            raise ValueError(
                "one sample_weight for several outputs must have one number per sample, "
                f"received shape {sample_weight.shape}"
            )
        return tree.map_structure(lambda _: sample_weight, y)

    def _prepare(self, arrays, wanted):
        self._arrays, self._dtypes = [], []
        for i, (name, a) in enumerate(zip(self._layout.names, arrays)):
            is_input = name.startswith("x")
            if not is_input:
                check_targets(a, name)
            dtype = target_dtype(a.dtype, wanted[i] if is_input and wanted and i < len(wanted) else None)
            if a.dtype != dtype and a.nbytes <= _CAST_AT_ONCE:
                a = a.astype(dtype)
            self._arrays.append(np.ascontiguousarray(a))
            self._dtypes.append(dtype)

    def in_memory(self):
        return self._layout, self._arrays

    def batches(self):
        n, size = self.num_samples, self.batch_size
        layout, key = self._layout, self._key
        if not self.shuffle:
            for start in range(0, n, size):
                arrays = [
                    a[start : start + size] if a.dtype == t else a[start : start + size].astype(t)
                    for a, t in zip(self._arrays, self._dtypes)
                ]
                yield layout, key, arrays
            return
        order = np.random.permutation(n) if self.shuffle != "batch" else None
        gathers = [_Gather(a, t, min(size, n)) for a, t in zip(self._arrays, self._dtypes)]
        for start in range(0, n, size):
            stop = min(start + size, n)
            rows = order[start:stop] if order is not None else np.random.permutation(stop - start) + start
            yield layout, key, [gather(rows) for gather in gathers]


class _Gather:
    """Rows of an array, copied into a buffer that is used again and again."""

    def __init__(self, array, dtype, size):
        self.array, self.size = array, size
        self.rows = np.empty((size, *array.shape[1:]), array.dtype)
        self.cast = None if array.dtype == dtype else np.empty(self.rows.shape, dtype)

    def __call__(self, indices):
        n = len(indices)
        rows = self.rows if n == self.size else self.rows[:n]
        # mode="clip": the default would copy through a second buffer to be able to raise.
        self.array.take(indices, 0, rows, "clip")
        if self.cast is None:
            return rows
        cast = self.cast[:n]
        np.copyto(cast, rows, casting="unsafe")
        return cast


def _numpy(name, part):
    return tree.map_structure(lambda a: None if a is None else to_numpy(a, name), part)
