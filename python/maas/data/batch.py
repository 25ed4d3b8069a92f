"""One batch: flat arrays, and the key of the compiled step that takes them."""

import numpy as np

from maas import tree
from maas.data.arrays import check_targets, target_dtype, to_numpy


class Layout:
    """How (x, y, sample_weight) lies in a flat list of arrays.

    Attributes:
        structure: (x, y, sample_weight) with a position in the flat list in place of every array, None where absent.
        names: list of the arrays' names, such as `x`, `x[0]` or `y['out']`.
        form: str, equal for equal nesting.
    """

    def __init__(self, x, y, sample_weight):
        self.names = []
        self.structure = tuple(
            self._place(name, part) for name, part in (("x", x), ("y", y), ("sample_weight", sample_weight))
        )
        self.form = str(self.structure)

    def _place(self, name, part):
        def place(path, leaf):
            if leaf is None:
                return None
            self.names.append(name + "".join(f"[{k!r}]" for k in path))
            return len(self.names) - 1

        pairs = tree.flatten_with_path(part)
        return tree.pack_sequence_as(part, [place(path, leaf) for path, leaf in pairs])

    def flatten(self, x, y, sample_weight):
        """The arrays as a flat list."""
        return [a for part in (x, y, sample_weight) for a in tree.flatten(part) if a is not None]

    def pack(self, leaves):
        """(x, y, sample_weight) from a flat list."""
        return tree.map_structure(lambda i: None if i is None else leaves[i], self.structure)


def key_of(layout, arrays):
    """Equal keys mean the same compiled step: same nesting, dtypes and shapes but for the first axis."""
    return layout.form, tuple((a.shape[1:], a.dtype.char) for a in arrays)


def prepare_batch(x, y, sample_weight, input_dtypes=None):
    """(layout, arrays) of one batch, checked and cast.

    Args:
        x, y, sample_weight: (nested) arrays or None.
        input_dtypes: function from `x` to the flat list of dtypes that the model's inputs want, or None.
    """
    layout = Layout(x, y, sample_weight)
    wanted = input_dtypes(x) if input_dtypes is not None else None
    arrays = []
    for i, (name, a) in enumerate(zip(layout.names, layout.flatten(x, y, sample_weight))):
        a = to_numpy(a, name)
        if a.ndim == 0:
            raise ValueError(f"{name} must have a first axis of samples, received a scalar")
        is_input = name.startswith("x")
        dtype = target_dtype(a.dtype, wanted[i] if is_input and wanted is not None and i < len(wanted) else None)
        if not is_input:
            check_targets(a, name)
        arrays.append(np.ascontiguousarray(a, dtype))
    _check_rows(layout, arrays)
    return layout, arrays


def _check_rows(layout, arrays):
    rows = {a.shape[0] for a in arrays}
    if len(rows) > 1 or 0 in rows:
        shapes = ", ".join(f"{name}: {a.shape}" for name, a in zip(layout.names, arrays))
        problem = "at least one sample" if rows == {0} else "the same number of samples in all arrays"
        raise ValueError(f"a batch must have {problem}, received {shapes}")
