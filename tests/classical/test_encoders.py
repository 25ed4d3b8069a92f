"""Encoders, bins, imputers and feature selection."""

import warnings

import numpy as np
import pytest
from sklearn import feature_selection as fs
from sklearn import impute, isotonic, linear_model
from sklearn import preprocessing as pp

from maas.classical import from_sklearn
from tests.classical.agree import HOLES, NEW, RNG, TEXT, THREE, TWO, X, Y, agree

HOLED = np.where(np.random.default_rng(2).random(NEW.shape) < 0.3, np.nan, NEW)
CODES = RNG.integers(0, 5, X.shape) * 2.0
CODES[:9] = np.arange(9)[:, None] // 2 * 2.0
STRANGE = np.concatenate([CODES[:35], [[-1, 99, 3, np.nan, 1, 1]] * 5])


def test_one_hot():
    for options in ({}, {"drop": "first"}, {"drop": "if_binary"}, {"sparse_output": False}):
        agree(pp.OneHotEncoder(**options).fit(CODES), CODES[:40], 0)
    for options in ({"handle_unknown": "ignore"}, {"handle_unknown": "infrequent_if_exist", "min_frequency": 33},
                    {"handle_unknown": "infrequent_if_exist", "max_categories": 3},
                    {"handle_unknown": "ignore", "drop": "first"}):  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            agree(pp.OneHotEncoder(**options).fit(CODES), STRANGE, 0)
    missing = CODES.copy()
    missing[RNG.random(X.shape) < 0.2] = np.nan
    agree(pp.OneHotEncoder().fit(missing), missing[:40], 0)
    agree(pp.OneHotEncoder(max_categories=3).fit(CODES.astype(int)), CODES[:40].astype(int), 0)


def test_ordinals_and_targets():
    agree(pp.OrdinalEncoder().fit(CODES), CODES[:40], 0)
    agree(pp.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1).fit(CODES), STRANGE, 0)
    missing = np.where(RNG.random(X.shape) < 0.2, np.nan, CODES)
    agree(pp.OrdinalEncoder(encoded_missing_value=-7).fit(missing), missing[:40], 0)
    agree(pp.OrdinalEncoder(max_categories=3).fit(CODES), CODES[:40], 0)
    for target in (Y, TWO, THREE):
        agree(pp.TargetEncoder(random_state=0).fit(CODES, target), STRANGE, 0)


def test_labels():
    labels = np.array([3, 7, 7, -1, 20])
    for estimator in (pp.LabelEncoder(), pp.LabelBinarizer(), pp.LabelBinarizer(neg_label=-2, pos_label=5)):
        agree(estimator.fit(labels), np.resize(labels, 40))
    agree(pp.LabelBinarizer().fit([1, 5]), np.resize([1, 5], 40))
    with pytest.raises(IndexError, match="LabelEncoder: a label must be one of the 4 of training"):
        from_sklearn(pp.LabelEncoder().fit(labels)).transform(np.array([3, 4]))


def test_categories_that_are_unknown_or_text():
    for cls in (pp.OneHotEncoder, pp.OrdinalEncoder):
        model = from_sklearn(cls().fit(CODES))
        with pytest.raises(IndexError, match=rf"{cls.__name__}: column 1 has a category that training did not meet"):
            model.transform(np.array([[0, 1, 0, 0, 0, 0]]))
        with pytest.raises(NotImplementedError, match=rf"{cls.__name__} supports categories that are numbers.*'ant'"):
            from_sklearn(cls().fit(TEXT[:, None]))


@pytest.mark.filterwarnings("ignore")
def test_bins():
    for options in ({}, {"encode": "ordinal"}, {"encode": "onehot-dense", "strategy": "uniform"},
                    {"strategy": "kmeans", "n_bins": [2, 3, 4, 5, 6, 7]}):  # fmt: skip
        bins = pp.KBinsDiscretizer(**{"n_bins": 4, **options}).fit(X)
        agree(bins, tolerance=0)
        edges = np.resize(np.concatenate([np.concatenate([e, np.nextafter(e, 9)]) for e in bins.bin_edges_]), (40, 6))
        agree(bins, edges, 0)


def test_isotonic_lines():
    for rule in ("nan", "clip"):
        agree(isotonic.IsotonicRegression(out_of_bounds=rule).fit(X[:, 0], Y), NEW[:, 0])


def test_imputers():
    for options in ({}, {"strategy": "median"}, {"strategy": "most_frequent"}, {"add_indicator": True},
                    {"strategy": "constant", "fill_value": -3}):  # fmt: skip
        agree(impute.SimpleImputer(**options).fit(HOLES), HOLED, 0)
    agree(impute.SimpleImputer(missing_values=4, strategy="mean").fit(CODES), CODES[:40], 0)
    empty, more = HOLES.copy(), HOLED.copy()
    empty[:, 2] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agree(impute.SimpleImputer().fit(empty), more, 0)
        agree(impute.SimpleImputer(keep_empty_features=True).fit(empty), more, 0)
    for weights in ("uniform", "distance"):
        agree(impute.KNNImputer(n_neighbors=3, weights=weights).fit(HOLES), HOLED)
    agree(impute.KNNImputer(add_indicator=True).fit(HOLES), np.where(np.arange(6) == 1, HOLED, np.nan))
    holed = HOLES.copy()
    holed[:, 3:] = X[:, 3:]
    agree(impute.MissingIndicator().fit(holed), np.c_[HOLED[:, :3], NEW[:, 3:]], 0)
    agree(impute.MissingIndicator(features="all").fit(HOLES), HOLED, 0)


def test_selection():
    for selector in (
        fs.SelectKBest(k=3), fs.SelectPercentile(percentile=40), fs.SelectFpr(), fs.SelectFdr(), fs.SelectFwe(),
        fs.GenericUnivariateSelect(mode="k_best", param=2), fs.VarianceThreshold(0.9),
        fs.SelectFromModel(linear_model.Ridge()), fs.RFE(linear_model.LogisticRegression(), n_features_to_select=2),
        fs.SequentialFeatureSelector(linear_model.Ridge(), n_features_to_select=2, cv=2),
        fs.RFECV(linear_model.LogisticRegression(), cv=2),
    ):  # fmt: skip
        agree(selector.fit(X, THREE))
