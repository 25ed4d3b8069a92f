"""Numbers as bins."""

import numpy as np

from maas import ops
from maas.classical.base import Converter, converts


@converts("preprocessing.KBinsDiscretizer")
class KBinsDiscretizer(Converter):
    def transform(self, x):
        est, parts = self.est, []
        for i, edges in enumerate(est.bin_edges_):
            at = ops.searchsorted(self.param(f"edges_{i}", edges[1:-1]), x[:, i], side="right")
            if est.encode == "ordinal":
                parts.append(ops.cast(at, "float64")[:, None])
            else:
                parts.append(ops.one_hot(at, int(est.n_bins_[i]), dtype="float64"))
        return ops.concatenate(parts, axis=-1)


@converts("isotonic.IsotonicRegression")
class IsotonicRegression(Converter):
    """A line between thresholds; outside of them the ends, or NaN."""

    rank = 1
    features = None

    def predict(self, x):
        from maas.classical.scaling import QuantileTransformer

        est = self.est
        points, values = np.asarray(est.X_thresholds_, "float64"), np.asarray(est.y_thresholds_, "float64")
        y = QuantileTransformer.between(self, x, points, values, "thresholds")
        if est.out_of_bounds == "clip":
            return y
        outside = ops.logical_or(ops.less(x, float(est.X_min_)), ops.greater(x, float(est.X_max_)))
        return ops.where(outside, np.nan, y)

    transform = predict

    def check(self):
        from maas.classical.base import unsupported

        if self.est.out_of_bounds == "raise":
            raise unsupported(self.est, "supports out_of_bounds='nan' and 'clip'", "raise")
