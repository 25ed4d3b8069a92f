"""Boosting, bagging, voting and stacking."""

import numpy as np
import pytest
from sklearn import ensemble, linear_model, naive_bayes, pipeline, preprocessing, svm, tree

from tests.classical.agree import GRID, HOLES, NEW, TEXT, THREE, TWO, X, Y, agree

SMALL = {"n_estimators": 12, "random_state": 0}


def test_gradient_boosting():
    for options in ({}, {"loss": "huber"}, {"init": "zero"}, {"max_depth": 1}, {"subsample": 0.5, "max_leaf_nodes": 4}):
        agree(ensemble.GradientBoostingRegressor(**SMALL, **options).fit(X, Y), tolerance=0)
    for labels in (TWO, THREE, TEXT):
        agree(ensemble.GradientBoostingClassifier(**SMALL).fit(X, labels), tolerance=1e-14)
    agree(ensemble.GradientBoostingClassifier(loss="exponential", **SMALL).fit(GRID, TWO), GRID, tolerance=1e-14)
    agree(ensemble.GradientBoostingClassifier(init="zero", **SMALL).fit(X, THREE), tolerance=1e-14)
    with pytest.raises(NotImplementedError, match="GradientBoostingRegressor supports init=None and init='zero', rec"):
        agree(ensemble.GradientBoostingRegressor(init=linear_model.Ridge(), **SMALL).fit(X, Y))


def test_histogram_gradient_boosting():
    options = {"max_iter": 10, "random_state": 0, "min_samples_leaf": 5}
    holes = np.where(np.random.default_rng(1).random(NEW.shape) < 0.3, np.nan, NEW)
    holes[0], holes[1, 0], holes[2, 0] = np.nan, np.inf, -np.inf
    for loss in ("squared_error", "absolute_error", "poisson", "gamma"):
        y = np.exp(Y / 3) if loss in ("poisson", "gamma") else Y
        agree(ensemble.HistGradientBoostingRegressor(loss=loss, **options).fit(HOLES, y), holes, tolerance=1e-14)
    for labels in (TWO, THREE, TEXT):
        agree(ensemble.HistGradientBoostingClassifier(**options).fit(HOLES, labels), holes, tolerance=1e-14)
    model = agree(ensemble.HistGradientBoostingClassifier(**options).fit(X, THREE), tolerance=1e-14)
    on = ensemble.HistGradientBoostingClassifier(**options).fit(X, THREE)
    thresholds = np.concatenate([p.nodes["num_threshold"] for row in on._predictors for p in row])
    agree(on, np.resize(np.concatenate([thresholds, np.nextafter(thresholds, 9)]), (100, 6)), tolerance=1e-14)
    assert model.predict(np.full((1, 6), np.nan)).shape == (1,)


@pytest.mark.parametrize("columns", [[0, 3], [2], [0, 1, 2, 3, 4, 5]])
def test_histogram_trees_with_categories(columns):
    rng = np.random.default_rng(0)
    x = X.copy()
    x[:, columns] = rng.integers(0, 40, (len(X), len(columns))) * 3
    y = np.where(np.isin(x[:, columns[0]], [3, 9, 30, 60, 99]), 5, 0) + Y
    x[rng.random(X.shape) < 0.1] = np.nan
    new = NEW.copy()
    new[:, columns] = rng.integers(-2, 130, (len(NEW), len(columns)))  # many that training never met
    new[:20, columns] = rng.integers(0, 40, (20, len(columns))) * 3
    new[rng.random(NEW.shape) < 0.1] = np.nan
    options = {"categorical_features": columns, "max_iter": 12, "min_samples_leaf": 3}
    agree(ensemble.HistGradientBoostingRegressor(**options).fit(x, y), new, tolerance=1e-14)
    agree(ensemble.HistGradientBoostingClassifier(**options).fit(x, np.digitize(y, [0, 3])), new, tolerance=1e-14)


def test_ada_boost():
    for labels in (TWO, THREE, TEXT):
        agree(ensemble.AdaBoostClassifier(**SMALL).fit(X, labels), tolerance=1e-14)
        agree(ensemble.AdaBoostClassifier(tree.DecisionTreeClassifier(max_depth=2), **SMALL).fit(GRID, labels), GRID)
    agree(ensemble.AdaBoostClassifier(linear_model.LogisticRegression(), **SMALL).fit(X, THREE))
    agree(ensemble.AdaBoostRegressor(**SMALL).fit(X, Y), tolerance=0)
    agree(ensemble.AdaBoostRegressor(linear_model.Ridge(), **SMALL).fit(X, Y))


def test_bagging():
    for options in ({}, {"max_features": 0.5}, {"max_samples": 8}):
        agree(ensemble.BaggingRegressor(**SMALL, **options).fit(X, Y), tolerance=1e-14)
        agree(ensemble.BaggingClassifier(**SMALL, **options).fit(X, TEXT), tolerance=1e-14)
        agree(ensemble.BaggingRegressor(linear_model.Ridge(), **SMALL, **options).fit(X, Y))
        agree(ensemble.BaggingClassifier(linear_model.LogisticRegression(), **SMALL, **options).fit(X, THREE * 2))
    agree(ensemble.BaggingClassifier(svm.SVC(), **SMALL).fit(X, TWO))
    # Parts of few rows: many lack a class, not all the same one. A pipeline takes no weights, so it sees few rows.
    part = pipeline.make_pipeline(preprocessing.StandardScaler(), svm.SVC())
    few = ensemble.BaggingClassifier(part, n_estimators=12, max_samples=5, random_state=0).fit(X, THREE)
    assert len({tuple(e.classes_) for e in few.estimators_}) > 2
    agree(few)


PARTS = [
    ("a", linear_model.LogisticRegression()),
    ("b", naive_bayes.GaussianNB()),
    ("c", tree.DecisionTreeClassifier()),
]
FITS = [("a", linear_model.Ridge()), ("b", tree.DecisionTreeRegressor(max_depth=3)), ("c", svm.SVR())]


@pytest.mark.parametrize("labels", [TWO, THREE, TEXT], ids=["two", "three", "text"])
def test_voting_and_stacking_of_classifiers(labels):
    for options in ({}, {"weights": [1, 3, 2]}):
        agree(ensemble.VotingClassifier(PARTS, voting="soft", **options).fit(X, labels))
        agree(ensemble.VotingClassifier(PARTS, voting="hard", **options).fit(X, labels))
    for options in ({}, {"passthrough": True}, {"stack_method": "predict"}, {"final_estimator": svm.SVC()}):
        agree(ensemble.StackingClassifier(PARTS, cv=2, **options).fit(X, labels))


def test_voting_and_stacking_of_regressors():
    agree(ensemble.VotingRegressor(FITS).fit(X, Y))
    agree(ensemble.VotingRegressor(FITS, weights=[1, 3, 2]).fit(X, Y))
    agree(ensemble.StackingRegressor(FITS, cv=2).fit(X, Y))
    agree(ensemble.StackingRegressor([*FITS[:2], ("c", "drop")], cv=2, passthrough=True).fit(X, Y))
