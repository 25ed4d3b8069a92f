"""Estimators made of estimators."""

import warnings

import numpy as np
import pytest
from sklearn import (
    calibration,
    compose,
    decomposition,
    dummy,
    ensemble,
    impute,
    linear_model,
    model_selection,
    multiclass,
    multioutput,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    svm,
    tree,
)  # fmt: skip
from sklearn import preprocessing as pp

from tests.classical.agree import HOLES, NEW, TEXT, THREE, TWO, X, Y, agree

HOLED = np.where(np.random.default_rng(2).random(NEW.shape) < 0.3, np.nan, NEW)


def test_pipelines():
    steps = [impute.SimpleImputer(add_indicator=True), pp.StandardScaler(), decomposition.PCA(4)]
    for last, y in ((svm.SVC(), TEXT), (linear_model.Ridge(), Y), (ensemble.RandomForestClassifier(5), THREE)):
        agree(pipeline.make_pipeline(*steps, last).fit(HOLES, y), HOLED)
    agree(pipeline.make_pipeline(*steps).fit(HOLES), HOLED)
    agree(pipeline.make_pipeline(pp.StandardScaler(), "passthrough").fit(X))
    agree(pipeline.make_pipeline("passthrough", linear_model.Ridge()).fit(X, Y))
    inner = pipeline.make_pipeline(pp.MinMaxScaler(), pp.PolynomialFeatures())
    agree(pipeline.make_pipeline(inner, "passthrough", linear_model.LogisticRegression()).fit(X, THREE))


def test_unions_and_columns():
    parts = [("a", pp.StandardScaler()), ("b", decomposition.PCA(2)), ("c", "passthrough"), ("d", "drop")]
    agree(pipeline.FeatureUnion(parts, transformer_weights={"a": 3}).fit(X))
    codes = X.copy()
    codes[:, 1] = np.arange(len(X)) % 4
    new = NEW.copy()
    new[:, 1] = np.arange(len(NEW)) % 4
    for rest in ("drop", "passthrough", pp.StandardScaler()):
        columns = compose.ColumnTransformer(
            [("hot", pp.OneHotEncoder(), [1]), ("scaled", pp.MinMaxScaler(), slice(2, 4)), ("none", "drop", [0]),
             ("as it is", "passthrough", [5]), ("empty", pp.StandardScaler(), [])],
            remainder=rest, transformer_weights={"scaled": 2.0},
        )  # fmt: skip
        agree(columns.fit(codes), new)
        agree(pipeline.make_pipeline(columns, linear_model.LogisticRegression()).fit(codes, TEXT), new)


def test_functions():
    for f in (None, np.log1p, np.sqrt, np.exp, np.square):
        agree(pp.FunctionTransformer(f).fit(np.abs(X)), np.abs(NEW), 1e-13)
    agree(pp.FunctionTransformer(None, validate=True).fit(X))
    with pytest.raises(NotImplementedError, match="FunctionTransformer supports the functions None, np.log, .*lambda"):
        agree(pp.FunctionTransformer(lambda x: x).fit(X))
    target = compose.TransformedTargetRegressor
    agree(target(linear_model.Ridge(), func=np.log, inverse_func=np.exp).fit(X, np.exp(Y)))
    agree(target(linear_model.Ridge(), transformer=pp.StandardScaler()).fit(X, Y))
    agree(target(linear_model.Ridge(), transformer=pp.MinMaxScaler()).fit(X, np.c_[Y, -Y]))


def test_searches():
    grid = model_selection.GridSearchCV(svm.SVC(), {"C": [0.1, 1]}, cv=2)
    agree(grid.fit(X, TEXT))
    steps = pipeline.make_pipeline(pp.StandardScaler(), linear_model.Ridge())
    agree(model_selection.RandomizedSearchCV(steps, {"ridge__alpha": [0.1, 1]}, n_iter=2, cv=2).fit(X, Y))
    with pytest.raises(NotImplementedError, match="GridSearchCV needs refit=True, received False"):
        agree(model_selection.GridSearchCV(svm.SVC(), {"C": [1]}, refit=False, cv=2).fit(X, TWO))


@pytest.mark.parametrize("part", [linear_model.LogisticRegression(), svm.SVC(), naive_bayes.GaussianNB()], ids=str)
def test_one_against_others(part):
    for labels in (TWO, THREE, TEXT, THREE * 3):
        agree(multiclass.OneVsRestClassifier(part).fit(X, labels))
        agree(multiclass.OneVsOneClassifier(part).fit(X, labels))
    agree(multiclass.OneVsRestClassifier(part).fit(X, np.c_[TWO, THREE > 0, np.roll(TWO, 1)]))
    for labels in (TWO, THREE):
        agree(multiclass.OneVsRestClassifier(linear_model.Ridge()).fit(X, labels))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a label that all rows have
        for kept in (0, 1):
            labels = np.c_[TWO, np.full(len(X), kept), THREE > 0]
            agree(multiclass.OneVsRestClassifier(part).fit(X, labels))
            # The first part says where the middle lies.
            agree(multiclass.OneVsRestClassifier(part).fit(X, labels[:, [1, 0, 2]]))


def test_several_outputs():
    agree(multioutput.MultiOutputRegressor(svm.SVR()).fit(X, np.c_[Y, -Y]))
    agree(multioutput.MultiOutputClassifier(linear_model.LogisticRegression()).fit(X, np.c_[TWO, THREE * 2]))
    agree(multioutput.MultiOutputClassifier(tree.DecisionTreeClassifier()).fit(X, np.c_[TEXT, TEXT[::-1]]))
    agree(multioutput.RegressorChain(linear_model.Ridge(), order=[1, 0]).fit(X, np.c_[Y, -Y]))
    for method in ("predict", "predict_proba", "decision_function"):
        chain = multioutput.ClassifierChain(linear_model.LogisticRegression(), order=[1, 0], chain_method=method)
        agree(chain.fit(X, np.c_[TWO, THREE > 0]))


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
@pytest.mark.parametrize("part", [svm.LinearSVC(), naive_bayes.GaussianNB(), tree.DecisionTreeClassifier()], ids=str)
def test_calibration(method, part):
    for labels in (TWO, THREE, TEXT):
        agree(calibration.CalibratedClassifierCV(part, method=method, cv=2).fit(X, labels))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_perceptrons(activation):
    options = {"hidden_layer_sizes": (7, 5), "activation": activation, "max_iter": 20, "random_state": 0}
    for labels in (TWO, THREE, TEXT, np.c_[TWO, THREE > 0]):
        agree(neural_network.MLPClassifier(**options).fit(X, labels))
    agree(neural_network.MLPRegressor(**options).fit(X, Y))
    agree(neural_network.MLPRegressor(**options).fit(X, np.c_[Y, -Y]))
    agree(neural_network.BernoulliRBM(3, n_iter=2, random_state=0).fit(TWO[:, None] * np.ones(6)))


def test_dummies():
    for options in ({}, {"strategy": "most_frequent"}, {"strategy": "constant", "constant": 2}):
        agree(dummy.DummyClassifier(**options).fit(X, THREE), HOLED)
    agree(dummy.DummyClassifier().fit(X, TEXT))
    agree(dummy.DummyRegressor(strategy="median").fit(X, Y))
    agree(dummy.DummyRegressor().fit(X, np.c_[Y, -Y]), HOLED)
    with pytest.raises(NotImplementedError, match="DummyClassifier supports the strategies prior.*received 'uniform'"):
        agree(dummy.DummyClassifier(strategy="uniform").fit(X, TWO))
    agree(neighbors.KNeighborsClassifier(3).fit(X, TWO))
