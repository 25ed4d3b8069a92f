"""`pickle` and `copy` of models, layers, Variables and Tensors: the same answers, and nothing shared."""

import copy
import pickle

import numpy as np
import pytest

import maas
from maas import layers, ops

X = np.random.default_rng(0).standard_normal((8, 3)).astype("float32")


class Scale(layers.Layer):
    def __init__(self, factor=2, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, shape):
        self.w = self.add_weight((shape[-1],), name="w")

    def call(self, x):
        return x * self.w * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def trained():
    model = maas.Sequential([layers.Input((3,)), layers.Dense(4), layers.BatchNormalization(), Scale(3)])
    model.compile("adam", "mse")
    model.fit(X, X[:, :1], verbose=0)
    return model


@pytest.mark.parametrize("again", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy, copy.copy])
def test_model(again):
    model = trained()
    other, before = again(model), model.predict(X, verbose=0)
    assert type(other) is type(model) and other.name == model.name
    np.testing.assert_array_equal(other.predict(X, verbose=0), before)
    # The optimizer's state came along, and the copy trains alone.
    a = other.fit(X, X[:, :1], shuffle=False, verbose=0).history
    np.testing.assert_array_equal(model.predict(X, verbose=0), before)
    assert a == model.fit(X, X[:, :1], shuffle=False, verbose=0).history


def test_model_that_is_not_built():
    with pytest.warns(UserWarning, match="before it is built"):
        other = copy.deepcopy(maas.Sequential([layers.Dense(4)]))
    assert not other.built and other.layers[0].units == 4


def test_layer():
    layer = trained().layers[2]
    other = copy.deepcopy(layer)
    np.testing.assert_array_equal(other(X[:, :1] * np.ones(4, "float32")), layer(X[:, :1] * np.ones(4, "float32")))
    assert other.w is not layer.w and other.factor == 3


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool", "bfloat16"])
def test_tensor_and_variable(dtype):
    t = ops.cast(ops.arange(3), dtype)
    for other in (pickle.loads(pickle.dumps(t)), copy.copy(t), copy.deepcopy({"a": t})["a"]):
        assert other.dtype == t.dtype and np.array_equal(other.numpy(), t.numpy())
    v = maas.Variable(t, trainable=False, name="state")
    w = copy.deepcopy(v)
    assert w is not v and (w.dtype, w.trainable, w.name) == (v.dtype, False, "state")
    w.assign(ops.zeros_like(t))
    assert np.array_equal(v.numpy(), t.numpy())


def test_a_scalar_has_nothing_to_iterate_over():
    with pytest.raises(TypeError, match="without axes"):
        iter(ops.ones(()))
