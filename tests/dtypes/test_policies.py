"""Dtype policies and mixed precision against Keras."""

import keras
import numpy as np
import pytest

import maas
from maas import dtype_policies, mixed_precision, ops

MIXED = ["mixed_bfloat16", "mixed_float16"]


@pytest.fixture(autouse=True)
def plain():
    yield
    for k in (keras, maas):
        k.config.set_dtype_policy("float32")


@pytest.mark.parametrize("name", [*MIXED, "float32", "bfloat16", "float16", "float64"])
def test_names(name):
    for k in (keras, maas):
        k.mixed_precision.set_global_policy(name)
    ours, theirs = maas.mixed_precision.global_policy(), keras.mixed_precision.global_policy()
    assert (ours.name, ours.compute_dtype, ours.variable_dtype) == (
        theirs.name,
        theirs.compute_dtype,
        theirs.variable_dtype,
    )
    assert maas.DTypePolicy().name == keras.DTypePolicy().name == name
    assert maas.layers.Dense(2).dtype_policy == ours
    assert dtype_policies.get(dtype_policies.serialize(ours)) == ours
    assert dtype_policies.serialize(ours) == keras.dtype_policies.serialize(theirs)


def test_the_module_has_the_older_names():
    assert mixed_precision.Policy is maas.DTypePolicy
    assert mixed_precision.set_dtype_policy is mixed_precision.set_global_policy


def test_a_map_of_policies():
    def made(k):
        m = k.dtype_policies.DTypePolicyMap("float32")
        m["encoder/layer_0/dense"] = k.DTypePolicy("bfloat16")
        m["encoder/.*"] = k.DTypePolicy("mixed_float16")
        return m

    ours, theirs = made(maas), made(keras)
    for path in ("encoder/layer_0/dense", "encoder/query", "decoder", "encoder"):
        assert ours[path].name == theirs[path].name
    assert (ours.name, ours.compute_dtype, len(ours), list(ours)) == (
        theirs.name,
        theirs.compute_dtype,
        2,
        list(theirs),
    )
    assert dtype_policies.serialize(ours) == keras.dtype_policies.serialize(theirs)
    assert dtype_policies.deserialize(dtype_policies.serialize(ours)) == ours
    with pytest.raises(ValueError, match="already"):
        ours["encoder/.*"] = "float32"
    ours["encoder/a.*"] = "float32"
    with pytest.raises(ValueError, match="one key at most"):
        ours["encoder/attention"]
    with pytest.raises(ValueError, match="cannot be a map"):
        dtype_policies.DTypePolicyMap(ours)


def test_a_plain_layer_inside_a_mixed_one():
    class Outer(maas.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = maas.layers.Dense(3, dtype="float32")
            self.seen = None

        def build(self, shape):
            self.w = self.add_weight(shape=(), initializer="ones")
            self.own = self.add_weight(shape=(), initializer="ones", autocast=False)

        def call(self, x):
            self.seen = [ops.convert_to_tensor(v).dtype for v in (self.w, self.own)]
            return x, self.inner(x)

    layer = Outer(dtype="mixed_bfloat16")
    a, b = layer(np.ones((2, 2), "float32"))
    assert (a.dtype, b.dtype, layer.seen) == ("bfloat16", "float32", ["bfloat16", "float32"])
    assert layer.w.dtype == "float32" and layer.w.value.dtype == "float32"


def cnn(k):
    return k.Sequential([
        k.Input((8, 8, 1)), k.layers.Conv2D(8, 3, activation="relu"), k.layers.BatchNormalization(),
        k.layers.MaxPooling2D(), k.layers.Flatten(), k.layers.Dense(10, activation="softmax", dtype="float32"),
    ])  # fmt: skip


def lstm(k):
    return k.Sequential([k.Input((8, 8)), k.layers.LSTM(16), k.layers.Dense(10, activation="softmax", dtype="float32")])


def bert(k):
    """A BERT-like encoder over the brightness of 64 pixels."""
    tokens, places = k.Input((64,), dtype="int32"), k.Input((64,), dtype="int32")
    x = k.layers.Add()([k.layers.Embedding(17, 16)(tokens), k.layers.Embedding(64, 16)(places)])
    x = k.layers.LayerNormalization()(x)
    for _ in range(2):
        y = k.layers.MultiHeadAttention(2, 8)(x, x)
        x = k.layers.LayerNormalization()(k.layers.Add()([x, y]))
        y = k.layers.Dense(16)(k.layers.Dense(32, activation="gelu")(x))
        x = k.layers.LayerNormalization()(k.layers.Add()([x, y]))
    x = k.layers.Dense(16, activation="tanh")(x[:, 0])
    return k.Model([tokens, places], k.layers.Dense(10, activation="softmax", dtype="float32")(x))


def data_for(make, count=192):
    x, y = maas.datasets.digits.load_data()[0]
    x, y = np.asarray(x[:count]).reshape(-1, 64), np.asarray(y[:count])
    if make is bert:
        return [x.astype("int32") * 16 // max(1, x.max()), np.tile(np.arange(64, dtype="int32"), (count, 1))], y
    return (x / x.max()).astype("float32").reshape((-1, 8, 8, 1) if make is cnn else (-1, 8, 8)), y


def fit(k, make, policy, weights, x, y):
    k.config.set_dtype_policy(policy)
    k.utils.set_random_seed(1)  # from other weights the losses may part by more than rounding
    model = make(k)
    if weights is not None:
        model.set_weights(weights)
    start = model.get_weights()
    model.compile(k.optimizers.Adam(0.005), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=32, epochs=3, shuffle=False, verbose=0).history
    return start, np.array(history["loss"]), np.array(history["accuracy"])


LONG = pytest.mark.long


@pytest.mark.parametrize(
    "make, policy",
    [
        (cnn, MIXED[0]), (bert, MIXED[0]), (cnn, MIXED[1]),
        *(pytest.param(*pair, marks=LONG) for pair in ((lstm, MIXED[0]), (lstm, MIXED[1]), (bert, MIXED[1]))),
    ],
)  # fmt: skip
def test_training_goes_as_in_keras(make, policy):
    """Losses within 4 epsilons of the compute dtype (and at least 1 %) of Keras's in every epoch of six steps, and
    accuracies within four samples.
    """
    x, y = data_for(make)
    # JAX has no attention in float16 on a CPU: there Keras computes in float32.
    theirs = "float32" if (make, policy) == (bert, "mixed_float16") else policy
    weights, want, accuracy = fit(keras, make, theirs, None, x, y)
    _, got, ours = fit(maas, make, policy, weights, x, y)
    np.testing.assert_allclose(got, want, rtol=max(0.01, 4 * (2.0**-8 if "bf" in policy else 2.0**-11)))
    np.testing.assert_allclose(ours, accuracy, atol=4 / len(y))
    assert got[-1] < got[0]


@pytest.mark.parametrize("suffix", ["keras", "maas"])
@pytest.mark.parametrize("policy", [*MIXED, "bfloat16"])
def test_files_keep_policies(policy, suffix, tmp_path):
    maas.config.set_dtype_policy(policy)
    model = cnn(maas)
    x = np.random.default_rng(0).standard_normal((3, 8, 8, 1)).astype("float32")
    want = np.asarray(model.predict(x, verbose=0))
    model.save(tmp_path / f"m.{suffix}")
    maas.config.set_dtype_policy("float32")
    loaded = maas.saving.load_model(tmp_path / f"m.{suffix}")
    assert [a.dtype_policy.name for a in loaded.layers] == [a.dtype_policy.name for a in model.layers]
    np.testing.assert_array_equal(np.asarray(loaded.predict(x, verbose=0)), want)


@pytest.mark.parametrize("policy", [*MIXED, "bfloat16"])
def test_keras_reads_our_files_and_we_read_its(policy, tmp_path):
    x = np.random.default_rng(0).standard_normal((3, 8, 8, 1)).astype("float32")
    for mine, other in ((maas, keras), (keras, maas)):
        mine.config.set_dtype_policy(policy)
        model = cnn(mine)
        want = np.asarray(model.predict(x, verbose=0)).astype("float32")
        model.save(tmp_path / "m.keras")
        model.save_weights(tmp_path / "m.weights.h5")
        loaded = other.saving.load_model(tmp_path / "m.keras")
        other.config.set_dtype_policy(policy)
        again = cnn(other)
        again.load_weights(tmp_path / "m.weights.h5")
        assert [a.dtype_policy.name for a in loaded.layers] == [a.dtype_policy.name for a in model.layers]
        for m in (loaded, again):
            np.testing.assert_allclose(np.asarray(m.predict(x, verbose=0)).astype("float32"), want, atol=2.0**-6)
