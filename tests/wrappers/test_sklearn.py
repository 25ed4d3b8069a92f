"""Models as estimators, in scikit-learn's own checks, cross-validation, grid search and pipelines."""

import warnings

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import maas
from maas.wrappers import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer

X, Y = load_iris(return_X_y=True)


def classifier(X, y, units=8, lib=maas):
    model = lib.Sequential(
        [lib.layers.Input((X.shape[1],)), lib.layers.Dense(units, "relu"), lib.layers.Dense(y.shape[1], "softmax")]
    )
    model.compile(lib.optimizers.Adam(0.02), "categorical_crossentropy")
    return model


def regressor(X, y):
    model = maas.Sequential([maas.layers.Input((X.shape[1],)), maas.layers.Dense(y.shape[1])])
    model.compile(maas.optimizers.Adam(0.05), "mse")
    return model


# As Keras's own: these ask for the same bits from every fit, for weights of 0 to drop rows, or for all classes to be
# found by a model that has seen almost nothing.
UNFIT = {
    "check_classifiers_one_label_sample_weights", "check_classifiers_classes", "check_classifier_data_not_an_array",
    "check_supervised_y_2d", "check_fit_idempotent", "check_classifiers_train", "check_regressor_data_not_an_array",
    "check_regressors_int",
}  # fmt: skip


@pytest.mark.parametrize("estimator", [
    SKLearnClassifier(classifier, fit_kwargs={"epochs": 3}), SKLearnRegressor(regressor), SKLearnTransformer(regressor),
], ids=lambda e: type(e).__name__)  # fmt: skip
def test_the_checks_of_scikit_learn(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = dict.fromkeys(UNFIT, "not for models that are trained by chance")
        results = check_estimator(estimator, expected_failed_checks=expected, on_fail=None, on_skip=None)
    failed = [f"{r['check_name']}: {r['exception']}" for r in results if r["status"] == "failed"]
    assert not failed and sum(r["status"] == "passed" for r in results) > 30


def test_classifier_beside_keras():
    predictions = []
    for lib in (maas, keras):

        def start(X, y, lib=lib):
            model = classifier(X, y, lib=lib)
            rng = np.random.default_rng(0)
            model.set_weights([rng.normal(size=w.shape).astype("float32") * 0.3 for w in model.get_weights()])
            return model

        estimator = lib.wrappers.SKLearnClassifier(start, fit_kwargs={"epochs": 3, "shuffle": False, "verbose": 0})
        estimator.fit(X, Y)
        found = estimator.predict(X)
        assert estimator.decision_function(X).shape == (150, 3) and estimator.classes_.tolist() == [0, 1, 2]
        predictions.append((estimator.decision_function(X), np.asarray(found).ravel(), estimator.history_.epoch))
    np.testing.assert_allclose(predictions[0][0], predictions[1][0], atol=1e-5)
    np.testing.assert_array_equal(predictions[0][1], predictions[1][1])
    assert predictions[0][2] == predictions[1][2]


def test_cross_validation_in_a_pipeline():
    maas.utils.set_random_seed(0)
    estimator = make_pipeline(StandardScaler(), SKLearnClassifier(classifier, fit_kwargs={"epochs": 30}))
    scores = cross_val_score(estimator, X, Y, cv=3)
    assert scores.mean() > 0.9


def test_grid_search():
    maas.utils.set_random_seed(0)
    grid = GridSearchCV(
        SKLearnClassifier(classifier, fit_kwargs={"epochs": 10}), {"model_kwargs": [{"units": 1}, {"units": 16}]}, cv=2
    )
    grid.fit(X / X.max(0), np.asarray(["a", "b", "c"])[Y])
    assert grid.best_params_ == {"model_kwargs": {"units": 16}}
    assert set(grid.predict(X / X.max(0))) <= {"a", "b", "c"}


def test_regressor_and_transformer():
    maas.utils.set_random_seed(0)
    x, y = load_diabetes(return_X_y=True)
    y = (y - y.mean()) / y.std()
    estimator = SKLearnRegressor(regressor, fit_kwargs={"epochs": 60})
    assert estimator.fit(x * 10, y).score(x * 10, y) > 0.4
    assert estimator.predict(x).shape == y.shape
    both = np.stack([y, -y], axis=1)
    assert estimator.fit(x, both).predict(x).shape == both.shape
    transformer = SKLearnTransformer(regressor)
    assert transformer.fit_transform(x, both).shape == (442, 2)


def test_a_compiled_model_in_place_of_a_function():
    model = classifier(X, np.zeros((1, 3)))
    before = model.get_weights()
    estimator = SKLearnClassifier(model, fit_kwargs={"epochs": 1})
    estimator.fit(X, Y)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))  # a copy is trained
    copied = clone(estimator)
    assert copied.model is not model and copied.fit_kwargs == {"epochs": 1}
    copied.fit(X, Y)
    first = copied.model_
    copied.set_params(warm_start=True).fit(X, Y)
    assert copied.model_ is first


@pytest.mark.parametrize("make, error, text", [
    (lambda: SKLearnClassifier(lambda X, y: maas.Sequential([maas.layers.Dense(3)])).fit(X, Y), RuntimeError,
     "must be compiled with a loss"),
    (lambda: SKLearnClassifier(classifier).fit(X, Y * 0), ValueError, "only one class"),
    (lambda: SKLearnClassifier(classifier).fit(X, Y + 0.5), ValueError, "Only binary and multiclass"),
    (lambda: SKLearnRegressor(regressor).fit(X, None), ValueError, "y cannot be None|requires y"),
])  # fmt: skip
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()
