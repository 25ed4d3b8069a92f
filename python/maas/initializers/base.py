"""Base of initializers. A subclass draws with NumPy (`draw`), so that variables can be made anywhere, also inside a
trace.
"""

import random as python_random

import numpy as np

from maas.backend.objects import Configurable
from maas.backend.standardize import numpy_dtype, standardize_dtype


class Initializer(Configurable):
    """Callable `initializer(shape, dtype=None) -> tensor` that gives a variable its first value."""

    def __call__(self, shape, dtype=None):
        from maas import ops

        return ops.convert_to_tensor(initial_value(self, shape, standardize_dtype(dtype)), standardize_dtype(dtype))

    def draw(self, shape, dtype):
        """The value as a NumPy array."""
        raise NotImplementedError(f"{type(self).__name__} must implement `__call__(shape, dtype)`")

    def clone(self):
        return self.__class__.from_config(self.get_config())


class RandomInitializer(Initializer):
    """Base of initializers that draw random numbers (Philox; the same seed always gives the same values).

    Args:
        seed: int, a `SeedGenerator`, or None. With an int or None every call of this object returns the same values;
            None takes a seed from Python's `random`, which `maas.utils.set_random_seed` sets.
    """

    def __init__(self, seed=None):
        self._config_seed = seed
        if seed is None:
            seed = python_random.randint(1, int(1e9))
        elif isinstance(seed, dict):
            from maas.saving.serialization import deserialize_keras_object

            seed = deserialize_keras_object(seed)
        elif not isinstance(seed, (int, np.integer)) and not hasattr(seed, "next"):
            raise ValueError(
                f"{type(self).__name__}: `seed` must be an int, a SeedGenerator or None, received {seed!r}"
            )
        self.seed = seed

    def generator(self):
        """NumPy generator for one draw."""
        if hasattr(self.seed, "next"):
            key = int(np.asarray(self.seed.next()).astype(np.uint64).sum())
        else:
            key = int(self.seed) & 0xFFFFFFFFFFFFFFFF
        return np.random.Generator(np.random.Philox(key=key))

    def get_config(self):
        seed = self._config_seed
        if hasattr(seed, "next"):
            from maas.saving.serialization import serialize_keras_object

            seed = serialize_keras_object(seed)
        return {"seed": seed}


def truncated_normal(generator, shape, mean, stddev):
    """Normal values of which those beyond two standard deviations are drawn again."""
    x = generator.standard_normal(shape)
    bad = np.abs(x) > 2
    while bad.any():
        x[bad] = generator.standard_normal(int(bad.sum()))
        bad = np.abs(x) > 2
    return mean + stddev * x


def initial_value(initializer, shape, dtype):
    """First value of a variable as an array: by `draw` for our initializers, else by calling `initializer(shape,
    dtype)`.

    Raises:
        ValueError: if the initializer returns another shape.
    """
    shape = tuple(shape)
    own_call = not isinstance(initializer, Initializer) or type(initializer).__call__ is not Initializer.__call__
    if own_call:
        value = _call(initializer, shape, dtype)
    else:
        value = np.asarray(initializer.draw(shape, dtype), dtype=numpy_dtype(dtype))
    if tuple(value.shape) != shape:
        raise ValueError(f"initializer {initializer!r} must return shape {shape}, received {tuple(value.shape)}")
    return value


def _call(initializer, shape, dtype):
    from maas import _core

    if not _core.is_tracing():
        return _call_eagerly(initializer, shape, dtype)
    # Weights of a layer may be made while the layer is traced; the value must be an array all the same.
    with _core.Trace() as trace:
        value = _call_eagerly(initializer, shape, dtype)
        if not getattr(value, "is_symbolic", False):
            return value
        from maas import ops

        # A program returns what depends on an input; constants alone are only prepared.
        zero = trace.input((), dtype="float32", name="zero")
        program = trace.compile([ops.add(value, ops.cast(zero, value.dtype))])
    return program(np.zeros((), "float32"))[0]


def _call_eagerly(initializer, shape, dtype):
    try:
        return initializer(shape, dtype=dtype)
    except TypeError as first:
        # A callable without a dtype argument.
        try:
            return initializer(shape)
        except TypeError:
            raise first from None
