"""`predict` on one small array, again and again: the same answers as any other way, and nothing stale."""

import threading

import numpy as np
import pytest

import maas
from maas import layers

rng = np.random.default_rng(0)
X = rng.normal(size=(8, 5)).astype("float32")


@pytest.fixture
def model():
    maas.utils.set_random_seed(0)
    return maas.Sequential([layers.Input((5,)), layers.Dense(7, activation="relu"), layers.Dense(3)])


def slowly(model, x):
    """As a data set of one batch, which nothing is remembered of."""
    return model.predict(iter([x]), verbose=0)


def same(model, x):
    for _ in range(3):
        np.testing.assert_array_equal(model.predict(x, verbose=0), slowly(model, x))


def test_every_number_of_rows(model):
    for rows in (1, 8, 3, 8):
        same(model, X[:rows])
    long = np.tile(X, (9, 1))
    np.testing.assert_array_equal(model.predict(long, verbose=0), np.tile(model.predict(X, verbose=0), (9, 1)))


@pytest.mark.parametrize(
    "other",
    [X.astype("float64"), X.astype(">f4"), X[:, ::-1], np.asfortranarray(X), X[::2], X.astype("float16")],
    ids=["double", "other bytes", "backwards", "columns", "every second row", "half"],
)
def test_other_arrays_after_it(model, other):
    same(model, X)
    wanted = slowly(model, np.ascontiguousarray(other, "float32"))
    for _ in range(2):
        np.testing.assert_allclose(model.predict(other, verbose=0), wanted, rtol=0, atol=0)
    same(model, X)


def test_what_changes_counts(model):
    same(model, X)
    model.layers[0].set_weights([w + 1 for w in model.layers[0].get_weights()])
    same(model, X)
    model.layers[0].activation = maas.activations.tanh
    wanted = np.tanh(X @ model.layers[0].kernel.numpy() + model.layers[0].bias.numpy())
    wanted = wanted @ model.layers[1].kernel.numpy() + model.layers[1].bias.numpy()
    np.testing.assert_allclose(model.predict(X, verbose=0), wanted, rtol=1e-5, atol=1e-5)
    model.compile("sgd", "mse")
    model.fit(X, np.ones((8, 3)), verbose=0)
    same(model, X)
    model.run_eagerly = True
    same(model, X)


def test_what_is_refused_stays_refused(model):
    same(model, X)
    for wrong in (X[:, :4], X[:0], X[0, 0]):
        with pytest.raises(ValueError):
            model.predict(wrong, verbose=0)
    with pytest.raises(ValueError):
        model.predict(X, batch_size=0, verbose=0)
    same(model, X)


def test_overridden_steps_and_callbacks_are_called(model):
    class Doubling(maas.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x):
            return self.dense(x)

        def predict_step(self, data):
            return 2 * self(data)

    doubling = Doubling()
    for _ in range(3):
        np.testing.assert_allclose(doubling.predict(X, verbose=0), 2 * np.asarray(doubling(X)), rtol=1e-6)

    seen = []

    class Seen(maas.callbacks.Callback):
        def on_predict_batch_end(self, batch, logs=None):
            seen.append(logs["outputs"].shape)

    same(model, X)
    model.predict(X, verbose=0, callbacks=[Seen()])
    assert seen == [(8, 3)]


def test_random_layers_draw_anew(model):
    noisy = maas.Sequential([layers.Input((5,)), layers.Lambda(lambda x: x + maas.random.normal((5,)))])
    first, second, third = (noisy.predict(X, verbose=0) for _ in range(3))
    assert (first != second).any() and (second != third).any()


def test_two_threads_with_arrays_of_two_forms():
    model = maas.Sequential([layers.Input((None, 3)), layers.Dense(4), layers.GlobalAveragePooling1D()])
    arrays = [rng.normal(size=(4, steps, 3)).astype("float32") for steps in (5, 7)]
    wanted = [model.predict(x, verbose=0) for x in arrays]
    failures = []

    def work(x, y):
        try:
            for _ in range(300):
                np.testing.assert_array_equal(model.predict(x, verbose=0), y)
        except Exception as error:  # noqa: BLE001, shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(arrays, wanted)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
