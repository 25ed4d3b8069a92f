"""What every family asks of `from_sklearn`: the estimator's answers, for one row and for many."""

import numpy as np

from maas.classical import from_sklearn

RNG = np.random.default_rng(0)
X = RNG.standard_normal((160, 6))
Y = X @ np.array([1.0, -2.0, 0.5, 0.0, 1.5, -0.3]) + 0.3 * RNG.standard_normal(160)
TWO = (Y > 0).astype(int)
THREE = np.digitize(Y, [-1, 1])
TEXT = np.array(["ant", "bee", "cat"])[THREE]
HOLES = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
GRID = np.round(X)  # many equal values
NEW = RNG.standard_normal((40, 6)) * 2


def agree(estimator, x=NEW, tolerance=1e-9, functions=None, name=None):
    """Converts a fitted estimator and compares all methods on all rows, a few, and single ones. Returns the model."""
    model = from_sklearn(estimator, name)
    if functions is not None:
        assert model.functions == functions
    for function in model.functions:
        whole = as_list(getattr(model, function)(x))
        for begin, end in ((0, len(x)), (0, 1), (3, 4), (2, 13)):
            wanted = as_list(getattr(estimator, function)(x[begin:end]))
            found = as_list(getattr(model, function)(x[begin:end]))
            assert len(found) == len(wanted)
            for a, b, all_rows in zip(found, wanted, whole):
                same(a, b, tolerance, f"{type(estimator).__name__}.{function} of rows {begin}:{end}")
                # Rows do not know of each other: the same bits in every batch.
                np.testing.assert_array_equal(a, all_rows[begin:end])
    return model


def as_list(y):
    return [a.toarray() if hasattr(a, "toarray") else np.asarray(a) for a in (y if isinstance(y, list) else [y])]


def same(found, wanted, tolerance, what):
    assert found.shape == wanted.shape, f"{what}: {found.shape}, not {wanted.shape}"
    if wanted.dtype.kind in "iubOUS":
        kinds = "OU" if wanted.dtype.kind in "OUS" else wanted.dtype.kind
        assert found.dtype.kind in kinds, f"{what}: {found.dtype}, not {wanted.dtype}"
        np.testing.assert_array_equal(found, wanted, what)
    else:
        assert found.dtype == np.float64, f"{what}: {found.dtype}"
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance, err_msg=what)
