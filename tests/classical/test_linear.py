"""Linear models and discriminants."""

import warnings

import numpy as np
import pytest
from sklearn import discriminant_analysis as da
from sklearn import linear_model as lm
from sklearn import svm

from tests.classical.agree import NEW, TEXT, THREE, TWO, X, Y, agree

REGRESSORS = [
    lm.LinearRegression(), lm.LinearRegression(fit_intercept=False), lm.Ridge(), lm.RidgeCV(), lm.Lasso(0.1),
    lm.LassoCV(cv=3), lm.ElasticNet(0.1), lm.ElasticNetCV(cv=3), lm.Lars(), lm.LassoLars(0.1), lm.LassoLarsIC(),
    lm.OrthogonalMatchingPursuit(), lm.BayesianRidge(), lm.ARDRegression(), lm.HuberRegressor(),
    lm.QuantileRegressor(solver="highs"), lm.TheilSenRegressor(max_subpopulation=50), lm.RANSACRegressor(),
    lm.SGDRegressor(), lm.SGDRegressor(loss="epsilon_insensitive"), svm.LinearSVR(),
]  # fmt: skip
CLASSIFIERS = [
    lm.LogisticRegression(), lm.LogisticRegression(C=100, fit_intercept=False), lm.SGDClassifier(),
    lm.SGDClassifier(loss="log_loss"), lm.SGDClassifier(loss="modified_huber"), lm.SGDClassifier(loss="perceptron"),
    lm.RidgeClassifier(), lm.RidgeClassifierCV(), lm.Perceptron(), svm.LinearSVC(), da.QuadraticDiscriminantAnalysis(),
    da.LinearDiscriminantAnalysis(), da.LinearDiscriminantAnalysis("lsqr"), da.LinearDiscriminantAnalysis("eigen"),
    da.LinearDiscriminantAnalysis(n_components=1),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", REGRESSORS, ids=str)
def test_regressors(estimator):
    agree(estimator.fit(X, Y), functions=["predict"])


@pytest.mark.parametrize("estimator", [lm.LinearRegression(), lm.Ridge(), lm.MultiTaskLasso(0.1)], ids=str)
def test_several_targets(estimator):
    agree(estimator.fit(X, np.c_[Y, -2 * Y + X[:, 0]]))


def test_generalized_linear_models():
    y = np.exp(Y / 3)
    for estimator in (
        lm.PoissonRegressor(), lm.GammaRegressor(), lm.TweedieRegressor(power=1.5), lm.TweedieRegressor(power=0),
        lm.TweedieRegressor(power=0, link="log"),
    ):  # fmt: skip
        agree(estimator.fit(X, y))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=str)
@pytest.mark.parametrize("labels", ["two", "three", "text", "float", "bool", "not from 0"])
def test_classifiers(estimator, labels):
    y = {"two": TWO, "three": THREE, "text": TEXT, "float": TWO * 3.0, "bool": TWO > 0, "not from 0": THREE * 7 - 5}
    agree(estimator.fit(X, y[labels]))


def test_logistic_solvers_and_rules():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agree(lm.LogisticRegression(solver="liblinear").fit(X, TWO))
        agree(lm.LogisticRegressionCV(cv=3).fit(X, THREE))
        agree(lm.SGDOneClassSVM().fit(X))
    # Scores so far from 0 that a probability is 0 or 1.
    agree(lm.LogisticRegression(C=1e6).fit(X, TWO), NEW * 1e4)
    agree(lm.LogisticRegression(C=1e6).fit(X, THREE), NEW * 1e4)


def test_scores_that_give_no_class_anything():
    estimator = lm.SGDClassifier(loss="modified_huber").fit(X, THREE)
    estimator.intercept_[:] = -1000
    agree(estimator)
