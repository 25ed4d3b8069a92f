"""`maas.random`: random tensors that depend on a seed alone, with the names of `keras.random`.

Every number is a function of (seed, step, position), so a seed gives the same values on every machine and with any
number of threads. A `SeedGenerator` moves its step on at each draw; an int seed gives the same values at each call.
"""

from maas import missing_names
from maas.random.draws import categorical, dropout, normal, randint, shuffle, truncated_normal, uniform
from maas.random.seed_generator import SeedGenerator, draw_seed, make_default_seed, set_global_seed
from maas.random.shaped import beta, binomial, gamma

__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "draw_seed",
    "dropout",
    "gamma",
    "make_default_seed",
    "normal",
    "randint",
    "set_global_seed",
    "shuffle",
    "truncated_normal",
    "uniform",
]

__getattr__ = missing_names.getattr_of(__name__)
