"""Each callback against real Keras, driven by the same logs."""

import csv
import subprocess
import sys

import keras
import numpy as np
import pytest

import maas
from maas import callbacks
from tests.training.pair import data, pair

X, LABELS, _, _ = data()


class Optimizer:
    def __init__(self, rate):
        self.learning_rate = np.float32(rate)


class Metrics:
    """What a model's metrics look like to a callback."""

    def __init__(self, *metrics):
        self.metrics = metrics
        self.name = "compile_metrics"


class FakeModel:
    """Enough of a model for a callback that looks at logs."""

    def __init__(self, library):
        self.optimizer = Optimizer(0.5)
        self.stop_training = False
        self.weights, self.saved = 0, []
        self.metrics = [] if library is keras else [Metrics(library.metrics.Accuracy(name="accuracy"))]
        if library is keras:
            from keras.src.trainers.compile_utils import MetricsList

            self.metrics = [MetricsList([keras.metrics.Accuracy(name="accuracy")])]

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights

    def save(self, path, overwrite=True):
        self.saved.append(path)

    save_weights = save


def drive(library, make, epochs, batches=0):
    """Runs a callback over logs; returns the model and what the callback knows."""
    callback, model = make(library.callbacks), FakeModel(library)
    callback.set_model(model)
    callback.on_train_begin()
    seen = []
    for epoch, logs in enumerate(epochs):
        callback.on_epoch_begin(epoch)
        for batch in range(batches):
            callback.on_train_batch_end(batch, dict(logs))
        model.weights = epoch
        logs = dict(logs)
        callback.on_epoch_end(epoch, logs)
        seen.append((logs, model.stop_training, float(model.optimizer.learning_rate)))
        if model.stop_training:
            break
    callback.on_train_end()
    return seen, model.weights, model.saved


LOSSES = [{"val_loss": v, "accuracy": a} for v, a in zip([3, 2, 1, 1.5, 1.2, 0.9, 1, 1, 1, 1], np.linspace(0, 1, 10))]
NANS = [{"val_loss": float("nan")}] * 4
DOWN = [{"val_loss": 1.0, "accuracy": a} for a in (0.1, 0.5, 0.4, 0.3, 0.2, 0.6)]

CASES = {
    "stop": lambda c: c.EarlyStopping(patience=2),
    "stop at once": lambda c: c.EarlyStopping(),
    "stop and restore": lambda c: c.EarlyStopping(patience=1, restore_best_weights=True),
    "stop by accuracy": lambda c: c.EarlyStopping("accuracy", patience=1, restore_best_weights=True),
    "stop min_delta": lambda c: c.EarlyStopping(patience=1, min_delta=0.7),
    "stop baseline": lambda c: c.EarlyStopping(patience=2, baseline=0.95, restore_best_weights=True),
    "stop late": lambda c: c.EarlyStopping(patience=1, start_from_epoch=4),
    "stop max": lambda c: c.EarlyStopping("val_loss", mode="max", patience=1),
    "plateau": lambda c: c.ReduceLROnPlateau(patience=1, factor=0.5),
    "plateau cooldown": lambda c: c.ReduceLROnPlateau(patience=1, factor=0.5, cooldown=2),
    "plateau min_lr": lambda c: c.ReduceLROnPlateau(patience=1, factor=0.1, min_lr=0.2),
    "scheduler": lambda c: c.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
    "scheduler of epoch": lambda c: c.LearningRateScheduler(lambda epoch: 1.0 / (1 + epoch)),
    "checkpoint": lambda c: c.ModelCheckpoint("m_{epoch:02d}_{val_loss:.2f}.keras"),
    "checkpoint best": lambda c: c.ModelCheckpoint("best.keras", save_best_only=True),
    "checkpoint accuracy": lambda c: c.ModelCheckpoint(
        "b{epoch}.weights.h5", "accuracy", save_best_only=True, save_weights_only=True
    ),
    "checkpoint threshold": lambda c: c.ModelCheckpoint(
        "b{epoch}.h5", save_best_only=True, initial_value_threshold=1.1
    ),
    "checkpoint batches": lambda c: c.ModelCheckpoint("b{epoch}_{batch}.keras", save_freq=4),
}  # fmt: skip


@pytest.mark.parametrize("logs", [LOSSES, NANS, DOWN], ids=["falling", "nan", "flat"])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore")
def test_same_as_keras(name, logs, tmp_path, monkeypatch):
    if "accuracy" in name and logs is NANS:
        logs = [{"accuracy": float("nan")}] * 4
    monkeypatch.chdir(tmp_path)
    assert repr(drive(maas, CASES[name], logs, batches=3)) == repr(drive(keras, CASES[name], logs, batches=3))


def test_unknown_direction():
    callback = callbacks.EarlyStopping("val_nonsense")
    callback.set_model(FakeModel(maas))
    with pytest.raises(ValueError, match="received monitor='val_nonsense'"):
        callback.on_epoch_end(0, {"val_nonsense": 1.0})


def test_missing_metric_is_a_warning():
    callback = callbacks.EarlyStopping("val_loss")
    callback.set_model(FakeModel(maas))
    with pytest.warns(UserWarning, match="received loss"):
        callback.on_epoch_end(0, {"loss": 1.0})


@pytest.mark.parametrize(
    "make",
    [
        lambda: callbacks.ModelCheckpoint("model.txt"),
        lambda: callbacks.ModelCheckpoint("model.keras", save_weights_only=True),
        lambda: callbacks.ModelCheckpoint("model.keras", save_freq="batch"),
        lambda: callbacks.ReduceLROnPlateau(factor=1.5),
        lambda: callbacks.LambdaCallback(on_nonsense=print),
    ],
)
def test_wrong_options(make):
    with pytest.raises(ValueError, match="received"):
        make()


def test_checkpoint_names_an_unknown_log(tmp_path):
    callback = callbacks.ModelCheckpoint(str(tmp_path / "{nonsense}.keras"))
    callback.set_model(FakeModel(maas))
    with pytest.raises(KeyError, match="nonsense"):
        callback.on_epoch_end(0, {"loss": 1.0})


def test_csv_logger(tmp_path):
    rows = []
    for library, model in zip((maas, keras), pair()):
        path = tmp_path / f"{library.__name__}.csv"
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        for append in (False, True):
            logger = library.callbacks.CSVLogger(str(path), append=append)
            model.fit(X, LABELS, epochs=2, verbose=0, shuffle=False, callbacks=[logger], validation_data=(X, LABELS))
        rows.append(list(csv.reader(path.read_text().splitlines())))
    ours, theirs = rows
    assert ours[0] == theirs[0]
    np.testing.assert_allclose(np.array(ours[1:], float), np.array(theirs[1:], float), rtol=1e-3)


def test_terminate_on_nan():
    model, _ = pair()
    model.compile("sgd", "mse")
    x = np.full((4, 5), np.inf, "float32")
    history = model.fit(x, np.ones((4, 3)), epochs=5, verbose=0, callbacks=[callbacks.TerminateOnNaN()])
    assert len(history.history["loss"]) == 1
    with pytest.raises(RuntimeError, match="received loss=nan at batch 0"):
        model.fit(x, np.ones((4, 3)), epochs=5, verbose=0, callbacks=[callbacks.TerminateOnNaN(raise_error=True)])


def test_early_stopping_in_fit():
    lengths = []
    for library, model in zip((maas, keras), pair()):
        model.compile(library.optimizers.SGD(2.0, momentum=0.9), "sparse_categorical_crossentropy")
        stop = library.callbacks.EarlyStopping(patience=1, restore_best_weights=True)
        options = {"validation_data": (X[30:], LABELS[30:]), "callbacks": [stop], "shuffle": False}
        history = model.fit(X[:30], LABELS[:30], epochs=20, verbose=0, **options)
        lengths.append(len(history.history["loss"]))
        best = min(history.history["val_loss"])
        assert model.evaluate(X[30:], LABELS[30:], verbose=0) == pytest.approx(best, rel=1e-4)
    assert lengths[0] == lengths[1] < 20


def test_custom_callback_list():
    model, _ = pair()
    model.compile("sgd", "sparse_categorical_crossentropy")
    chain = callbacks.CallbackList([], add_history=True, model=model, epochs=1, steps=2, verbose=0)
    model.fit(X, LABELS, callbacks=chain)
    assert model.history.history["loss"]


def test_importing_the_callbacks_imports_no_network():
    program = "import sys, maas.models; print([m for m in ('urllib.request', 'ssl', 'email') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
