"""Where batches may come from: generators, PyDataset, loaders, dicts, pandas-like arrays."""

import warnings

import numpy as np
import pytest

import maas
from maas.utils import PyDataset
from tests.training.pair import assert_same_weights, data, mlp, pair, two_outputs

X, LABELS, ONE_HOT, NUMBERS = data()


def batches(size=10):
    return [(X[i : i + size], LABELS[i : i + size]) for i in range(0, len(X), size)]


class Numbered(PyDataset):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.begun = self.ended = 0

    def __len__(self):
        return 5

    def __getitem__(self, i):
        return batches()[i]

    def on_epoch_begin(self):
        self.begun += 1

    def on_epoch_end(self):
        self.ended += 1


class Loader:
    """Iterable of batches with a length, like a torch DataLoader."""

    def __len__(self):
        return 5

    def __iter__(self):
        return iter(batches())


class Endless:
    """Iterable without a length."""

    def __iter__(self):
        return iter(batches())


def generator(epochs):
    for _ in range(epochs):
        yield from batches()


SOURCES = {
    "generator": lambda: (generator(2), {"steps_per_epoch": 5}),
    "PyDataset": lambda: (Numbered(), {}),
    "PyDataset threads": lambda: (Numbered(workers=3, max_queue_size=2), {}),
    "loader": lambda: (Loader(), {}),
    "no length": lambda: (Endless(), {}),
}


def reference():
    model = start()
    history = model.fit(X, LABELS, batch_size=10, epochs=2, shuffle=False, verbose=0)
    return model, history.history


def start():
    maas.utils.set_random_seed(5)
    model = mlp(maas)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize("name", SOURCES)
def test_same_as_arrays(name):
    source, options = SOURCES[name]()
    expected, history = reference()
    model = start()
    assert model.fit(source, epochs=2, shuffle=False, verbose=0, **options).history == history
    assert_same_weights(model, expected, rtol=0, atol=0)
    if isinstance(source, Numbered):
        assert (source.begun, source.ended) == (2, 2)
    if name != "generator":
        assert model.evaluate(source, verbose=0) == expected.evaluate(X, LABELS, batch_size=10, verbose=0)
        np.testing.assert_array_equal(model.predict(source, verbose=0), expected.predict(X, batch_size=10, verbose=0))


def test_generator_that_runs_dry():
    model = start()
    with pytest.warns(UserWarning, match="ran out"):
        history = model.fit(generator(1), steps_per_epoch=5, epochs=1, verbose=0)
        model.fit(generator(1), steps_per_epoch=7, epochs=1, verbose=0)
    assert len(history.history["loss"]) == 1


def test_validation_sources():
    model = start()
    history = model.fit(X, LABELS, validation_data=Numbered(), epochs=2, verbose=0)
    assert len(history.history["val_loss"]) == 2


def test_foreign_tensors():
    model = start()

    class Tensor:
        """Anything with __array__."""

        def __init__(self, a):
            self.a = a
            self.shape = a.shape

        def __array__(self, dtype=None, copy=None):
            return self.a

    expected, history = reference()
    assert model.fit(Tensor(X), Tensor(LABELS), batch_size=10, epochs=2, shuffle=False, verbose=0).history == history


def test_dicts_by_input_name():
    ours, theirs = pair(two_outputs)
    for model in (ours, theirs):
        model.compile("sgd", {"a": "sparse_categorical_crossentropy", "b": "mse"})
        model.fit({"x": X}, {"a": LABELS, "b": NUMBERS}, verbose=0, shuffle=False)
    assert_same_weights(ours, theirs)
    found, expected = ours.predict({"x": X}, verbose=0), theirs.predict({"x": X}, verbose=0)
    assert len(found) == len(expected) == 2
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_batches_of_other_sizes_share_a_program():
    model = start()
    sizes = [(X[:n], LABELS[:n]) for n in (3, 50, 1, 17)]
    model.fit((b for b in sizes), verbose=0)
    assert len(model._step_cache._steps) == 1


@pytest.mark.parametrize(
    "passes, options, epochs",
    [(1, {}, 1), (1, {"steps_per_epoch": 5}, 1), (3, {"steps_per_epoch": 5}, 3), (1, {"steps_per_epoch": 2}, 3)],
)
def test_an_ended_generator_stops_training_and_keeps_the_history(passes, options, epochs):
    model, calls = start(), []

    class Recorder(maas.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            calls.append(("begin", epoch))

        def on_epoch_end(self, epoch, logs=None):
            calls.append(("end", epoch))

        def on_train_end(self, logs=None):
            calls.append(("train end", sorted(logs)))

    with pytest.warns(UserWarning, match=f"training stops after {epochs} of 4 epochs: a generator is read once"):
        history = model.fit(
            generator(passes), epochs=4, validation_data=(X, LABELS), callbacks=[Recorder()], verbose=0, **options
        )
    assert history.epoch == list(range(epochs)) and len(history.history["val_loss"]) == epochs
    assert calls[:-1] == [(what, epoch) for epoch in range(epochs) for what in ("begin", "end")]
    assert calls[-1] == ("train end", ["accuracy", "loss", "val_accuracy", "val_loss"])
    # No batch was lost and none came twice.
    expected = start()
    expected.fit(X, LABELS, batch_size=10, epochs=passes, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), expected.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_an_ended_generator_of_validation_data_stops_validation():
    with pytest.warns(UserWarning, match="validation stops after 1 of 3 epochs"):
        history = start().fit(X, LABELS, validation_data=generator(1), epochs=3, verbose=0).history
    assert len(history["loss"]) == 3 and len(history["val_loss"]) == 1


def test_a_generator_that_lasts_gives_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = start().fit(generator(3), steps_per_epoch=5, epochs=3, verbose=0)
    assert history.epoch == [0, 1, 2]
