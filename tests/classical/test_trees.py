"""Decision trees and forests, down to the bit of every comparison."""

import numpy as np
import pytest
from sklearn import ensemble, tree

from tests.classical.agree import GRID, HOLES, NEW, TEXT, THREE, TWO, X, Y, agree

REGRESSORS = [tree.DecisionTreeRegressor, tree.ExtraTreeRegressor, ensemble.RandomForestRegressor,
              ensemble.ExtraTreesRegressor]  # fmt: skip
CLASSIFIERS = [tree.DecisionTreeClassifier, tree.ExtraTreeClassifier, ensemble.RandomForestClassifier,
               ensemble.ExtraTreesClassifier]  # fmt: skip


def make(cls, **options):
    if "Forest" in cls.__name__ or "Trees" in cls.__name__:
        options.setdefault("n_estimators", 13)
    return cls(random_state=0, **options)


@pytest.mark.parametrize("cls", REGRESSORS)
def test_regressors(cls):
    for options in ({}, {"max_depth": 1}, {"max_leaf_nodes": 5}):
        agree(make(cls, **options).fit(X, Y), tolerance=0)
    agree(make(cls).fit(X, np.c_[Y, -Y, X[:, 0]]), tolerance=0)
    agree(make(cls).fit(X, np.zeros(len(X))), tolerance=0)  # a root alone


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_classifiers(cls):
    for y in (TWO, THREE, TEXT, THREE * 3 - 1, np.zeros(len(X), int)):
        agree(make(cls).fit(X, y), tolerance=0)
    agree(make(cls, max_depth=2).fit(X, np.c_[THREE, TWO]), tolerance=0)
    agree(make(cls, max_depth=2).fit(X, np.c_[TEXT, TEXT[::-1]]), tolerance=0)


@pytest.mark.parametrize("cls", [*REGRESSORS, *CLASSIFIERS])
def test_equal_values_and_rows_on_thresholds(cls):
    y = THREE if cls in CLASSIFIERS else Y
    estimator = make(cls).fit(GRID, y)
    trees = getattr(estimator, "estimators_", [estimator])
    thresholds = np.concatenate([t.tree_.threshold[t.tree_.feature >= 0] for t in trees])[:240]
    on = np.resize(np.concatenate([thresholds, np.nextafter(thresholds, 9), np.nextafter(thresholds, -9)]), (80, 6))
    agree(estimator, on, tolerance=0)
    agree(estimator, np.float32(on).astype("float64"), tolerance=0)


@pytest.mark.parametrize("cls", [*REGRESSORS, *CLASSIFIERS])
def test_missing_values(cls):
    estimator = make(cls).fit(HOLES, THREE if cls in CLASSIFIERS else Y)
    x = np.where(np.random.default_rng(1).random(NEW.shape) < 0.3, np.nan, NEW)
    x[0] = np.nan
    agree(estimator, x, tolerance=0)


def test_a_deep_tree():
    x = np.arange(3000.0)[:, None]
    y = np.arange(3000) % 2
    # Each split takes one row off: as deep as a tree can be here.
    estimator = tree.DecisionTreeRegressor().fit(x, np.exp(x[:, 0] / 300))
    agree(estimator, np.linspace(-5, 3005, 500)[:, None], tolerance=0)
    agree(tree.DecisionTreeClassifier().fit(x, y), np.linspace(-5, 3005, 500)[:, None], tolerance=0)


def test_isolation_forests_and_embeddings():
    for options in ({}, {"max_features": 0.5}, {"contamination": 0.1}, {"max_samples": 2}):
        agree(ensemble.IsolationForest(n_estimators=20, random_state=0, **options).fit(X))
    embedding = ensemble.RandomTreesEmbedding(5, max_depth=3, random_state=0).fit(X)
    agree(embedding, tolerance=0)
