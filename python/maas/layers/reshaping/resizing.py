"""Layers that add, cut or repeat rows, columns and slices: ZeroPadding, Cropping, UpSampling."""

from maas.layers.input_spec import InputSpec
from maas.layers.layer import Layer
from maas.layers.options import (
    channels_first,
    channels_last,
    check_positive,
    standardize_data_format,
    standardize_tuple,
)


def _pairs(value, n, name, owner):
    """An int, n ints or n pairs as n pairs of ints >= 0."""
    if isinstance(value, int):
        value = ((value, value),) * n
    if isinstance(value, (tuple, list)) and len(value) == n:
        value = tuple(tuple(standardize_tuple(v, 2, name, owner, allow_zero=True)) for v in value)
        return value
    raise ValueError(f"{owner}: `{name}` must be an int, {n} ints or {n} pairs of ints, received {name}={value!r}")


class ZeroPadding1D(Layer):
    """Adds zeros before and after the time axis of (batch, time, features).

    Args:
        padding: int, or (before, after).
    """

    def __init__(self, padding=1, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format, self._label())
        self.padding = standardize_tuple(padding, 2, "padding", self._label(), allow_zero=True)
        self.input_spec = InputSpec(ndim=3)

    def compute_output_shape(self, input_shape):
        shape, axis = list(input_shape), 1 if self.data_format == "channels_last" else 2
        shape[axis] = None if shape[axis] is None else shape[axis] + sum(self.padding)
        return tuple(shape)

    def call(self, inputs):
        from maas import ops

        both = ((0, 0), self.padding, (0, 0)) if self.data_format == "channels_last" else ((0, 0), (0, 0), self.padding)
        return ops.pad(inputs, both)

    def get_config(self):
        return {**super().get_config(), "padding": self.padding, "data_format": self.data_format}


class ZeroPadding2D(Layer):
    """Adds rows and columns of zeros to images.

    Args:
        padding: int, (rows, columns), or ((top, bottom), (left, right)).
        data_format: "channels_last" or "channels_first".
    """

    rank = 2

    def __init__(self, padding=(1, 1), data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format, self._label())
        self.padding = _pairs(padding, self.rank, "padding", self._label())
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _first(self):
        return 1 if self.data_format == "channels_last" else 2

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        for i, pad in enumerate(self.padding):
            axis = self._first() + i
            shape[axis] = None if shape[axis] is None else shape[axis] + sum(pad)
        return tuple(shape)

    def call(self, inputs):
        from maas import ops

        widths = [(0, 0)] * (self.rank + 2)
        widths[self._first() : self._first() + self.rank] = self.padding
        return ops.pad(inputs, tuple(widths))

    def get_config(self):
        return {**super().get_config(), "padding": self.padding, "data_format": self.data_format}


class ZeroPadding3D(ZeroPadding2D):
    """Adds zeros around volumes.

    Args:
        padding: int, three ints, or three pairs (before, after).
        data_format: "channels_last" or "channels_first".
    """

    rank = 3

    def __init__(self, padding=((1, 1), (1, 1), (1, 1)), data_format=None, **kwargs):
        super().__init__(padding, data_format, **kwargs)


def _cut(size, pair):
    return slice(pair[0], size - pair[1] if size is not None else (-pair[1] or None))


class Cropping1D(Layer):
    """Cuts steps off both ends of (batch, time, features).

    Args:
        cropping: int, or (before, after).
    """

    def __init__(self, cropping=(1, 1), **kwargs):
        super().__init__(**kwargs)
        self.cropping = standardize_tuple(cropping, 2, "cropping", self._label(), allow_zero=True)
        self.input_spec = InputSpec(ndim=3)

    def compute_output_shape(self, input_shape):
        n = input_shape[1]
        if n is not None:
            n -= sum(self.cropping)
            if n <= 0:
                raise ValueError(
                    f"{self._label()}: cropping={self.cropping} leaves nothing of the input, received "
                    f"{tuple(input_shape)}"
                )
        return (input_shape[0], n, input_shape[2])

    def call(self, inputs):
        return inputs[:, _cut(inputs.shape[1], self.cropping), :]

    def get_config(self):
        return {**super().get_config(), "cropping": self.cropping}


class Cropping2D(Layer):
    """Cuts rows and columns off images.

    Args:
        cropping: int, (rows, columns), or ((top, bottom), (left, right)).
        data_format: "channels_last" or "channels_first".
    """

    rank = 2

    def __init__(self, cropping=((0, 0), (0, 0)), data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format, self._label())
        self.cropping = _pairs(cropping, self.rank, "cropping", self._label())
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def compute_output_shape(self, input_shape):
        shape, first = list(input_shape), 1 if self.data_format == "channels_last" else 2
        for i, pair in enumerate(self.cropping):
            if shape[first + i] is not None:
                shape[first + i] -= sum(pair)
                if shape[first + i] <= 0:
                    raise ValueError(
                        f"{self._label()}: cropping={self.cropping} leaves nothing of the input, received "
                        f"{tuple(input_shape)}"
                    )
        return tuple(shape)

    def call(self, inputs):
        first = 1 if self.data_format == "channels_last" else 2
        cuts = [_cut(inputs.shape[first + i], pair) for i, pair in enumerate(self.cropping)]
        return inputs[(*(slice(None),) * first, *cuts)]

    def get_config(self):
        return {**super().get_config(), "cropping": self.cropping, "data_format": self.data_format}


class Cropping3D(Cropping2D):
    """Cuts slices off all sides of volumes.

    Args:
        cropping: int, three ints, or three pairs (before, after).
        data_format: "channels_last" or "channels_first".
    """

    rank = 3

    def __init__(self, cropping=((1, 1), (1, 1), (1, 1)), data_format=None, **kwargs):
        super().__init__(cropping, data_format, **kwargs)


class UpSampling1D(Layer):
    """Repeats each step `size` times.

    Args:
        size: int.
    """

    def __init__(self, size=2, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(size, int) or isinstance(size, bool):
            raise TypeError(
                f"{self._label()}: `size` must be an int, received {size!r} (of type {type(size).__name__})"
            )
        self.size = check_positive(size, "size", self._label())
        self.input_spec = InputSpec(ndim=3)

    def compute_output_shape(self, input_shape):
        n = input_shape[1]
        return (input_shape[0], None if n is None else n * self.size, input_shape[2])

    def call(self, inputs):
        from maas import ops

        return ops.repeat(inputs, self.size, axis=1)

    def get_config(self):
        return {**super().get_config(), "size": self.size}


class UpSampling2D(Layer):
    """Repeats rows and columns of images, or interpolates between them.

    Args:
        size: int or (rows, columns).
        data_format: "channels_last" or "channels_first".
        interpolation: "nearest", "bilinear", "bicubic", "lanczos3" or "lanczos5"; all but the first need known sizes.

    Raises:
        ValueError: for another interpolation.
    """

    def __init__(self, size=(2, 2), data_format=None, interpolation="nearest", **kwargs):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format, self._label())
        self.size = standardize_tuple(size, 2, "size", self._label())
        self.interpolation = interpolation.lower()
        known = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
        if self.interpolation not in known:
            raise ValueError(f"{self._label()}: `interpolation` must be one of {known}, received {interpolation!r}")
        self.input_spec = InputSpec(ndim=4)

    def compute_output_shape(self, input_shape):
        shape, first = list(input_shape), 1 if self.data_format == "channels_last" else 2
        for i, s in enumerate(self.size):
            shape[first + i] = None if shape[first + i] is None else shape[first + i] * s
        return tuple(shape)

    def call(self, inputs):
        from maas import ops

        if self.interpolation != "nearest":
            at = 1 if self.data_format == "channels_last" else 2
            sizes = inputs.shape[at : at + 2]
            if None in sizes:
                raise ValueError(f"{self._label()}: height and width must be known, received {tuple(inputs.shape)}")
            size = [n * s for n, s in zip(sizes, self.size)]
            return ops.image.resize(inputs, size, self.interpolation, data_format=self.data_format)
        x = inputs if self.data_format == "channels_last" else channels_last(inputs)
        for axis, s in zip((1, 2), self.size):
            x = ops.repeat(x, s, axis=axis)
        return x if self.data_format == "channels_last" else channels_first(x)

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "data_format": self.data_format,
            "interpolation": self.interpolation,
        }


class UpSampling3D(Layer):
    """Repeats the slices, rows and columns of volumes.

    Args:
        size: int or three ints.
        data_format: "channels_last" or "channels_first".
    """

    def __init__(self, size=(2, 2, 2), data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format, self._label())
        self.size = standardize_tuple(size, 3, "size", self._label())
        self.input_spec = InputSpec(ndim=5)

    def _first(self):
        return 1 if self.data_format == "channels_last" else 2

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        for i, s in enumerate(self.size, self._first()):
            shape[i] = None if shape[i] is None else shape[i] * s
        return tuple(shape)

    def call(self, inputs):
        from maas import ops

        for i, s in enumerate(self.size, self._first()):
            inputs = ops.repeat(inputs, s, axis=i)
        return inputs

    def get_config(self):
        return {**super().get_config(), "size": self.size, "data_format": self.data_format}
