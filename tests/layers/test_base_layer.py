"""`Layer`: tracking, names, weights, masks, losses, `training`, errors."""

import keras
import numpy as np
import pytest

from maas import layers, models, ops
from maas.backend.masks import get_keras_mask, set_keras_mask
from tests.layers.pair import fresh_names

X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


class Scale(layers.Layer):
    """A layer as users write them."""

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="w")

    def call(self, inputs):
        return inputs * self.w * self.factor


class Block(layers.Layer):
    """Sub-layers in an attribute, a list and a dict; no build() of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Dense(4)
        self.rest = [layers.Dense(3), layers.Dense(2)]
        self.named = {"last": layers.Dense(1)}

    def call(self, x):
        x = self.first(x)
        for layer in self.rest:
            x = layer(x)
        return self.named["last"](x)


def test_user_layer():
    layer = Scale()
    np.testing.assert_array_equal(layer(X), X * 2)
    assert [w.path for w in layer.weights] == ["scale/w"] or layer.weights[0].path.startswith("scale")
    assert layer.get_config()["factor"] == 2.0
    copy = Scale.from_config(layer.get_config())
    assert copy.factor == 2.0
    assert copy.name == layer.name


def test_sub_layers_are_tracked_and_built():
    fresh_names()
    layer = Block()
    layer(X)
    assert layer.built
    assert [len(w.shape) for w in layer.weights] == [2, 1] * 4
    assert [w.path for w in layer.weights][:2] == ["block/dense/kernel", "block/dense/bias"]
    layer.trainable = False
    assert layer.trainable_weights == []
    assert not layer.rest[0].trainable
    assert len(layer.non_trainable_weights) == 8


def test_initializer_of_ops_inside_a_trace():
    class Inner(models.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2, kernel_initializer=lambda shape, dtype=None: ops.ones(shape, dtype) * 2.0)

        def call(self, x):
            return self.dense(x)

    np.testing.assert_allclose(Inner()(X), X.sum(axis=1, keepdims=True) * np.full((1, 2), 2.0, "float32"), rtol=1e-5)


def test_names_count_like_keras():
    fresh_names()
    ours = [
        layers.Dense(1).name,
        layers.Dense(1).name,
        layers.MaxPooling2D().name,
        layers.LSTM(1).name,
        layers.Conv2D(1, 1).name,
    ]
    theirs = [
        keras.layers.Dense(1).name, keras.layers.Dense(1).name, keras.layers.MaxPooling2D().name,
        keras.layers.LSTM(1).name,
        keras.layers.Conv2D(1, 1).name,
    ]  # fmt: skip
    assert ours == theirs


def test_set_weights_checks_before_it_writes():
    layer = layers.Dense(2, name="head")
    layer(X)
    before = layer.get_weights()
    with pytest.raises(ValueError, match=r"Dense 'head': set_weights\(\) takes 2 arrays .*, received 1"):
        layer.set_weights(before[:1])
    with pytest.raises(ValueError, match=r"needs shape \(2,\) for 'head/bias', received \(3,\)"):
        layer.set_weights([before[0] + 1, np.zeros(3, "float32")])
    np.testing.assert_array_equal(layer.get_weights()[0], before[0])


def test_weights_are_copies():
    layer = layers.Dense(2)
    layer(X)
    values = layer.get_weights()
    values[0][:] = 7
    assert not np.any(layer.get_weights()[0] == 7)


@pytest.mark.parametrize(
    ("make", "x", "text"),
    [
        (lambda: layers.Dense(4, name="head"), np.zeros((2, 5), "float32"), r"Dense 'head': last axis of the "
            r"input must be 3, received \(2, 5\)"),
        (lambda: layers.Conv2D(4, 3, name="c"), np.zeros((2, 5), "float32"), r"Conv2D 'c': the rank of the input "
            r"must be at least 4, received \(2, 5\)"),
        (lambda: layers.LSTM(4, name="r"), np.zeros((2, 5), "float32"), r"LSTM 'r': the input must have rank 3 "
            r".*, received \(2, 5\)"),
        (lambda: layers.Add(name="a"), np.zeros((2, 5), "float32"), r"Add 'a': the input must be a list of "
            r"tensors, received \(2, 5\)"),
        (lambda: layers.Dense(4, name="d"), 3.0, r"Dense 'd': only tensors may be passed as positional arguments, "
            r"received 3.0"),
    ],
)  # fmt: skip
def test_errors_name_the_layer(make, x, text):
    layer = make()
    if layer.name == "head":
        layer(X)
    with pytest.raises(ValueError, match=text):
        layer(x)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dense(0),
        lambda: layers.Dense("a"),
        lambda: layers.Dense(2, unknown=1),
        lambda: layers.Dense(2, name="a/b"),
        lambda: layers.Dense(2, activation="nope"),
        lambda: layers.Dense(2, kernel_initializer="nope"),
        lambda: layers.Conv2D(2, 0),
        lambda: layers.Conv2D(2, (3, 3, 3)),
        lambda: layers.Conv2D(2, 3, padding="full"),
        lambda: layers.Conv2D(2, 3, strides=2, dilation_rate=2),
        lambda: layers.Conv2D(3, 3, groups=2),
        lambda: layers.Dropout(1.5),
        lambda: layers.MaxPooling2D(-1),
        lambda: layers.ReLU(negative_slope=-1.0),
        lambda: layers.Embedding(0, 2),
        lambda: layers.MultiHeadAttention(0, 2),
        lambda: layers.Permute((1, 3)),
        lambda: layers.Reshape((-1, -1)),
        lambda: layers.Bidirectional(layers.LSTM(2), merge_mode="nope"),
        lambda: layers.Normalization(mean=1.0),
        lambda: layers.Input(),
        lambda: layers.Input((-3,)),
        lambda: layers.Input((3,), dtype="float99"),
    ],
)
def test_wrong_arguments(make):
    with pytest.raises(ValueError, match="received"):
        make()


def test_window_larger_than_the_input():
    with pytest.raises(ValueError, match=r"Conv2D 'c': the output would be empty.*received \(2, 2, 2, 1\)"):
        layers.Conv2D(2, 3, name="c")(np.zeros((2, 2, 2, 1), "float32"))


def test_forgotten_super_init():
    class Bad(layers.Layer):
        def __init__(self):
            self.dense = layers.Dense(2)

    with pytest.raises(RuntimeError, match="super"):
        Bad()


def test_state_is_locked_after_build():
    layer = layers.Dense(2)
    layer(X)
    with pytest.raises(ValueError, match="takes no new variables"):
        layer.more = layers.Dense(2)


def test_training_is_handed_down():
    seen = []

    class Inner(layers.Layer):
        def call(self, x, training=False):
            seen.append(training)
            return x

    class Outer(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = Inner()

        def call(self, x):
            return self.inner(x)

    outer = Outer()
    outer(X)
    outer(X, training=True)
    assert seen[-2:] == [False, True]


def test_add_loss_and_regularizers():
    class Penalty(layers.Layer):
        def call(self, x):
            self.add_loss(ops.sum(x))
            return x

    layer = Penalty()
    layer(X)
    layer(X)
    assert len(layer.losses) == 1
    np.testing.assert_allclose(float(layer.losses[0]), X.sum(), rtol=1e-5)
    dense = layers.Dense(2, kernel_regularizer=keras_like_l2)
    dense(X)
    np.testing.assert_allclose(float(dense.losses[0]), (dense.get_weights()[0] ** 2).sum(), rtol=1e-5)


def keras_like_l2(w):
    return ops.sum(ops.square(w))


def test_masks_travel():
    ids = np.array([[1, 2, 0], [3, 0, 0]], "int32")
    x = layers.Embedding(5, 4, mask_zero=True)(ids)
    np.testing.assert_array_equal(get_keras_mask(x), ids != 0)
    y = layers.Dense(2)(x)
    np.testing.assert_array_equal(get_keras_mask(y), ids != 0)
    y = layers.LSTM(2, return_sequences=True)(y)
    np.testing.assert_array_equal(get_keras_mask(y), ids != 0)
    assert get_keras_mask(layers.GlobalAveragePooling1D()(y)) is None
    with pytest.warns(UserWarning, match="Flatten 'f'.*does not support masking"):
        layers.Flatten(name="f")(y)
    set_keras_mask(y, None)
    assert get_keras_mask(y) is None


@pytest.mark.parametrize("name", ["LSTM", "SimpleRNN", "GRU"])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
def test_masked_recurrence(name, sequences, backwards):
    x = np.random.default_rng(1).normal(size=(3, 5, 4)).astype("float32")
    mask = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [1, 1, 1, 1, 1]], bool)
    made = []
    for lib in (layers, keras.layers):
        layer = getattr(lib, name)(3, return_sequences=sequences, go_backwards=backwards)
        layer.build((None, 5, 4))
        made.append(layer)
    made[0].set_weights(made[1].get_weights())
    np.testing.assert_allclose(made[0](x, mask=mask), made[1](x, mask=mask), atol=1e-6)


def test_masked_bidirectional():
    ids = np.array([[1, 2, 3, 0], [3, 0, 0, 0]], "int32")
    outs = []
    values = None
    for lib, sequential in ((keras.layers, keras.Sequential), (layers, models.Sequential)):
        model = sequential([
            lib.Input((4,), dtype="int32"), lib.Embedding(5, 4, mask_zero=True),
            lib.Bidirectional(lib.LSTM(3, return_sequences=True)),
            lib.GlobalAveragePooling1D(),
        ])  # fmt: skip
        values = values or model.get_weights()
        model.set_weights(values)
        outs.append(np.asarray(model(ids)))
    np.testing.assert_allclose(outs[0], outs[1], atol=1e-6)


def test_dropout_in_training():
    x = np.ones((64, 64), "float32")
    layer = layers.Dropout(0.25, seed=1)
    a, b = np.asarray(layer(x, training=True)), np.asarray(layer(x, training=True))
    assert not np.array_equal(a, b)
    assert set(np.unique(a)) == {np.float32(0), np.float32(1) / np.float32(0.75)}
    assert abs((a == 0).mean() - 0.25) < 0.03
    spatial = np.asarray(layers.SpatialDropout1D(0.5, seed=1)(np.ones((8, 5, 16), "float32"), training=True))
    assert np.all((spatial == spatial[:, :1]).all(axis=1))
    noise = np.asarray(layers.GaussianNoise(0.5, seed=1)(np.zeros((100, 100), "float32"), training=True))
    assert abs(noise.std() - 0.5) < 0.02


def test_normalization_adapts():
    data = np.random.default_rng(3).normal(3, 2, (50, 4)).astype("float32")
    ours, theirs = layers.Normalization(), keras.layers.Normalization()
    theirs.adapt(data)
    ours.adapt([data[:20], data[20:]])
    np.testing.assert_allclose(ours(data), theirs(data), atol=1e-5)
    with pytest.raises(ValueError, match="received none"):
        layers.Normalization().adapt([])


def test_stateful_lstm():
    x = np.random.default_rng(1).normal(size=(2, 3, 4)).astype("float32")
    pairs = []
    for lib in (layers, keras.layers):
        layer = lib.LSTM(3, stateful=True)
        layer.build((2, 3, 4))
        pairs.append(layer)
    pairs[0].set_weights(pairs[1].get_weights())
    for _ in range(2):
        np.testing.assert_allclose(pairs[0](x), pairs[1](x), atol=1e-6)
    pairs[0].reset_state()
    pairs[1].reset_state()
    np.testing.assert_allclose(pairs[0](x), pairs[1](x), atol=1e-6)


def test_lambda_is_never_saved_as_code():
    layer = layers.Lambda(lambda x: x * 2)
    np.testing.assert_array_equal(layer(X), X * 2)
    with pytest.raises(ValueError, match="a lambda cannot be saved"):
        layer.get_config()
    with pytest.raises(ValueError, match="never run"):
        layers.Lambda.from_config({"name": "l", "function": {"class_name": "__lambda__", "config": {"code": "x"}}})


def test_layer_is_freed_at_once():
    import gc
    import weakref

    gc.disable()
    try:
        model = models.Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(2)])
        model(X)
        alive = weakref.ref(model.layers[0])
        del model
        assert alive() is None
    finally:
        gc.enable()
