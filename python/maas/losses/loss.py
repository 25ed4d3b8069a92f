"""The base class of losses, and the class that wraps a loss function."""

from maas import backend, ops, tree
from maas.backend.masks import get_keras_mask
from maas.backend.naming import auto_name
from maas.losses.reduction import reduce_weighted_values, squeeze_or_expand_to_same_rank, standardize_reduction


class Loss:
    """Base class of losses: `loss(y_true, y_pred, sample_weight) = reduce(weight * call(y_true, y_pred))`.

    Subclasses write `call(y_true, y_pred)`, which returns one value per sample (any leading axes).

    Args:
        name: str, the name shown in logs.
        reduction: `"sum_over_batch_size"` (the mean over all entries), `"mean"` (the same), `"sum"`,
            `"mean_with_sample_weight"` (divides by the sum of weights) or `None`/`"none"`.
        dtype: the dtype that inputs are cast to, `floatx()` by default.

    Raises:
        ValueError: if `reduction` is unknown.
    """

    def __init__(self, name=None, reduction="sum_over_batch_size", dtype=None):
        self.name = name or auto_name(type(self).__name__)
        self.reduction = standardize_reduction(reduction)
        self._dtype = _dtype_name(dtype)

    @property
    def dtype(self):
        """The dtype the loss is computed in."""
        return self._dtype

    def __call__(self, y_true, y_pred, sample_weight=None):
        in_mask = get_keras_mask(y_pred)
        y_pred = tree.map_structure(self._convert, y_pred)
        y_true = tree.map_structure(self._convert_target, y_true)
        values, mask = self._values_and_mask(y_true, y_pred)
        if mask is None:
            mask = in_mask
        elif in_mask is not None:
            mask = ops.logical_and(in_mask, mask)
        return reduce_weighted_values(values, sample_weight, mask, self.reduction, self.dtype)

    def _convert(self, x):
        return ops.convert_to_tensor(x, dtype=self.dtype)

    # Losses of integer classes keep them as integers.
    _convert_target = _convert

    def _values_and_mask(self, y_true, y_pred):
        """(per-sample losses, mask of the samples that count or None)."""
        values = self.call(y_true, y_pred)
        return values, get_keras_mask(values)

    def call(self, y_true, y_pred):
        """Per-sample losses; to be written by the subclass."""
        raise NotImplementedError(f"{type(self).__name__} must define call(y_true, y_pred)")

    def get_config(self):
        """What the constructor needs to make the same loss again."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config):
        """The inverse of `get_config`."""
        return cls(**config)


class LossFunctionWrapper(Loss):
    """A loss made from a function `fn(y_true, y_pred, **kwargs)` that returns one value per sample."""

    def __init__(self, fn, reduction="sum_over_batch_size", name=None, dtype=None, **kwargs):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true, y_pred):
        pairs = [
            squeeze_or_expand_to_same_rank(t, p)
            for t, p in zip(tree.flatten(y_true), tree.flatten(y_pred), strict=True)
        ]
        y_true = tree.pack_sequence_as(y_true, [t for t, _ in pairs])
        y_pred = tree.pack_sequence_as(y_pred, [p for _, p in pairs])
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self):
        from maas.saving import serialization

        config = super().get_config()
        config["fn"] = serialization.serialize_keras_object(self.fn)
        config.update(serialization.serialize_keras_object(self._fn_kwargs))
        return config

    @classmethod
    def from_config(cls, config):
        if "fn" in config:
            from maas.saving import serialization

            config = serialization.deserialize_keras_object(config)
        return cls(**config)

    def __repr__(self):
        return f"<LossFunctionWrapper({self.fn}, kwargs={self._fn_kwargs})>"


class NamedLoss(LossFunctionWrapper):
    """A wrapper whose function is fixed by its class: only its options are part of the config."""

    def get_config(self):
        return {**Loss.get_config(self), **self._fn_kwargs}


def _dtype_name(dtype):
    """The compute dtype of a name, a policy or None."""
    dtype = dtype or backend.floatx()
    return getattr(dtype, "compute_dtype", None) or backend.standardize_dtype(dtype)


def as_pair(y_true, y_pred):
    """(y_true, y_pred) as tensors of the dtype of `y_pred` and of one rank."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true, dtype=y_pred.dtype)
    return squeeze_or_expand_to_same_rank(y_true, y_pred)
