"""Data adapters: one interface to arrays, datasets, generators and loaders."""

from maas import missing_names, tree
from maas.data.adapter import DataAdapter
from maas.data.array_adapter import ArrayAdapter
from maas.data.arrays import check_arrays, check_class_weight, is_array_like
from maas.data.dataset import AUTOTUNE, Dataset
from maas.data.epochs import EpochIterator
from maas.data.iterable_adapter import IterableAdapter
from maas.data.py_dataset import PyDataset, PyDatasetAdapter


def get_data_adapter(
    x,
    y=None,
    sample_weight=None,
    batch_size=None,
    steps_per_epoch=None,
    shuffle=False,
    class_weight=None,
    input_dtypes=None,
):
    """The adapter for what the user passed.

    Raises:
        ValueError: if `x` yields batches and `y` or `sample_weight` is given too, or `x` is no data at all.
    """
    if isinstance(x, DataAdapter):
        return x
    leaves = [a for a in tree.flatten((x, y, sample_weight)) if a is not None]
    if class_weight is not None:
        check_class_weight(class_weight)
    x_leaves = tree.flatten(x)
    if x_leaves and all(is_array_like(a) for a in x_leaves):
        for name, part in (("y", y), ("sample_weight", sample_weight)):
            check_arrays(name, part)
    elif isinstance(x, (list, tuple)):
        check_arrays("x", [a for a in x_leaves if isinstance(a, (bool, int, float))])
    if x is not None and all(is_array_like(a) for a in leaves):
        return ArrayAdapter(x, y, sample_weight, batch_size, steps_per_epoch, shuffle, class_weight, input_dtypes)
    kind = "PyDataset" if isinstance(x, PyDataset) else type(x).__name__
    if isinstance(x, PyDataset) or (hasattr(x, "__iter__") and not isinstance(x, (str, bytes, dict)) and _batches(x)):
        for name, value in (("y", y), ("sample_weight", sample_weight)):
            if value is not None:
                raise ValueError(f"with x of type {kind}, {name} must be part of its batches, received {name} as well")
        if isinstance(x, PyDataset):
            return PyDatasetAdapter(x, shuffle, class_weight, input_dtypes)
        return IterableAdapter(x, class_weight, input_dtypes)
    wrong = sorted({type(a).__name__ for a in leaves if not is_array_like(a)}) or ["None"]
    raise ValueError(
        "x must be an array, a (nested) list or dict of arrays, a PyDataset, a generator or an iterable of batches "
        f"(and y arrays), received {', '.join(wrong)}"
    )


def _batches(x):
    """A list counts as batches only if its items look like batches: plain numbers must be made an array first."""
    if not isinstance(x, (list, tuple)):
        return True
    return bool(x) and all(isinstance(item, (tuple, dict)) and item for item in x)


__all__ = [
    "AUTOTUNE",
    "ArrayAdapter",
    "DataAdapter",
    "Dataset",
    "EpochIterator",
    "IterableAdapter",
    "PyDataset",
    "get_data_adapter",
]

__getattr__ = missing_names.getattr_of(__name__)
