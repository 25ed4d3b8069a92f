"""Nearest neighbours, naive Bayes, clusters and mixtures."""

import numpy as np
import pytest
from sklearn import cluster, mixture, naive_bayes, neighbors

from tests.classical.agree import NEW, RNG, TEXT, THREE, TWO, X, Y, agree

METRICS = [
    {}, {"n_neighbors": 1}, {"n_neighbors": 160}, {"metric": "manhattan"}, {"metric": "chebyshev"}, {"p": 3},
    {"metric": "cosine"}, {"metric": "sqeuclidean"}, {"algorithm": "brute"}, {"algorithm": "kd_tree"},
    {"metric": "l1", "algorithm": "ball_tree"},
]  # fmt: skip


@pytest.mark.parametrize("options", METRICS, ids=str)
@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_neighbors(options, weights):
    for labels in (TWO, TEXT):
        agree(neighbors.KNeighborsClassifier(weights=weights, **options).fit(X, labels))
    agree(neighbors.KNeighborsRegressor(weights=weights, **options).fit(X, Y))


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_several_outputs_and_training_points(weights):
    agree(neighbors.KNeighborsClassifier(weights=weights).fit(X, np.c_[THREE, TWO * 4]))
    agree(neighbors.KNeighborsClassifier(weights=weights).fit(X, np.c_[TEXT, TEXT[::-1]]))
    agree(neighbors.KNeighborsRegressor(weights=weights).fit(X, np.c_[Y, -Y]))
    # Rows that are training points, some of them twice: a distance of 0 takes all the weight.
    twice = np.concatenate([X, X[:20]])
    labels = np.concatenate([THREE, THREE[:20]])
    agree(neighbors.KNeighborsClassifier(weights=weights).fit(twice, labels), X)
    distances = neighbors.KNeighborsClassifier(metric="precomputed", weights=weights)
    agree(distances.fit(np.abs(X[:, :1] - X[:, :1].T), THREE), np.abs(NEW[:, :1] - X[:, :1].T))


def test_of_equal_distances_the_first_wins():
    points = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    model = agree(neighbors.KNeighborsClassifier(1).fit(points, [3, 2, 1, 0]), np.tile([[5.0], [-5.0]], (20, 1)))
    np.testing.assert_array_equal(model.predict(np.array([[1.0], [-1.0], [0.0]])), [3, 2, 3])


def test_nearest_centroids():
    for metric in ("euclidean", "manhattan"):
        agree(neighbors.NearestCentroid(metric=metric).fit(X, TEXT))


def test_naive_bayes():
    counts = RNG.integers(0, 5, X.shape).astype("float64")
    for labels in (TWO, THREE, TEXT, np.ones(len(X), int)):
        agree(naive_bayes.GaussianNB().fit(X, labels))
        agree(naive_bayes.BernoulliNB().fit(X, labels))
        agree(naive_bayes.BernoulliNB(binarize=None, alpha=0.1).fit(counts > 2, labels), counts[:40] > 1)
        agree(naive_bayes.MultinomialNB().fit(counts, labels), counts[:40])
        agree(naive_bayes.ComplementNB(norm=True).fit(counts, labels), counts[:40])
        agree(naive_bayes.CategoricalNB(min_categories=6).fit(counts, labels), counts[:40])


def test_an_unknown_category_is_an_error_that_names_it():
    counts = RNG.integers(0, 5, X.shape)
    counts[0] = 4
    model = agree(naive_bayes.CategoricalNB().fit(counts, THREE), counts[:40])
    counts[7, 2] = 5
    with pytest.raises(IndexError, match=r"CategoricalNB: categories of feature 2 must be in \[0, 5\)"):
        model.predict(counts)


def test_clusters():
    for options in ({}, {"n_clusters": 1}, {"n_clusters": 30}):
        agree(cluster.KMeans(n_init=1, random_state=0, **options).fit(X), tolerance=1e-7)
        agree(cluster.MiniBatchKMeans(n_init=1, random_state=0, **options).fit(X), tolerance=1e-7)


def test_mixtures():
    for kind in ("full", "tied", "diag", "spherical"):
        agree(mixture.GaussianMixture(3, covariance_type=kind, random_state=0).fit(X))
