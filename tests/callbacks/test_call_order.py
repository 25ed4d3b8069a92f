"""The order of callback calls and the logs they get, against real Keras on the same script."""

import keras
import numpy as np
import pytest

import maas
from tests.training.pair import data, pair

X, LABELS, _, _ = data()
METHODS = [
    f"on_{where}_{when}"
    for where in ("epoch", "train_batch", "test_batch", "predict_batch", "train", "test", "predict")
    for when in ("begin", "end")
]


def recorder(library):
    """A callback that writes down every call: name, number, names of the logs."""
    calls = []

    class Recorder(library.callbacks.Callback):
        def set_params(self, params):
            super().set_params(params)
            calls.append(("params", params["epochs"], params["steps"], params["verbose"]))

        def set_model(self, model):
            super().set_model(model)
            calls.append(("model",))

    def method(name):
        def call(self, *args, logs=None):
            if len(args) > 1 or (args and isinstance(args[-1], dict)) or (args and args[-1] is None):
                args, logs = args[:-1], args[-1]
            calls.append((name, *args, sorted(logs or {})))

        return call

    for name in METHODS:
        setattr(Recorder, name, method(name))
    return Recorder(), calls


def record(run, **compile_options):
    found = []
    for library, model in zip((maas, keras), pair()):
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], **compile_options)
        callback, calls = recorder(library)
        run(model, callback)
        found.append(calls)
    return found


RUNS = {
    "fit": lambda m, c: m.fit(X, LABELS, epochs=2, batch_size=20, verbose=0, callbacks=[c]),
    "fit and validate": lambda m, c: m.fit(
        X, LABELS, epochs=2, batch_size=20, verbose=0, callbacks=[c], validation_data=(X, LABELS), validation_freq=2
    ),
    "evaluate": lambda m, c: m.evaluate(X, LABELS, batch_size=20, verbose=0, callbacks=[c]),
    "predict": lambda m, c: m.predict(X, batch_size=20, verbose=0, callbacks=[c]),
    "steps": lambda m, c: m.fit(X, LABELS, epochs=2, batch_size=10, steps_per_epoch=3, verbose=0, callbacks=[c]),
}


@pytest.mark.parametrize("name", RUNS)
def test_calls(name):
    ours, theirs = record(RUNS[name])
    assert ours == theirs


def test_batch_logs_are_those_of_the_epoch_so_far():
    values = []
    for library, model in zip((maas, keras), pair()):
        seen = []
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        callback = library.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs, seen=seen: seen.append(logs))
        model.fit(X, LABELS, batch_size=16, epochs=2, shuffle=False, verbose=0, callbacks=[callback])
        values.append([[logs["accuracy"], logs["loss"]] for logs in seen])
    np.testing.assert_allclose(*values, rtol=1e-4)


def test_old_batch_names():
    for library, model in zip((maas, keras), pair()):
        seen = []

        class Old(library.callbacks.Callback):
            def on_batch_begin(self, batch, logs=None):
                seen.append(("begin", batch))  # noqa: B023

            def on_batch_end(self, batch, logs=None):
                seen.append(("end", batch, sorted(logs)))  # noqa: B023

        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(X, LABELS, batch_size=25, verbose=0, callbacks=[Old()])
        assert seen == [("begin", 0), ("end", 0, ["loss"]), ("begin", 1), ("end", 1, ["loss"])]


def test_order_of_several():
    seen = []

    class Named(maas.callbacks.Callback):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def on_epoch_end(self, epoch, logs=None):
            seen.append((self.name, dict(logs)))
            logs[self.name] = 1.0

    model, _ = pair()
    model.compile("sgd", "sparse_categorical_crossentropy")
    history = model.fit(X, LABELS, verbose=0, callbacks=[Named("a"), Named("b")])
    assert [name for name, _ in seen] == ["a", "b"]
    assert "a" in seen[1][1]
    assert history.history["a"] == history.history["b"] == [1.0]


def test_stop_training_in_the_middle_of_an_epoch():
    lengths = []
    for library, model in zip((maas, keras), pair()):
        seen = []

        class Stop(library.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                seen.append(batch)  # noqa: B023
                if batch == 1:
                    self.model.stop_training = True

        model.compile("sgd", "sparse_categorical_crossentropy")
        history = model.fit(X, LABELS, batch_size=10, epochs=5, verbose=0, callbacks=[Stop()])
        lengths.append((seen, len(history.history["loss"])))
    assert lengths[0] == lengths[1] == ([0, 1], 1)
    model = pair()[0]
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert len(model.fit(X, LABELS, epochs=2, verbose=0).history["loss"]) == 2
