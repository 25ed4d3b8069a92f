"""Sparsemax: special values, second derivatives, Keras. Its cases are in sparsemax_cases.py."""

import keras
import numpy as np
import pytest

import maas
from maas import _core, ops
from tests.ops import support
from tests.ops.sparsemax_cases import reference


@pytest.mark.parametrize("level", support.LEVELS)
@pytest.mark.parametrize("cols", [5, 16, 70])
def test_special_values(level, cols):
    x = np.random.default_rng(0).standard_normal((6, cols)).astype("float32")
    clean = x.copy()
    for row, value in ((1, np.nan), (3, np.inf)):
        x[row, cols // 2] = value
    x[4, :-1] = -np.inf  # one finite element takes all
    with support.isa(level):
        y, want = np.asarray(_core.sparsemax(x)), np.asarray(_core.sparsemax(clean))
    assert np.isnan(y[[1, 3]]).all()
    np.testing.assert_array_equal(y[[0, 2, 5]], want[[0, 2, 5]])
    np.testing.assert_array_equal(y[4], [0] * (cols - 1) + [1])


@pytest.mark.parametrize("level", support.LEVELS)
def test_rows_of_any_length_and_scale_sum_to_one(level):
    rng = np.random.default_rng(0)
    for cols in (*range(1, 35), 100, 10_007):
        for scale in (1e-3, 0.1, 1, 30, 1e4):
            x = (scale * (1 + rng.standard_normal((3, cols)))).astype("float32")
            with support.isa(level):
                y = np.asarray(_core.sparsemax(x))
            np.testing.assert_allclose(y, reference(x.astype("float64")), rtol=0, atol=2.0**-22)
            np.testing.assert_allclose(y.sum(-1, dtype="float64"), 1, atol=1e-5)


def test_the_gradient_of_the_gradient_is_the_slope():
    def slope(x, dy):
        dx = _core.gradients(_core.sum(_core.multiply(_core.sparsemax(x, axis=0), dy)), [x])[0]
        return _core.multiply(dx, x)  # dx alone is constant in x between kinks

    def in_numpy(operands):
        return [np.asarray(support.program(slope, operands, gradients=False).numpy(*operands)[0])]

    rng = np.random.default_rng(0)
    support.check_gradients(slope, [rng.standard_normal((9, 4)), rng.standard_normal((9, 4))], meaning=in_numpy)


@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32"])
def test_keras_where_one_element_stays(axis, dtype):
    """Keras up to 3.15 is wrong where more of them do (keras issue 23425): its tau adds up the cumulative sums."""
    x = np.random.default_rng(0).integers(-100, 100, (7, 7))
    theirs = keras.ops.sparsemax(keras.ops.cast(x, dtype), axis=axis)
    ours = ops.sparsemax(ops.cast(x, dtype), axis=axis)
    assert ours.dtype == keras.backend.standardize_dtype(theirs.dtype)
    ours, theirs = (np.asarray(y, dtype="float32") for y in (ops.cast(ours, "float32"), theirs))
    one = (reference(x, axis) > 0).sum(axis) == 1
    assert one.sum() > 3
    np.testing.assert_array_equal(*(np.moveaxis(y, axis, -1)[one] for y in (ours, theirs)))


def test_keras_reads_and_writes_it_in_files(tmp_path):
    x = (100 * np.random.default_rng(0).standard_normal((2, 4, 3))).astype("float32")
    for first, other in ((maas, keras), (keras, maas)):
        inputs = first.Input((4, 3))
        model = first.Model(inputs, first.ops.sparsemax(inputs, axis=1))
        model.save(tmp_path / "sparsemax.keras")
        loaded = other.models.load_model(tmp_path / "sparsemax.keras")
        np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize(
    "axis, kind, text",
    [
        (2, ValueError, r"^sparsemax: axis must be in \[-2, 2\), received axis=2 for x of shape \(2, 3\)$"),
        ((0, 1), TypeError, r"^sparsemax: axis must be an int, received \[0, 1\]$"),
    ],
)
def test_errors(axis, kind, text):
    with pytest.raises(kind, match=text):
        ops.sparsemax(np.ones((2, 3), "float32"), axis=axis)
    with pytest.raises(TypeError, match="^sparsemax: x must be floating, received int64$"):
        _core.sparsemax(np.ones((2, 3), "int64"))
