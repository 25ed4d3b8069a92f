"""Running sum and mean, and the class that makes a metric of a function."""

import numpy as np

from maas import backend, ops
from maas.backend.masks import get_keras_mask
from maas.losses.reduction import apply_mask, divide_no_nan, row_count, squeeze_or_expand_to_same_rank
from maas.metrics.metric import Metric


def reduce_to_samplewise_values(values, sample_weight, reduce_fn, dtype):
    """(one value per sample, one weight per sample or None); further axes are reduced by `reduce_fn`.

    Weights may have fewer axes than values; they are broadcast before they multiply.
    """
    dtype = dtype or backend.floatx()
    mask = get_keras_mask(values)
    values = ops.cast(values, dtype)
    if sample_weight is not None:
        sample_weight = ops.convert_to_tensor(sample_weight, dtype=dtype)
        sample_weight = apply_mask(sample_weight, mask, dtype=dtype, reduction="sum")
        values, sample_weight = squeeze_or_expand_to_same_rank(values, sample_weight)
        rank, weight_rank = len(values.shape), len(sample_weight.shape)
        if rank > weight_rank:
            values = reduce_fn(values, axis=tuple(range(weight_rank, rank)))
        sample_weight = ops.broadcast_to(sample_weight, ops.shape(values))
        values = values * sample_weight
        if weight_rank > 1:
            sample_weight = reduce_fn(sample_weight, axis=tuple(range(1, weight_rank)))
    if len(values.shape) > 1:
        values = reduce_fn(values, axis=tuple(range(1, len(values.shape))))
    return values, sample_weight


class Sum(Metric):
    """Running sum of `values * sample_weight`."""

    def __init__(self, name="sum", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), name="total")

    def update_state(self, values, sample_weight=None):
        values, _ = reduce_to_samplewise_values(values, sample_weight, ops.sum, self.dtype)
        self.total.assign(self.total + ops.sum(values))

    def result(self):
        return ops.cast(self.total, self.dtype)


class Mean(Metric):
    """Running weighted mean: `sum(values * sample_weight) / sum(sample_weight)`, 0 before the first update."""

    def __init__(self, name="mean", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), name="total")
        self.count = self.add_variable((), name="count")

    def update_state(self, values, sample_weight=None):
        values, sample_weight = reduce_to_samplewise_values(values, sample_weight, ops.mean, self.dtype)
        if sample_weight is not None:
            count = ops.sum(sample_weight)
        elif len(values.shape) >= 1:
            count = row_count(values)
        else:
            count = 1.0
        self.total.assign(self.total + ops.sum(values))
        self.count.assign(self.count + count)

    def reset_state(self):
        self.total.assign(np.zeros((), backend.numpy_dtype(self.dtype)))
        self.count.assign(np.zeros((), backend.numpy_dtype(self.dtype)))

    def result(self):
        return divide_no_nan(ops.convert_to_tensor(self.total), ops.convert_to_tensor(self.count))


class MeanMetricWrapper(Mean):
    """Running mean of `fn(y_true, y_pred, **kwargs)`, which returns one value per sample.

    Args:
        fn: the function.
        name: str.
        dtype: the dtype of the state.
        **kwargs: options passed to `fn`.
    """

    def __init__(self, fn, name=None, dtype=None, **kwargs):
        super().__init__(name=name, dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs
        from maas import losses

        if fn in losses.ALL_OBJECTS or type(fn) in losses.ALL_OBJECTS:
            self._direction = "down"

    def update_state(self, y_true, y_pred, sample_weight=None):
        mask = get_keras_mask(y_pred)
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        sample_weight = apply_mask(sample_weight, mask, dtype=self.dtype, reduction="sum")
        super().update_state(values, sample_weight=sample_weight)

    def get_config(self):
        from maas.saving import serialization

        config = super().get_config()
        config["fn"] = serialization.serialize_keras_object(self._fn)
        config.update(serialization.serialize_keras_object(self._fn_kwargs))
        return config

    @classmethod
    def from_config(cls, config):
        if "fn" in config:
            from maas.saving import serialization

            config = serialization.deserialize_keras_object(config)
        return cls(**config)


class NamedMetric(MeanMetricWrapper):
    """A wrapper whose function is fixed by its class: only its options are part of the config."""

    def __init__(self, fn, name, dtype, direction, **kwargs):
        super().__init__(fn, name=name, dtype=dtype, **kwargs)
        self._direction = direction

    def get_config(self):
        return {**Metric.get_config(self), **self._fn_kwargs}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
