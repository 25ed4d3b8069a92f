"""Whole training runs against real Keras: same weights, same data, no shuffling."""

import keras
import numpy as np
import pytest

import maas
from tests.training.pair import assert_same_history, assert_same_weights, data, mlp, pair, two_outputs


def train(build, compile_options, fit_options, x, y, **build_options):
    ours, theirs = pair(build, **build_options)
    histories = []
    for library, model in ((maas, ours), (keras, theirs)):
        options = {k: v(library) if callable(v) else v for k, v in compile_options.items()}
        model.compile(**options)
        histories.append(model.fit(x, y, shuffle=False, verbose=0, **fit_options))
    assert_same_history(*histories)
    assert_same_weights(ours, theirs)
    return ours, theirs


X, LABELS, ONE_HOT, NUMBERS = data()

RUNS = {
    "sgd": ({"optimizer": "sgd", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}, LABELS),
    "adam": ({"optimizer": "adam", "loss": "categorical_crossentropy", "metrics": ["accuracy", "mse"]}, ONE_HOT),
    "rmsprop": ({"optimizer": "rmsprop", "loss": "mse", "metrics": ["mae", "cosine_similarity"]}, ONE_HOT),
    "adamw": (
        {
            "optimizer": lambda k: k.optimizers.AdamW(0.01, global_clipnorm=0.5),
            "loss": lambda k: k.losses.SparseCategoricalCrossentropy(),
            "metrics": lambda k: [k.metrics.SparseTopKCategoricalAccuracy(2, name="top2")],
        },
        LABELS,
    ),
    "schedule": (
        {
            "optimizer": lambda k: k.optimizers.SGD(
                k.optimizers.schedules.CosineDecay(0.5, 10), momentum=0.9, nesterov=True
            ),
            "loss": "kld",
        },
        ONE_HOT,
    ),
    "accumulated": (
        {
            "optimizer": lambda k: k.optimizers.Adam(0.05, gradient_accumulation_steps=2),
            "loss": "crossentropy",
            "metrics": ["acc"],
        },
        LABELS,
    ),
    "averaged": (
        {"optimizer": lambda k: k.optimizers.Adam(0.05, use_ema=True), "loss": "categorical_crossentropy"},
        ONE_HOT,
    ),
    "precision": (
        {
            "optimizer": "sgd",
            "loss": "binary_crossentropy",
            "metrics": lambda k: [
                k.metrics.Precision(name="precision"),
                k.metrics.Recall(name="recall"),
                k.metrics.AUC(name="auc"),
            ],
        },
        ONE_HOT,
    ),
}


@pytest.mark.parametrize("batch_size", [10, 16], ids=["even", "partial"])
@pytest.mark.parametrize("name", RUNS)
def test_history(name, batch_size):
    options, y = RUNS[name]
    train(mlp, options, {"epochs": 3, "batch_size": batch_size}, X, y)


def test_several_losses_of_one_output_are_added():
    # Keras 3.15 drops all but the first; the oracle is one function that adds them.
    def both(y, p):
        return 0.3 * keras.losses.mean_squared_error(y, p) + 0.7 * keras.losses.mean_absolute_error(y, p)

    ours, theirs = pair()
    ours.compile("sgd", ["mse", "mae"], loss_weights=[0.3, 0.7])
    theirs.compile("sgd", both)
    found = ours.fit(X, ONE_HOT, shuffle=False, epochs=2, verbose=0).history["loss"]
    np.testing.assert_allclose(found, theirs.fit(X, ONE_HOT, shuffle=False, epochs=2, verbose=0).history["loss"], 1e-5)
    assert_same_weights(ours, theirs)


def test_validation_and_regularization():
    x, labels, _, _ = data(30, seed=1)
    train(
        mlp,
        {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]},
        {"epochs": 3, "validation_data": (x, labels), "validation_batch_size": 7},
        X,
        LABELS,
        regularizer="l2",
    )


def test_validation_split_and_frequency():
    options = {"optimizer": "sgd", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    train(mlp, options, {"epochs": 4, "validation_split": 0.3, "validation_freq": 2}, X, LABELS)
    train(mlp, options, {"epochs": 4, "validation_split": 0.3, "validation_freq": [1, 4]}, X, LABELS)


def test_sample_weight():
    weight = np.linspace(0, 2, len(X)).astype("float32")
    options = {
        "optimizer": "sgd",
        "loss": "sparse_categorical_crossentropy",
        "metrics": ["accuracy"],
        "weighted_metrics": ["accuracy", "sparse_categorical_crossentropy"],
    }
    train(mlp, options, {"epochs": 2, "sample_weight": weight}, X, LABELS)


def test_class_weight():
    options = {"optimizer": "sgd", "loss": "sparse_categorical_crossentropy", "weighted_metrics": ["accuracy"]}
    train(mlp, options, {"epochs": 2, "class_weight": {0: 1.0, 1: 3.0}}, X, LABELS)
    train(mlp, {**options, "loss": "mse"}, {"epochs": 2, "class_weight": {0: 0.5, 2: 2.0}}, X, ONE_HOT)


def test_steps_per_epoch_go_on_where_the_last_epoch_stopped():
    options = {"optimizer": "sgd", "loss": "sparse_categorical_crossentropy"}
    train(mlp, options, {"epochs": 3, "batch_size": 10, "steps_per_epoch": 2}, X, LABELS)


def test_initial_epoch():
    train(mlp, {"optimizer": "sgd", "loss": "mse"}, {"epochs": 4, "initial_epoch": 2}, X, ONE_HOT)


TWO = {
    "lists": (
        {
            "loss": ["sparse_categorical_crossentropy", "mse"],
            "metrics": [["accuracy"], ["mae"]],
            "loss_weights": [1.0, 0.2],
        },
        [LABELS, NUMBERS],
    ),
    "dicts": (
        {
            "loss": {"a": "sparse_categorical_crossentropy", "b": "mse"},
            "metrics": {"a": ["accuracy"]},
            "weighted_metrics": {"b": ["mae"]},
        },
        {"a": LABELS, "b": NUMBERS},
    ),
}


@pytest.mark.parametrize("name", TWO)
def test_two_outputs(name):
    options, y = TWO[name]
    ours, theirs = train(two_outputs, {"optimizer": "sgd", **options}, {"epochs": 2}, X, y)
    found = ours.evaluate(X, y, verbose=0, return_dict=True)
    expected = theirs.evaluate(X, y, verbose=0, return_dict=True)
    assert list(found) == list(expected)
    for key in expected:
        assert found[key] == pytest.approx(expected[key], rel=1e-4)
    assert ours.metrics_names == theirs.metrics_names


def test_evaluate_and_predict():
    ours, theirs = pair()
    for model in (ours, theirs):
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    found, expected = (m.evaluate(X, LABELS, batch_size=16, verbose=0) for m in (ours, theirs))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(ours.predict(X, verbose=0), theirs.predict(X, verbose=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(ours.predict(X, verbose=0, batch_size=7), ours.predict(X, verbose=0, batch_size=50))


def test_single_batches():
    ours, theirs = pair()
    for model in (ours, theirs):
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    for start in (0, 10, 20):
        x, y = X[start : start + 10], LABELS[start : start + 10]
        found, expected = ours.train_on_batch(x, y), theirs.train_on_batch(x, y)
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    found = ours.test_on_batch(X, LABELS, return_dict=True)
    assert found == pytest.approx(theirs.test_on_batch(X, LABELS, return_dict=True), rel=1e-4)
    np.testing.assert_allclose(ours.predict_on_batch(X), theirs.predict_on_batch(X), rtol=1e-4, atol=1e-6)


def test_runs_repeat_from_a_seed():
    results = []
    for _ in range(2):
        maas.utils.set_random_seed(3)
        model = mlp(maas)
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(X, LABELS, epochs=2, verbose=0)
        results.append(model.get_weights())
    for a, b in zip(*results):
        np.testing.assert_array_equal(a, b)
