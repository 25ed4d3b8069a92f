"""Cross entropies: second derivative, infinite logits, real Keras, typed errors. Cases are in loss_cases.py."""

import numpy as np
import pytest

from maas import _core, ops
from tests.ops import loss_cases, support


def test_second_derivative():
    x, labels = np.random.default_rng(0).standard_normal((3, 5)), np.array([4, 0, 2])

    def gradient(x, t):
        return _core.gradients(_core.sum(_core.sin(_core.sparse_softmax_cross_entropy(x, t))), [x])[0]

    def meaning(args):
        y, p = loss_cases.sparse(*args), np.exp(loss_cases.log_softmax(args[0]))
        return [np.cos(y)[:, None] * (p - loss_cases.one_hot(args[1], 5))]

    support.check_gradients(gradient, [x, labels], meaning=meaning)


@pytest.mark.parametrize("level", support.LEVELS)
def test_infinite_logits(level):
    inf = np.inf
    x = np.array([[0, -inf, 1], [inf, 0, 0], [np.nan, 0, 0]], "float32")
    with support.isa(level):
        got = _core.sparse_softmax_cross_entropy(x, np.array([0, 1, 2])).numpy()
    np.testing.assert_allclose(got[0], np.log(1 + np.e), rtol=1e-6)
    assert np.isnan(got[1:]).all()


def test_as_keras(keras):
    rng = np.random.default_rng(0)
    x, targets = (2 * rng.standard_normal((4, 6))).astype("float32"), rng.random((4, 6), dtype="float32")
    labels, targets = rng.integers(0, 6, 4), targets / targets.sum(-1, keepdims=True)
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
