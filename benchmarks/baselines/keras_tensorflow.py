"""Keras on its tensorflow backend, as users call it."""

import importlib.util
import os

from benchmarks.baselines import keras_program


def available():
    return all(importlib.util.find_spec(name) for name in ("keras", "tensorflow"))


def backend(threads):
    os.environ.update(
        KERAS_BACKEND="tensorflow",
        OMP_NUM_THREADS=str(threads),
        TF_NUM_INTRAOP_THREADS=str(threads),
        TF_CPP_MIN_LOG_LEVEL="2",
    )
    import keras

    return keras


def infer(net, threads, program):
    return keras_program.predict(backend(threads), net)


def train(net, x, y, batch, threads):
    return keras_program.trainer(backend(threads), net, x, y, batch)
