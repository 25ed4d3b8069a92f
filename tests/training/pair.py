"""The same model twice: real Keras and maas, with the same weights; and data for it."""

import keras
import numpy as np

import maas


def mlp(library, classes=3, last="softmax", regularizer=None):
    """A small classifier: 5 inputs, 7 hidden units."""
    return library.Sequential(
        [
            library.Input((5,)),
            library.layers.Dense(7, activation="tanh", kernel_regularizer=regularizer, name="hidden"),
            library.layers.Dense(classes, activation=last, name="out"),
        ]
    )


def two_outputs(library):
    """One input, outputs "a" (classes) and "b" (a number)."""
    x = library.Input((5,), name="x")
    h = library.layers.Dense(6, activation="tanh", name="h")(x)
    a = library.layers.Dense(3, activation="softmax", name="a")(h)
    b = library.layers.Dense(1, name="b")(h)
    return library.Model(x, [a, b])


def pair(build=mlp, seed=0, **options):
    """(maas model, Keras model) with equal weights."""
    theirs = build(keras, **options)
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=w.shape).astype("float32") * 0.5 for w in theirs.get_weights()]
    theirs.set_weights(weights)
    ours = build(maas, **options)
    ours.set_weights(weights)
    return ours, theirs


def data(n=50, seed=0):
    """(x, class numbers, one-hot rows, numbers)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)).astype("float32")
    labels = (x.sum(-1) > 0).astype("int64") + (x[:, 0] > 0.5)
    return x, labels, np.eye(3, dtype="float32")[labels], x[:, :1] * 2 + 1


def assert_same_history(ours, theirs, rtol=1e-4, atol=1e-5):
    """Equal keys in equal order, equal values for every epoch."""
    assert list(ours.history) == list(theirs.history)
    assert ours.epoch == theirs.epoch
    for name, expected in theirs.history.items():
        np.testing.assert_allclose(ours.history[name], expected, rtol=rtol, atol=atol, err_msg=name)


def assert_same_weights(ours, theirs, rtol=1e-4, atol=1e-5):
    """Equal weights, one by one."""
    for a, b in zip(ours.get_weights(), theirs.get_weights()):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)
