"""`SeedGenerator`: a seed and the number of draws made from it, as state that models save and programs advance."""

import random as python_random

import numpy as np

from maas import _core

_global = None


def make_default_seed():
    """A seed from Python's `random`, which `maas.utils.set_random_seed` sets."""
    return python_random.randint(1, int(1e9))


class SeedGenerator:
    """State of a random stream: (seed, step). Every draw uses the next step.

    Args:
        seed: int in [0, 2^32); None takes one from Python's `random`.
        name: str; automatic by default.

    Raises:
        ValueError: if the seed is not such an int.
    """

    def __init__(self, seed=None, name=None, **kwargs):
        from maas.backend.naming import auto_name
        from maas.backend.variable import Variable

        kwargs.pop("backend", None)
        if kwargs:
            raise ValueError(f"SeedGenerator: unknown argument, received {', '.join(kwargs)}")
        seed = make_default_seed() if seed is None else seed
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
            raise ValueError(f"SeedGenerator: `seed` must be an int in [0, 2**32), received seed={seed!r}")
        self.name = name or auto_name("seed_generator")
        self._initial_seed = int(seed)
        self.state = Variable(
            np.array([seed, 0], "uint32"), dtype="uint32", trainable=False, name="seed_generator_state"
        )
        self.state.path = f"{self.name}/seed_generator_state"

    def next(self, ordered=True):
        """The state of the next draw, two integers; inside a trace the program advances the state when it runs."""
        value = self.state.value
        if value.is_symbolic:
            step = np.array([0, 1], "uint32")
            following = value + step if ordered else (value + np.array([1, 1], "uint32")) * 5387 % 933199
            self.state.assign(_core.cast(following, dtype="uint32"))
            return value
        now = value.numpy()
        wide = now.astype("uint64")
        wide = wide + np.array([0, 1], "uint64") if ordered else (wide + 1) * 5387 % 933199
        self.state.assign(wide.astype("uint32"))
        return _core.Tensor(now)

    def get_config(self):
        return {"seed": self._initial_seed}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def global_seed_generator():
    """The generator of draws without a seed."""
    global _global
    if _global is None:
        _global = SeedGenerator()
    return _global


def set_global_seed(seed):
    """Starts the draws without a seed anew from `seed`."""
    global _global
    _global = SeedGenerator(seed)


def draw_seed(seed):
    """(seed, step) of one draw: from a SeedGenerator, an int, None (the global one), or a tensor of two integers."""
    if hasattr(seed, "next"):
        return seed.next()
    if seed is None:
        return global_seed_generator().next()
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
        return _core.Tensor(np.array([seed, 0], "int64"))
    if isinstance(seed, _core.Tensor) or (isinstance(seed, np.ndarray) and seed.dtype.kind in "iu"):
        return seed
    raise ValueError(f"`seed` must be an int, a SeedGenerator or None, received seed={seed!r}")
