"""Several threads on one model and on several: nobody waits for ever, nobody reads half an update."""

import threading
import time

import numpy as np

import maas
from maas import layers


def _model():
    model = maas.Sequential([layers.Input((32,)), layers.Dense(256, activation="relu"), layers.Dense(4)])
    model.compile(optimizer="adam", loss="mse")
    return model


def _in_threads(functions, seconds=60):
    errors = []

    def guard(f):
        try:
            f()
        except Exception as error:  # noqa: BLE001, reported below
            errors.append(error)

    threads = [threading.Thread(target=guard, args=(f,), daemon=True) for f in functions]
    for t in threads:
        t.start()
    for t in threads:
        t.join(seconds)
    assert not any(t.is_alive() for t in threads), "a thread still waits"
    assert not errors, errors


def test_calls_reads_and_writes_while_another_thread_trains():
    model, rng = _model(), np.random.default_rng(0)
    x, y = rng.normal(size=(4096, 32)).astype("float32"), rng.normal(size=(4096, 4)).astype("float32")
    model.fit(x[:256], y[:256], batch_size=256, verbose=0)
    stop = time.time() + 3

    def train():
        while time.time() < stop:
            model.fit(x, y, batch_size=2048, epochs=1, verbose=0)

    def call():
        row = x[:1].copy()
        while time.time() < stop:
            assert np.isfinite(model(row).numpy()).all()

    def read():
        while time.time() < stop:
            assert all(np.isfinite(w).all() for w in model.get_weights())
            model.layers[-1].bias.assign(model.layers[-1].bias.numpy())

    _in_threads([train, call, call, read])


def test_an_answer_comes_from_one_version_of_the_weights():
    layer = layers.Dense(3, use_bias=False)
    model = maas.Sequential([layers.Input((5,)), layer])
    layer.set_weights([np.zeros((5, 3), "float32")])
    x, stop = np.ones((2, 5), "float32"), time.time() + 1.5
    seen = set()

    def write():
        k = 0
        while time.time() < stop:
            layer.set_weights([np.full((5, 3), float(k % 7), "float32")])
            k += 1

    def call():
        while time.time() < stop:
            y = model(x).numpy()
            assert (y == y[0, 0]).all(), y
            seen.add(float(y[0, 0]))

    _in_threads([write, call, call])
    assert seen <= {5.0 * k for k in range(7)}


def test_programs_that_share_some_variables_run_together():
    shared = layers.Dense(4)
    models = [maas.Sequential([layers.Input((4,)), shared, layers.Dense(2)]) for _ in range(4)]
    x = np.ones((3, 4), "float32")
    expected = [m(x).numpy() for m in models]

    def call(i):
        def run():
            for _ in range(300):
                np.testing.assert_array_equal(models[i](x).numpy(), expected[i])

        return run

    _in_threads([call(i) for i in range(4)] * 2)


def test_predict_during_fit():
    """Every batch of a prediction is computed with one version of the weights, whatever fit does meanwhile."""
    model, rng = _model(), np.random.default_rng(1)
    x, y = rng.normal(size=(2048, 32)).astype("float32"), rng.normal(size=(2048, 4)).astype("float32")
    same = np.repeat(x[:1], 96, axis=0)
    stop = time.time() + 2
    before, steps, answers = model.predict(same, verbose=0), [], []

    def train():
        while time.time() < stop:
            model.fit(x, y, batch_size=64, epochs=1, verbose=0)
            steps.append(1)

    def predict(size):
        def run():
            while time.time() < stop:
                parts = np.split(model.predict(same, batch_size=size, verbose=0), 96 // size)
                assert all((part == part[0]).all() for part in parts)
                answers.append(parts[0][0])

        return run

    _in_threads([train, predict(96), predict(32), predict(8)])
    assert steps and len({a.tobytes() for a in answers}) > 1
    assert not (model.predict(same, verbose=0) == before).all()


def test_several_models_train_at_once_as_each_does_alone():
    def history(seed):
        maas.utils.set_random_seed(0)
        rng = np.random.default_rng(seed)
        model = _model()
        model.set_weights([rng.normal(size=w.shape).astype("float32") / 10 for w in model.get_weights()])
        x, y = rng.normal(size=(700, 32)).astype("float32"), rng.normal(size=(700, 4)).astype("float32")
        losses = model.fit(x, y, batch_size=48, epochs=4, shuffle=False, verbose=0).history["loss"]
        return losses, model.predict(x, verbose=0)

    alone, together = [history(seed) for seed in range(4)], {}
    _in_threads([lambda seed=seed: together.update({seed: history(seed)}) for seed in range(4)])
    for seed in range(4):
        assert together[seed][0] == alone[seed][0]
        np.testing.assert_array_equal(together[seed][1], alone[seed][1])
