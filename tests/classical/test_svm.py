"""Support vector machines with every kernel and every shape of answers."""

import warnings

import numpy as np
import pytest
from sklearn import svm

from tests.classical.agree import GRID, NEW, TEXT, THREE, TWO, X, Y, agree

KERNELS = [
    {"kernel": "linear"}, {"kernel": "rbf"}, {"kernel": "rbf", "gamma": "auto"}, {"kernel": "poly"},
    {"kernel": "poly", "degree": 2, "coef0": 1.0}, {"kernel": "poly", "degree": 5, "coef0": 1.0},
    {"kernel": "sigmoid", "coef0": 0.3},
]  # fmt: skip


@pytest.mark.parametrize("options", KERNELS, ids=str)
def test_every_kernel(options):
    for labels in (TWO, THREE, TEXT, THREE * 2 + 1):
        agree(svm.SVC(**options).fit(X, labels))
    agree(svm.NuSVC(nu=0.3, **options).fit(X, THREE))
    agree(svm.SVR(**options).fit(X, Y))
    agree(svm.NuSVR(**options).fit(X, Y))
    agree(svm.OneClassSVM(**options).fit(X))


@pytest.mark.parametrize("options", [{"decision_function_shape": "ovo"}, {"break_ties": True}], ids=str)
def test_shapes_of_answers(options):
    five = np.digitize(Y, [-2, -1, 1, 2])
    agree(svm.SVC(**options).fit(X, five))
    agree(svm.SVC(**options).fit(X, TWO))
    agree(svm.SVC(C=1e-3, **options).fit(GRID, five), GRID)


def test_a_precomputed_kernel():
    agree(svm.SVC(kernel="precomputed").fit(X @ X.T, THREE), NEW @ X.T)
    agree(svm.SVR(kernel="precomputed").fit(X @ X.T, Y), NEW @ X.T)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("classes", [2, 3, 6])
def test_probabilities(classes):
    labels = np.digitize(Y, np.linspace(-2, 2, classes - 1)) if classes > 2 else TWO
    for kernel in ("linear", "rbf"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator = svm.SVC(kernel=kernel, probability=True, random_state=0).fit(X, labels)
        agree(estimator, functions=["predict", "predict_proba", "decision_function"])
        agree(estimator, NEW * 1e3)
    agree(svm.NuSVC(nu=0.1, probability=True, random_state=0).fit(X, labels), tolerance=1e-8)
