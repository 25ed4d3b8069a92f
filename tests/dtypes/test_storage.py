"""Every dtype shown, converted to Python and NumPy, and saved; also where ml_dtypes is not installed."""

import os
import subprocess
import sys

import keras
import ml_dtypes
import numpy as np
import pytest

import maas
from maas import backend, ops
from maas.backend.standardize import DTYPES

NAMES = [d for d in DTYPES if d != "string"]
OWN = {n: np.dtype(getattr(ml_dtypes, n)) for n in ("bfloat16", "float8_e4m3fn", "float8_e5m2", "int4")}


def values(name):
    if name == "bool":
        return np.array([True, False, True])
    low = 0 if name.startswith("uint") else -2
    return np.array([low, 1, 3]).astype(OWN.get(name, name))


@pytest.mark.parametrize("name", NAMES)
def test_shown_and_read(name):
    t = ops.convert_to_tensor(values(name))
    assert t.dtype == name == backend.standardize_dtype(values(name).dtype)
    assert f"dtype={name}" in repr(t) and "3" in repr(t) or name == "bool"
    assert [x.item() for x in t] == values(name).astype("float64").tolist()
    v = maas.Variable(values(name))
    assert v.dtype == name
    assert np.asarray(v).dtype == values(name).dtype
    v.assign(ops.convert_to_tensor([0, 1, 1]))
    np.testing.assert_array_equal(np.asarray(v).astype("float64"), [0, 1, 1])
    assert backend.numpy_dtype(name) == np.asarray(ops.convert_to_tensor(values(name))).dtype or name in OWN


def test_the_longest_unsigned_integers():
    big = np.array([2**64 - 1, 2**63, 1], "uint64")
    t = ops.convert_to_tensor(big)
    assert [x.item() for x in t] == big.tolist()
    np.testing.assert_array_equal(np.asarray(ops.sort(t)), np.sort(big))
    assert ops.max(t).item() == 2**64 - 1 and ops.argmin(t).item() == 2
    np.testing.assert_array_equal(
        np.asarray(ops.floor_divide(t, ops.convert_to_tensor(np.array(3, "uint64")))), big // 3
    )
    np.testing.assert_array_equal(np.asarray(t > ops.convert_to_tensor(np.array(5, "uint64"))), [True, True, False])


class Holder(maas.layers.Layer):
    """A layer with a weight of every dtype."""

    def build(self, shape):
        for name in NAMES:
            self.add_weight(name=name, shape=(3,), dtype=name, initializer="zeros", trainable=False)

    def call(self, x):
        return x


maas.saving.register_keras_serializable("tests")(Holder)


@pytest.mark.parametrize("suffix", ["keras", "maas", "weights.h5"])
def test_saved(suffix, tmp_path):
    def made():
        model = maas.Sequential([maas.Input((2,)), Holder(), maas.layers.Dense(1)])
        return model

    model = made()
    for v in model.layers[0].weights:
        v.assign(values(v.dtype))
    path = tmp_path / f"m.{suffix}"
    if suffix == "weights.h5":
        model.save_weights(path)
        loaded = made()
        loaded.load_weights(path)
    else:
        model.save(path)
        loaded = maas.saving.load_model(path)
    for v, w in zip(model.layers[0].weights, loaded.layers[0].weights):
        assert v.dtype == w.dtype
        np.testing.assert_array_equal(np.asarray(v).astype("float64"), np.asarray(w).astype("float64"))


@pytest.mark.parametrize("name", ["bfloat16", "float16", "int8", "uint16", "bool"])
def test_files_of_keras(name, tmp_path):
    """Weights files both ways, bfloat16 as Keras stores it."""
    made = {}
    for k in (maas, keras):
        layer = k.layers.Dense(2, dtype="float32" if name in ("int8", "uint16", "bool") else name)
        made[k] = k.Sequential([k.Input((3,)), layer])
    rng = np.random.default_rng(0)
    for k, other in ((maas, keras), (keras, maas)):
        made[k].set_weights([rng.integers(0, 2, w.shape).astype("float32") for w in made[k].get_weights()])
        made[k].save_weights(tmp_path / "m.weights.h5")
        made[other].load_weights(tmp_path / "m.weights.h5")
        for v, w in zip(made[maas].weights, made[keras].weights):
            assert v.dtype == w.dtype
            np.testing.assert_array_equal(np.asarray(v).astype("float32"), np.asarray(w).astype("float32"))


ALONE = """
import sys
sys.modules["ml_dtypes"] = None
import numpy as np
import maas
from maas import layers
from tests.layers.layer_cases import CASES, inputs_of
maas.config.set_dtype_policy(sys.argv[1])
for case in CASES:
    layer, arrays = case.make(layers), inputs_of(case)
    kind = type(layer).__name__
    separate = len(arrays) == 1 or "Head" in kind or "Query" in kind
    y = layer(*arrays, **case.call) if separate else layer(arrays, **case.call)
    for leaf in maas.tree.flatten(y):
        assert np.isfinite(np.asarray(leaf, "float32")).all(), case.name
x = maas.ops.convert_to_tensor([1.5, 2.0], "bfloat16")
assert np.asarray(x).dtype == "float32" and maas.ops.convert_to_tensor([3], "int4").numpy().dtype == "int8"
model = maas.Sequential([maas.Input((4,)), layers.Dense(3, activation="relu"), layers.Dense(1)])
model.compile("adam", "mse", metrics=["mae"])
model.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0)
model.save(sys.argv[2])
again = maas.saving.load_model(sys.argv[2])
assert np.array_equal(again.predict(np.ones((8, 4)), verbose=0), model.predict(np.ones((8, 4)), verbose=0))
assert "keras" not in sys.modules
"""


@pytest.mark.parametrize("policy", ["bfloat16", "mixed_bfloat16"])
def test_without_ml_dtypes(policy, tmp_path):
    """Where only what maas needs is installed, NumPy arrays of bfloat16 are float32, and everything else goes on."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("KERAS")}
    command = [sys.executable, "-c", ALONE, policy, str(tmp_path / "m.keras")]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
