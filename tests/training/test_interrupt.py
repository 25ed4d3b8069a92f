"""Ctrl-C and errors in the middle of fit: the model keeps the weights of the last finished step and goes on working."""

import numpy as np
import pytest

import maas
from tests.training.pair import data, mlp

X, LABELS, _, _ = data()


def compiled():
    model = mlp(maas)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class RaiseAt(maas.callbacks.Callback):
    def __init__(self, error, batch):
        super().__init__()
        self.error, self.batch = error, batch
        self.weights = None

    def on_train_batch_end(self, batch, logs=None):
        self.weights = self.model.get_weights()
        if batch == self.batch:
            raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("broken callback")], ids=repr)
def test_weights_are_those_of_the_last_step(error):
    model = compiled()
    callback = RaiseAt(error, 2)
    with pytest.raises(type(error)):
        model.fit(X, LABELS, batch_size=10, epochs=3, verbose=0, callbacks=[callback])
    for a, b in zip(model.get_weights(), callback.weights):
        np.testing.assert_array_equal(a, b)
    assert np.isfinite(model.fit(X, LABELS, verbose=0).history["loss"][0])


def test_bad_label_in_the_third_batch_leaves_the_second_step():
    labels = LABELS.copy()
    labels[25] = 99
    model, other = compiled(), compiled()
    other.set_weights(model.get_weights())
    with pytest.raises(IndexError, match="99"):
        model.fit(X, labels, batch_size=10, shuffle=False, verbose=0)
    other.fit(X[:20], LABELS[:20], batch_size=10, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), other.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert int(np.asarray(model.optimizer.iterations)) == 2


def test_signal_while_training():
    import _thread
    import threading

    model = compiled()
    timer = threading.Timer(0.5, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, LABELS, epochs=10_000_000, verbose=0)
    timer.join()
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert np.isfinite(model.fit(X, LABELS, verbose=0).history["loss"][0])
