"""`GraphModel`: a model of which only the compiled graph is known, as a `.maas` file holds it."""

import numpy as np

from maas.models.named_arrays import fitted, in_order
from maas.models.saved_graph import SavedGraph


class GraphModel(SavedGraph):
    """Runs the graph of a `.maas` file: a call, `predict`, serving.

    Args:
        saved: a `_core.SavedModel`.
        function: str, one of the functions of the file.
    """

    def __init__(self, saved, function="predict"):
        super().__init__(saved, function)

    @property
    def endpoints(self):
        """Names of the functions in the file."""
        return sorted(self._saved.functions)

    def endpoint(self, name):
        """The `GraphModel` of another function of the file.

        Raises:
            ValueError: if there is none of this name.
        """
        return GraphModel(self._saved, name)

    def _arrays(self, args, kwargs):
        values = in_order(self.name, [x.name for x in self.inputs], args, kwargs)
        return [fitted(self.name, x.name, x.dtype, np.asarray(v)) for v, x in zip(values, self.inputs)]

    def __call__(self, *args, **kwargs):
        """Outputs for arrays given by position, by name, or as one dict: a tensor, or a list of tensors."""
        outputs = self.program(*self._arrays(args, kwargs))
        return outputs[0] if len(outputs) == 1 else outputs

    def predict(self, x, batch_size=32, verbose=0):
        """Outputs as NumPy arrays, computed in batches of `batch_size` rows."""
        arrays = self._arrays((x,), {})
        rows = {len(a) for a in arrays if a.ndim}
        if len(rows) != 1 or not min(rows):
            raise ValueError(f"{self.name}: inputs need the same number of rows, at least one, received {sorted(rows)}")
        n, parts = rows.pop(), []
        for begin in range(0, n, batch_size):
            parts.append(self.program.numpy(*(a[begin : begin + batch_size] for a in arrays)))
        outputs = [np.concatenate(p) for p in zip(*parts)]
        return outputs[0] if len(outputs) == 1 else outputs

    def __repr__(self):
        sides = [", ".join(f"{x.name}: {x.dtype}{tuple(x.shape)}" for x in t) for t in (self.inputs, self.outputs)]
        return f"<GraphModel '{self.name}' ({sides[0]}) -> ({sides[1]})>"
