"""Cross entropies: every kernel against float64, equal bits where they are promised, hostile labels, real Keras."""

import numpy as np
import pytest

from maas import _core, ops
from tests.ops import loss_cases
from tests.ops.levels import LEVELS, at_level, check_gradients, check_same_bits, compiled


def data(shape, scale, dtype):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(shape) * scale).astype(dtype)
    labels = rng.integers(0, shape[-1], shape[:-1])
    return x, labels, np.abs(rng.standard_normal(shape)).astype(dtype)


@pytest.mark.parametrize("scale", loss_cases.SCALES)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", loss_cases.SHAPES)
def test_losses_and_gradients(shape, dtype, level, scale):
    x, labels, targets = data(shape, scale, dtype)
    rows = ["batch", *shape[1:]]

    def function(x, labels, targets):
        losses = [_core.sparse_softmax_cross_entropy(x, labels), _core.softmax_cross_entropy(x, targets)]
        return losses + [_core.gradients(_core.sum(loss), [x])[0] for loss in losses]

    with at_level(level):
        program = compiled(function, (rows, dtype), (rows[:-1], "int64"), (rows, dtype))
        sparse, dense, d_sparse, d_dense = program.numpy(x, labels, targets)
    eps = np.finfo(dtype).eps
    for got, got_dx, (want, want_dx), mass in (
        (sparse, d_sparse, loss_cases.sparse(x, labels) if x.size else (sparse, d_sparse), 1),
        (dense, d_dense, loss_cases.dense(x, targets) if x.size else (dense, d_dense), targets.sum(-1, initial=0)),
    ):
        assert got.dtype == dtype and got.shape == shape[:-1] and got_dx.shape == shape
        # The error of x - max counts in epsilons of x; roundings of a sum of n terms add up to sqrt(n).
        bound = eps * (8 + shape[-1] ** 0.5) * (np.abs(want) + mass) + 4 * eps * scale
        assert np.all(np.abs(got - want) <= bound)
        slack = 8 * eps * (1 + np.asarray(mass)[..., None]) * (4 + np.minimum(scale, 100))
        assert np.all(np.abs(got_dx - want_dx) <= slack)


@pytest.mark.parametrize("shape", loss_cases.SHAPES)
def test_bits(shape):
    x, labels, targets = data(shape, 3, "float32")
    check_same_bits("sparse_softmax_cross_entropy", [x, labels], {})
    check_same_bits("softmax_cross_entropy", [x, targets], {})
    row = np.ones(shape[:-1], "float32")
    for name, t in (("sparse_softmax_cross_entropy_gradient", labels), ("softmax_cross_entropy_gradient", targets)):
        check_same_bits(name, [x, t, row, row * 2, row * 3], {})


def test_gradients_in_float64():
    x, labels, targets = data((3, 5), 1, "float64")
    check_gradients(lambda x, t: _core.sparse_softmax_cross_entropy(x, t), x, labels)
    check_gradients(lambda x, t: _core.softmax_cross_entropy(x, t), x, targets)

    def twice(x, t):
        return _core.gradients(_core.sum(_core.sin(_core.sparse_softmax_cross_entropy(x, t))), [x])[0]

    check_gradients(twice, x, labels)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("bad", loss_cases.HOSTILE)
def test_hostile_labels(bad, level):
    x, labels = np.ones((3, 10), "float32"), np.array([1, bad, 2])
    row = np.ones(3, "float32")
    with at_level(level):
        with pytest.raises(IndexError, match=rf"sparse_softmax_cross_entropy: .* position 1, received {bad}"):
            _core.sparse_softmax_cross_entropy(x, labels)
        with pytest.raises(IndexError, match=rf"sparse_softmax_cross_entropy_gradient: .* position 1, received {bad}"):
            _core.sparse_softmax_cross_entropy_gradient(x, labels, row, row, row)


@pytest.mark.parametrize("level", LEVELS)
def test_infinite_logits(level):
    inf = np.inf
    x = np.array([[0, -inf, 1], [inf, 0, 0], [np.nan, 0, 0]], "float32")
    with at_level(level):
        got = _core.sparse_softmax_cross_entropy(x, np.array([0, 1, 2])).numpy()
    np.testing.assert_allclose(got[0], np.log(1 + np.e), rtol=1e-6)
    assert np.isnan(got[1:]).all()


def test_as_keras(keras):
    x, labels, targets = data((4, 6), 2, "float32")
    targets = targets / targets.sum(-1, keepdims=True)
    p = np.exp(loss_cases.log_softmax(x)).astype("float32")
    k = keras.ops
    for logits, output in ((True, x), (False, p)):
        for name, t in (
            ("sparse_categorical_crossentropy", labels),
            ("categorical_crossentropy", targets),
            ("binary_crossentropy", targets),
        ):
            want = k.convert_to_numpy(getattr(k, name)(t, output, from_logits=logits))
            got = getattr(ops, name)(t, output, from_logits=logits).numpy()
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6, err_msg=name)


def test_errors():
    x = np.ones((2, 3), "float32")
    with pytest.raises(
        ValueError, match=r"labels must have the shape of logits \(2, 3\) without its last axis, received \(3,\)"
    ):
        _core.sparse_softmax_cross_entropy(x, np.array([0, 1, 2]))
    with pytest.raises(TypeError, match="labels must be integers, received float32"):
        _core.sparse_softmax_cross_entropy(x, x[:, 0])
    with pytest.raises(ValueError, match="must have one shape"):
        _core.softmax_cross_entropy(x, x[:1])
