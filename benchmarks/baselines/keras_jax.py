"""Keras on its jax backend."""

import importlib.util
import os

from benchmarks.baselines import keras_program


def available():
    return all(importlib.util.find_spec(name) for name in ("keras", "jax"))


def _keras(threads):
    os.environ.update(
        KERAS_BACKEND="jax", OMP_NUM_THREADS=str(threads), TF_NUM_INTRAOP_THREADS=str(threads), TF_CPP_MIN_LOG_LEVEL="2"
    )
    import keras

    return keras


def infer(net, weights, x, threads):
    import numpy as np

    model = keras_program.build(_keras(threads), net, weights)
    return lambda: np.asarray(model.predict_on_batch(x))


def train(net, weights, x, y, batch, threads):
    return keras_program.trainer(_keras(threads), net, weights, x, y, batch)
