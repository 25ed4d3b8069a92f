"""The metrics of `compile(metrics=..., weighted_metrics=...)`."""

from maas import metrics as metrics_module
from maas import tree
from maas.backend.naming import to_snake_case
from maas.models.compile_common import align, describe, is_binary_or_sparse_categorical, names_of_outputs


def get_metric(identifier, y_true, y_pred):
    """A `Metric`; `"accuracy"` and `"acc"` choose one by the shapes. The name is what the user wrote."""
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        binary, sparse = is_binary_or_sparse_categorical(y_true, y_pred)
        if binary:
            metric = metrics_module.BinaryAccuracy(name=identifier)
        elif sparse:
            metric = metrics_module.SparseCategoricalAccuracy(name=identifier)
        else:
            metric = metrics_module.CategoricalAccuracy(name=identifier)
    else:
        metric = metrics_module.get(identifier)
    name = identifier if isinstance(identifier, str) else getattr(metric, "name", None)
    if not isinstance(metric, metrics_module.Metric):
        name = name or to_snake_case(getattr(metric, "__name__", type(metric).__name__))
        metric = metrics_module.MeanMetricWrapper(metric)
    metric.name = name
    return metric


class MetricsOfOutput:
    """The metrics of one output."""

    def __init__(self, metrics, output_name=None):
        self.metrics, self.output_name = metrics, output_name


class CompileMetrics:
    """All metrics of `compile`; built at the first batch, when the outputs are known.

    Args:
        metrics: list, dict by output name, or list of lists; updated without sample weights.
        weighted_metrics: the same, updated with sample weights.
        output_names: list of str or None.
    """

    name = "compile_metrics"

    def __init__(self, metrics, weighted_metrics, output_names=None):
        for what, given in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if given and not isinstance(given, (list, tuple, dict)):
                raise ValueError(
                    f"{what} must be a list, tuple or dict, such as {what}=['mae'], received {what}={given!r}"
                )
            for leaf in tree.flatten(given or []):
                if leaf is None:
                    continue
                if not isinstance(leaf, (str, dict)) and not callable(leaf):
                    metrics_module.get(leaf)  # raises
                elif isinstance(leaf, str) and leaf.lower() not in ("accuracy", "acc"):
                    if leaf not in metrics_module.ALL_OBJECTS_DICT:
                        metrics_module.get(leaf)
        self._user_metrics, self._user_weighted = metrics, weighted_metrics
        self.output_names = output_names
        self.reset()

    def reset(self):
        """Forget the outputs; the next update builds again."""
        self.built = False
        self._plain, self._weighted = [], []

    @property
    def metrics(self):
        """The metric objects, plain ones first; empty before the first batch."""
        return [m for group in self._plain + self._weighted if group is not None for m in group.metrics]

    @property
    def variables(self):
        """The state of all metrics."""
        return [v for m in self.metrics for v in m.variables]

    def build(self, y_true, y_pred):
        """Makes the metrics of every output."""
        self._names = names_of_outputs(y_pred, self.output_names)
        flat_pred = tree.flatten(y_pred)
        flat_true = self._targets(y_true, y_pred)
        self._plain = self._groups(self._user_metrics, flat_true, flat_pred, "metrics")
        self._weighted = self._groups(self._user_weighted, flat_true, flat_pred, "weighted_metrics")
        self.built = True

    def _targets(self, y_true, y_pred):
        if y_true is None:
            return [None] * len(self._names)
        leaves = tree.flatten(y_true)
        if len(leaves) < len(self._names) and not isinstance(y_true, dict):
            return leaves + [None] * (len(self._names) - len(leaves))
        return align(y_true, y_pred, self._names, "y")

    def _groups(self, given, flat_true, flat_pred, what):
        count = len(flat_pred)
        if not given:
            return [None] * count
        if count == 1:
            entries, names = [tree.flatten(given)], [None]
        else:
            entries, names = self._entries(given, what), self._names
        groups = []
        for entry, name, y_t, y_p in zip(entries, names, flat_true, flat_pred):
            if entry is None:
                groups.append(None)
                continue
            if y_t is None:
                raise ValueError(f"{what} of output {name!r} need targets y, received None")
            groups.append(MetricsOfOutput([get_metric(m, y_t, y_p) for m in tree.flatten(entry)], name))
        return groups

    def _entries(self, given, what):
        names = self._names
        if isinstance(given, dict):
            unknown = [k for k in given if k not in names]
            if unknown:
                raise ValueError(f"{what} must have output names {names} as keys, received {list(given)}")
            return [given.get(n) for n in names]
        if len(given) == len(names):
            return list(given)
        raise ValueError(f"{what} must have one entry for each of the outputs {names}, received {given}")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds a batch."""
        if not self.built:
            self.build(y_true, y_pred)
        flat_pred, flat_true = tree.flatten(y_pred), self._targets(y_true, y_pred)
        weights = [None] * len(flat_pred)
        if sample_weight is not None:
            weights = tree.flatten(sample_weight)
            if len(weights) < len(flat_pred):
                weights = [weights[0]] * len(flat_pred)
        for groups, used in ((self._plain, [None] * len(flat_pred)), (self._weighted, weights)):
            for group, y_t, y_p, w in zip(groups, flat_true, flat_pred, used):
                for m in group.metrics if group is not None else ():
                    if y_t is None:
                        raise ValueError(f"the metric {m.name!r} needs targets y, received None")
                    self._update(m, y_t, y_p, w)

    @staticmethod
    def _update(metric, y_true, y_pred, weight):
        try:
            if weight is None:
                metric.update_state(y_true, y_pred)
            else:
                metric.update_state(y_true, y_pred, sample_weight=weight)
        except (ValueError, TypeError) as e:
            raise type(e)(f"metric {metric.name!r}: {e}; {describe(y_true, y_pred)}") from e

    def reset_state(self):
        """Sets all metrics to zero."""
        for m in self.metrics:
            m.reset_state()

    def result(self):
        """dict from metric name to value; names of several outputs get the output's name in front.

        Raises:
            ValueError: before the first batch.
        """
        if not self.built:
            raise ValueError("metrics have no result before the first batch, received 0 batches")
        results, seen = {}, {}
        for groups, weighted in ((self._plain, False), (self._weighted, True)):
            for group in groups:
                for m in group.metrics if group is not None else ():
                    results[self._unique(m.name, group.output_name, weighted, seen)] = m.result()
        return results

    @staticmethod
    def _unique(metric_name, output_name, weighted, seen):
        """A name not used so far: `mse`, then `mse_1`; a weighted one that repeats is `weighted_mse`."""
        prefix = f"{output_name}_" if output_name else ""
        name = prefix + metric_name
        if name in seen and weighted:
            name = f"{prefix}weighted_{metric_name}"
        if name not in seen:
            seen[name] = 1
            return name
        seen[name] += 1
        return f"{name}_{seen[name] - 1}"
