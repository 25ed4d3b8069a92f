"""Scalers and projections."""

import warnings

import numpy as np
import pytest
from sklearn import cross_decomposition as cd
from sklearn import decomposition as dc
from sklearn import preprocessing as pp
from sklearn import random_projection as rp

from tests.classical.agree import GRID, HOLES, NEW, X, Y, agree

HOLED = np.where(np.random.default_rng(2).random(NEW.shape) < 0.2, np.nan, NEW)


def test_scalers():
    for scaler in (
        pp.StandardScaler(), pp.StandardScaler(with_mean=False), pp.StandardScaler(with_std=False), pp.RobustScaler(),
        pp.StandardScaler(with_mean=False, with_std=False), pp.RobustScaler(with_centering=False, unit_variance=True),
        pp.RobustScaler(with_scaling=False), pp.MinMaxScaler(), pp.MinMaxScaler((-2, 3), clip=True), pp.MaxAbsScaler(),
    ):  # fmt: skip
        agree(scaler.fit(HOLES), HOLED, 1e-14)
        agree(scaler.fit(np.c_[X, np.ones(len(X))]), np.c_[NEW, np.ones(len(NEW))], 1e-14)  # a column without spread


def test_rows_and_thresholds():
    zeros = NEW.copy()
    zeros[3] = 0
    for norm in ("l1", "l2", "max"):
        agree(pp.Normalizer(norm).fit(X), zeros, 1e-14)
    agree(pp.Binarizer(threshold=0.5).fit(X), np.round(NEW * 2) / 2, 0)


def test_powers_and_quantiles():
    for options in ({}, {"standardize": False}, {"method": "box-cox"}):
        positive = options.get("method") == "box-cox"
        agree(pp.PowerTransformer(**options).fit(np.abs(X) + 0.1 if positive else HOLES),
              np.abs(NEW) + 0.1 if positive else HOLED)  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for options in ({}, {"n_quantiles": 20}, {"output_distribution": "normal"}, {"n_quantiles": 1}):
            agree(pp.QuantileTransformer(**options).fit(HOLES), HOLED, 1e-7)
            agree(pp.QuantileTransformer(**options).fit(GRID), np.concatenate([np.round(NEW), NEW * 5]), 1e-7)


@pytest.mark.parametrize("options", [{}, {"degree": 3}, {"interaction_only": True}, {"degree": (2, 3)},
                                     {"include_bias": False, "degree": 1}], ids=str)  # fmt: skip
def test_polynomials(options):
    agree(pp.PolynomialFeatures(**options).fit(X), tolerance=1e-13)


def test_projections():
    for estimator in (
        dc.PCA(3), dc.PCA(whiten=True), dc.PCA(0.9), dc.IncrementalPCA(2), dc.TruncatedSVD(3), dc.FactorAnalysis(2),
        dc.FastICA(3, random_state=0, max_iter=1000), rp.GaussianRandomProjection(3, random_state=0),
        rp.SparseRandomProjection(3, random_state=0), cd.PLSRegression(2),
    ):  # fmt: skip
        agree(estimator.fit(X, Y) if isinstance(estimator, cd.PLSRegression) else estimator.fit(X))
    agree(cd.PLSCanonical(1).fit(X, np.c_[Y, Y**2]))


def test_centred_kernels():
    agree(pp.KernelCenterer().fit(X @ X.T), NEW @ X.T)
