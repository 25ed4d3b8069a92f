"""Layers that bring data to a convenient range: Rescaling, Normalization."""

import math

import numpy as np

from maas.layers.layer import Layer


class Rescaling(Layer):
    """`inputs * scale + offset`.

    Args:
        scale, offset: numbers, or arrays that broadcast against the channels.
    """

    def __init__(self, scale, offset=0.0, **kwargs):
        super().__init__(**kwargs)
        self.scale, self.offset = (_from_config(v) for v in (scale, offset))
        self.supports_masking = True

    def call(self, inputs):
        from maas import ops

        scale, offset = (ops.convert_to_tensor(v, self.compute_dtype) for v in (self.scale, self.offset))
        return ops.add(ops.multiply(ops.cast(inputs, self.compute_dtype), scale), offset)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "scale": _to_config(self.scale), "offset": _to_config(self.offset)}


def _from_config(value):
    """Arrays come back from files as `{"class_name": "__numpy__", ...}` dicts or lists."""
    if isinstance(value, dict):
        value = value["config"]["value"]
    return list(value) if isinstance(value, tuple) else value


def _to_config(value):
    return np.asarray(value).tolist() if hasattr(value, "shape") else value


class Normalization(Layer):
    """`(inputs - mean) / sqrt(variance)`, with statistics given or learned by `adapt(data)`.

    Args:
        axis: int, tuple of ints or None, the axes with statistics of their own; None takes one mean and variance for
            everything.
        mean, variance: numbers or arrays; both or none.
        invert: bool, `inputs * sqrt(variance) + mean` in its place.

    Raises:
        ValueError: if only one of mean and variance is given, or their shapes do not fit.
    """

    def __init__(self, axis=-1, mean=None, variance=None, invert=False, **kwargs):
        super().__init__(**kwargs)
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        if (mean is None) != (variance is None):
            raise ValueError(
                f"{self._label()}: give both `mean` and `variance` or neither, received mean={mean}, "
                f"variance={variance}"
            )
        if mean is not None and (np.shape(mean) != np.shape(variance) or np.ndim(mean) > len(self.axis)):
            raise ValueError(
                f"{self._label()}: `mean` and `variance` must have one shape of rank at most {len(self.axis)}, "
                f"received {np.shape(mean)} and "
                f"{np.shape(variance)}"
            )
        self.input_mean, self.input_variance, self.invert = mean, variance, bool(invert)
        self.supports_masking = True

    def build(self, input_shape):
        rank = len(input_shape)
        if any(not -rank <= a < rank for a in self.axis):
            raise ValueError(f"{self._label()}: axis={self.axis} is out of range, received {tuple(input_shape)}")
        self._kept = tuple(sorted(a % rank for a in self.axis))
        if any(input_shape[a] is None for a in self._kept):
            raise ValueError(
                f"{self._label()}: the sizes along axis={self.axis} must be known, received {tuple(input_shape)}"
            )
        self._sizes = tuple(input_shape[a] for a in self._kept)
        self._broadcast_shape = tuple(input_shape[i] if i in self._kept else 1 for i in range(rank))
        if self.input_mean is None:
            add = self.add_weight
            self.adapt_mean = add(name="mean", shape=self._sizes, initializer="zeros", trainable=False)
            self.adapt_variance = add(name="variance", shape=self._sizes, initializer="ones", trainable=False)
            self.count = add(name="count", shape=(), dtype="int32", initializer="zeros", trainable=False)

    def adapt(self, data):
        """Learn mean and variance.

        Args:
            data: array, or an iterable of batches (arrays, or tuples whose first entry is the inputs).

        Raises:
            ValueError: for empty data, sizes that do not fit, or if mean and variance were given.
        """
        if self.input_mean is not None:
            raise ValueError(
                f"{self._label()}: adapt() needs a layer made without `mean` and `variance`, received a layer "
                f"that has them"
            )
        batches = [data] if hasattr(data, "shape") and hasattr(data, "dtype") else data
        count, mean, spread = 0, 0.0, 0.0
        for batch in batches:
            x = np.asarray(batch[0] if isinstance(batch, (tuple, list)) else batch, dtype="float64")
            if not self.built:
                self.build(x.shape)
            if len(x.shape) != len(self._broadcast_shape) or tuple(x.shape[a] for a in self._kept) != self._sizes:
                raise ValueError(
                    f"{self._label()}: adapt() needs sizes {self._sizes} along axis={self.axis}, received {x.shape}"
                )
            axes = tuple(i for i in range(x.ndim) if i not in self._kept)
            n = math.prod(x.shape[i] for i in axes)
            if n == 0:
                continue
            # Chan's rule joins the moments of two sets of samples without a second pass.
            delta = x.mean(axis=axes) - mean
            spread = spread + x.var(axis=axes) * n + delta**2 * (count * n / (count + n))
            mean = mean + delta * (n / (count + n))
            count += n
        if count == 0:
            raise ValueError(f"{self._label()}: adapt() needs at least one sample, received none")
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(spread / count)

    def _statistics(self):
        from maas import ops

        if self.input_mean is None:
            return (ops.reshape(v, self._broadcast_shape) for v in (self.adapt_mean, self.adapt_variance))
        given = (np.broadcast_to(np.asarray(v), self._sizes) for v in (self.input_mean, self.input_variance))
        return (ops.convert_to_tensor(v.reshape(self._broadcast_shape), self.compute_dtype) for v in given)

    def call(self, inputs):
        from maas import ops
        from maas.backend.config import epsilon

        inputs = ops.cast(inputs, self.compute_dtype)
        mean, variance = self._statistics()
        deviation = ops.maximum(ops.sqrt(variance), epsilon())
        if self.invert:
            return ops.add(mean, ops.multiply(inputs, deviation))
        return ops.divide(ops.subtract(inputs, mean), deviation)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        own = {"axis": self.axis, "invert": self.invert}
        given = {
            k: None if v is None else np.asarray(v).tolist()
            for k, v in (("mean", self.input_mean), ("variance", self.input_variance))
        }
        return {**super().get_config(), **own, **given}
