"""CTC and generalized cross entropy against real Keras."""

import keras
import numpy as np
import pytest

from maas import losses, ops


def ctc_data(batch=5, time=20, classes=7, width=6, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(batch, time, classes)).astype("float32") * 2
    labels = rng.integers(1, classes, (batch, width)).astype("int32")
    labels[1] = 3  # repeats need a blank between them
    return labels, x, np.array([6, 6, 1, 0, 4], "int32"), np.array([20, 15, 20, 7, 9], "int32")


@pytest.mark.parametrize("blank", [0, 6])
def test_ctc_loss_as_keras(blank):
    labels, x, lengths, times = ctc_data()
    labels = labels - (1 if blank == 6 else 0)
    found = ops.ctc_loss(labels, x, lengths, times, mask_index=blank).numpy()
    expected = np.asarray(keras.ops.ctc_loss(labels, x, lengths, times, mask_index=blank))
    np.testing.assert_allclose(found, expected, rtol=64 * np.finfo("float32").eps)


def test_ctc_gradient_as_jax():
    import jax

    from maas import _core

    labels, x, lengths, times = ctc_data()
    with _core.Trace() as trace:
        node = trace.input(list(x.shape), "float32")
        loss = _core.sum(_core.ctc_loss(node, labels, lengths, times))
        program = trace.compile(_core.gradients(loss, [node]))
    expected = jax.grad(lambda x: keras.ops.ctc_loss(labels, x, lengths, times).sum())(x)
    np.testing.assert_allclose(program.numpy(x)[0], np.asarray(expected), atol=1e-5)


def test_ctc_class():
    labels, x, _, _ = ctc_data()
    labels[0, 4:] = labels[3, 1:] = 0
    found = losses.CTC()(labels, x)
    np.testing.assert_allclose(np.asarray(found), np.asarray(keras.losses.CTC()(labels, x)), rtol=1e-5)
    assert losses.CTC().get_config() == keras.losses.CTC().get_config()
    with pytest.raises(ValueError, match=r"received \(5,\) and \(5, 20, 7\)"):
        losses.ctc(labels[:, 0], x)


@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_generalized_cross_entropy(shape):
    rng = np.random.default_rng(0)
    p = rng.random((6, 4)).astype("float32")
    p, y = p / p.sum(-1, keepdims=True), rng.integers(0, 4, 6).astype("int32")
    found = losses.CategoricalGeneralizedCrossEntropy(q=0.7)
    oracle = keras.losses.CategoricalGeneralizedCrossEntropy(q=0.7)
    np.testing.assert_allclose(np.asarray(found(y, p)), np.asarray(oracle(y, p)), rtol=1e-5)
    assert found.get_config() == oracle.get_config()
    with pytest.raises(ValueError, match="received q=1"):
        losses.CategoricalGeneralizedCrossEntropy(q=1)
