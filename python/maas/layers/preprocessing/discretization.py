"""Numbers to the bins of a histogram."""

import numpy as np

from maas.layers.layer import Layer
from maas.layers.preprocessing.encoding import (
    MODES,
    OwnOutputDtype,
    batches_of,
    check_mode,
    encode,
    encoded_shape,
    refuse_sparse,
)  # fmt: skip


class Discretization(OwnOutputDtype, Layer):
    """Numbers to bins: `bin_boundaries=[0, 1, 2]` makes (-inf, 0), [0, 1), [1, 2) and [2, inf).

    Args:
        bin_boundaries: list of rising numbers, or None.
        num_bins: int, or None: bins of about equal counts, learned by `adapt`.
        epsilon: number, how exact the learned quantiles are.
        output_mode: "int", "one_hot", "multi_hot" or "count".
        sparse: bool; only False.

    Raises:
        ValueError: unless exactly one of `bin_boundaries` and `num_bins` is given.
    """

    def __init__(
        self, bin_boundaries=None, num_bins=None, epsilon=0.01, output_mode="int", sparse=False, dtype=None, name=None
    ):
        super().__init__(name=name, dtype=dtype)
        refuse_sparse(self._label(), sparse)
        if (num_bins is None) == (bin_boundaries is None):
            raise ValueError(
                f"{self._label()}: give `num_bins` or `bin_boundaries`, received num_bins={num_bins}, "
                f"bin_boundaries={bin_boundaries}"
            )
        if num_bins is not None and num_bins < 1:
            raise ValueError(f"{self._label()}: `num_bins` must be >= 1, received num_bins={num_bins}")
        self.bin_boundaries = None if bin_boundaries is None else tuple(bin_boundaries)
        self.num_bins, self.epsilon, self.sparse = num_bins, epsilon, sparse
        self.output_mode = check_mode(self._label(), output_mode, MODES)
        self.reset_state()
        self._build_at_init()

    @property
    def input_dtype(self):
        from maas.backend.config import floatx

        return floatx()

    @property
    def output_dtype(self):
        """The dtype of the output."""
        return "int32" if self.output_mode == "int" else self.compute_dtype

    _output_dtype = output_dtype

    def adapt(self, data, steps=None):
        """Learn the boundaries.

        Args:
            data: array, or an iterable of batches.
            steps: int or None, how many batches are read.

        Raises:
            ValueError: if the layer was made with boundaries.
        """
        if self.num_bins is None:
            raise ValueError(f"{self._label()}: adapt() needs a layer made with `num_bins`, received `bin_boundaries`")
        self.reset_state()
        for batch, _ in batches_of(data, steps):
            self.update_state(batch)
        self.finalize_state()

    def reset_state(self):
        """Forget what `update_state` saw."""
        object.__setattr__(self, "_summary", np.zeros((2, 0), "float32"))

    def update_state(self, data):
        """Take the numbers of a batch into the summary."""
        values = np.sort(np.asarray(data).astype("float32").ravel())
        step = max(values.size * self.epsilon, 1)
        kept = values[int(step - 1) :: int(step)]
        new = np.stack([kept, np.full_like(kept, step)])
        both = np.concatenate((new, self._summary), axis=1)
        object.__setattr__(self, "_summary", _compressed(both[:, np.argsort(both[0])], self.epsilon))

    def finalize_state(self):
        """Make the boundaries of what was seen."""
        if self.num_bins is not None:
            if self._summary.shape[1] == 0:
                raise ValueError(f"{self._label()}: adapt() needs at least one number, received none")
            self.bin_boundaries = tuple(_compressed(self._summary, 1.0 / self.num_bins)[0, :-1].tolist())

    def call(self, inputs):
        from maas import ops

        if self.bin_boundaries is None:
            raise ValueError(f"{self._label()}: give `bin_boundaries` or call adapt(data) first, received neither")
        bins = ops.cast(ops.digitize(inputs, np.asarray(self.bin_boundaries, "float32")), "int32")
        return encode(bins, self.output_mode, len(self.bin_boundaries) + 1, self.output_dtype)

    def compute_output_shape(self, input_shape):
        depth = self.num_bins if self.bin_boundaries is None else len(self.bin_boundaries) + 1
        return encoded_shape(input_shape, self.output_mode, depth)

    def get_config(self):
        return {
            "bin_boundaries": None if self.bin_boundaries is None else list(self.bin_boundaries),
            "num_bins": self.num_bins, "epsilon": self.epsilon, "output_mode": self.output_mode,
            "sparse": self.sparse, "name": self.name, "dtype": self.dtype,
        }  # fmt: skip

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        learned = config["bin_boundaries"] if config.get("num_bins") is not None else None
        if learned is not None:
            config["bin_boundaries"] = None
        layer = super().from_config(config)
        if learned is not None:
            layer.bin_boundaries = tuple(learned)
        return layer


def _compressed(summary, epsilon):
    """A summary (2, n) of values and weights with about 1 / epsilon entries."""
    if summary.shape[1] * epsilon < 1:
        return summary
    percents = epsilon + np.arange(0.0, 1.0, epsilon)
    weights = summary[1].cumsum()
    shares = weights / weights[-1]
    values = np.interp(percents, shares, summary[0])
    weights = np.interp(percents, shares, weights)
    return np.stack((values, weights - np.concatenate((np.zeros(1), weights[:-1])))).astype("float32")
