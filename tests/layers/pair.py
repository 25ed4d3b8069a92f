"""A layer of ours beside the same layer of real Keras: same config, same weights, same outputs."""

import json

import keras
import numpy as np

from maas import layers, tree
from maas.backend.naming import reset_uids


def fresh_names():
    """Both libraries number their layers from the start again."""
    reset_uids()
    keras.utils.clear_session()


def plain(config):
    """A config as it looks in a file: tuples become lists."""
    return json.loads(json.dumps(config))


def config_of(layer, lib):
    """Config dict with `lib`'s serialization."""
    return plain(lib.saving.serialize_keras_object(layer))


def random_weights(weights, seed=0):
    """Values for every weight, so that zeros and ones of initializers hide nothing; variances are positive."""
    rng = np.random.default_rng(seed)
    values = []
    for w in weights:
        if "int" in str(w.dtype):
            values.append(np.asarray(w))
            continue
        v = rng.normal(size=tuple(w.shape)).astype("float32") * 0.5
        values.append(np.abs(v) + 0.1 if "variance" in w.name else v)
    return values


MANY_INPUTS = frozenset(
    "Add Subtract Multiply Average Maximum Minimum Concatenate Dot Attention AdditiveAttention".split()
)


def call(layer, inputs, **kwargs):
    """Call with the inputs as the layer takes them: one, a list, or query and value."""
    if type(layer).__name__ in ("MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention"):
        return layer(*inputs, **kwargs)
    return layer(list(inputs) if type(layer).__name__ in MANY_INPUTS else inputs[0], **kwargs)


def assert_outputs_close(ours, theirs, eps=32):
    """Equal within `eps` float32 epsilons of the largest value."""
    a, b = tree.flatten(ours), keras.tree.flatten(theirs)
    assert len(a) == len(b)
    for x, y in zip(a, b):
        x, y = np.asarray(x), np.asarray(y)
        assert x.shape == y.shape
        assert x.dtype == y.dtype
        if x.dtype == bool or "int" in x.dtype.name:
            np.testing.assert_array_equal(x, y)
            continue
        bound = eps * np.finfo("float32").eps * max(1.0, float(np.abs(y).max(initial=0)))
        np.testing.assert_allclose(x, y, rtol=0, atol=bound)


def make_pair(make):
    """`make(layers)` for ours and for Keras's."""
    fresh_names()
    return make(layers), make(keras.layers)
