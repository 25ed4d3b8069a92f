"""Legacy `.h5` files as Keras 2 writes them: batch_input_shape, old calls, `:0` names, old training configs."""

import json

import h5py
import numpy as np
import pytest

import maas
from maas.saving import load_model

INITIALIZER = {"class_name": "GlorotUniform", "config": {"seed": None, "dtype": "float32"}}


def dense(name, units, activation="linear", **more):
    config = {"name": name, "trainable": True, "dtype": "float32", "units": units, "activation": activation}
    config |= {"use_bias": True, "kernel_initializer": INITIALIZER, "kernel_regularizer": None, **more}
    return {"class_name": "Dense", "config": config}


def write(path, config, weights, training=None, optimizer=None):
    """`weights`: dict of layer name to {weight name: array}."""
    with h5py.File(path, "w") as f:
        f.attrs["keras_version"], f.attrs["backend"] = b"2.11.0", b"tensorflow"
        f.attrs["model_config"] = json.dumps(config).encode()
        if training:
            f.attrs["training_config"] = json.dumps(training).encode()
        group = f.create_group("model_weights")
        group.attrs["layer_names"] = [n.encode() for n in weights]
        group.attrs["keras_version"], group.attrs["backend"] = b"2.11.0", b"tensorflow"
        for layer, arrays in weights.items():
            inner = group.create_group(layer)
            inner.attrs["weight_names"] = [n.encode() for n in arrays]
            for name, array in arrays.items():
                inner[name] = array
        if optimizer:
            inner = f.create_group("optimizer_weights")
            inner.attrs["weight_names"] = [n.encode() for n in optimizer]
            for name, array in optimizer.items():
                inner[name] = array
    return path


RNG = np.random.default_rng(5)
K1, B1, K2, B2 = (RNG.standard_normal(s).astype("float32") for s in ((3, 4), (4,), (4, 2), (2,)))
WEIGHTS = {
    "dense": {"dense/kernel:0": K1, "dense/bias:0": B1},
    "drop": {},
    "dense_1": {"dense_1/kernel:0": K2, "dense_1/bias:0": B2},
}
TRAINING = {
    "loss": {
        "class_name": "MeanSquaredError",
        "config": {"reduction": "auto", "name": "mse", "fn": "mean_squared_error"},
    },
    "metrics": [[{"class_name": "MeanMetricWrapper", "config": {"name": "mae", "fn": "mean_absolute_error"}}]],
    "weighted_metrics": None,
    "loss_weights": None,
    "optimizer_config": {
        "class_name": "Custom>Adam",
        "config": {
            "name": "Adam",
            "lr": 0.5,
            "decay": 0.0,
            "is_legacy_optimizer": False,
            "jit_compile": True,
            "beta_1": 0.8,
        },
    },
}
SLOTS = {"iteration:0": np.int64(7)} | {
    f"Adam/{kind}/{name}": np.full(array.shape, value, "float32")
    for name, array in (WEIGHTS["dense"] | WEIGHTS["dense_1"]).items()
    for kind, value in (("m", 0.25), ("v", 0.75))
}


def sequential(layers):
    return {"class_name": "Sequential", "config": {"name": "old", "layers": layers}}


DROPOUT = {"class_name": "Dropout", "config": {"name": "drop", "rate": 0.5, "noise_shape": None, "seed": None}}
LAYERS = [dense("dense", 4, "relu", batch_input_shape=[None, 3]), DROPOUT, dense("dense_1", 2)]


def expected(x):
    return np.maximum(x @ K1 + B1, 0) @ K2 + B2


@pytest.mark.parametrize("form", ["dict", "list"])
def test_sequential(tmp_path, form):
    config = sequential(LAYERS)
    if form == "list":  # before Keras 2.2.3
        config["config"] = LAYERS
    model = load_model(write(tmp_path / "m.h5", config, WEIGHTS))
    x = RNG.standard_normal((5, 3)).astype("float32")
    np.testing.assert_allclose(model.predict(x, verbose=0), expected(x), rtol=1e-5, atol=1e-5)
    assert [layer.name for layer in model.layers] == ["dense", "drop", "dense_1"] and not model.compiled


def test_functional_with_old_calls(tmp_path):
    layers = [
        {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 3], "dtype": "float32", "name": "in"}},
        dense("dense", 4, "relu"),
        dense("dense_1", 2),
        {"class_name": "Add", "config": {"name": "add", "trainable": True, "dtype": "float32"}},
    ]  # fmt: skip
    calls = [[], [[["in", 0, 0, {}]]], [[["dense", 0, 0, {}]]], [[["dense_1", 0, 0, {}], ["dense_1", 0, 0, {}]]]]
    for layer, nodes in zip(layers, calls):
        layer |= {"name": layer["config"]["name"], "inbound_nodes": nodes}
    config = {"name": "old", "layers": layers, "input_layers": [["in", 0, 0]], "output_layers": [["add", 0, 0]]}
    weights = {"in": {}, **{k: v for k, v in WEIGHTS.items() if v}, "add": {}}
    model = load_model(write(tmp_path / "m.h5", {"class_name": "Model", "config": config}, weights))
    x = RNG.standard_normal((5, 3)).astype("float32")
    np.testing.assert_allclose(model.predict(x, verbose=0), 2 * expected(x), rtol=1e-5, atol=1e-5)


def test_training_config_and_optimizer_state(tmp_path):
    model = load_model(write(tmp_path / "m.h5", sequential(LAYERS), WEIGHTS, TRAINING, SLOTS))
    assert (
        model.compiled
        and type(model.optimizer) is maas.optimizers.Adam
        and type(model.loss) is maas.losses.MeanSquaredError
    )
    values = [v.numpy() for v in model.optimizer.variables]
    assert values[0] == 7 and values[1] == np.float32(0.5) and model.optimizer.beta_1 == 0.8
    assert all((v == 0.25).all() for v in values[2::2]) and all((v == 0.75).all() for v in values[3::2])
    assert not load_model(tmp_path / "m.h5", compile=False).compiled


def test_state_that_is_not_understood_is_said(tmp_path):
    path = write(tmp_path / "m.h5", sequential(LAYERS), WEIGHTS, TRAINING, {"Adam/iter:0": np.int64(7)})
    with pytest.warns(UserWarning, match="starts anew.*received 1"):
        load_model(path)


def test_arguments_that_meant_something_are_refused(tmp_path):
    config = {**TRAINING, "optimizer_config": {"class_name": "SGD", "config": {"lr": 0.1, "decay": 0.01}}}
    with pytest.raises(ValueError, match="'decay'.*0.01"):
        load_model(write(tmp_path / "m.h5", sequential(LAYERS), WEIGHTS, config))


def test_weights_of_a_whole_model_file(tmp_path):
    path = write(tmp_path / "m.h5", sequential(LAYERS), WEIGHTS)
    model = maas.Sequential([maas.Input((3,)), maas.layers.Dense(4, activation="relu"), maas.layers.Dense(2)])
    model.load_weights(path)
    x = RNG.standard_normal((5, 3)).astype("float32")
    np.testing.assert_allclose(model.predict(x, verbose=0), expected(x), rtol=1e-5, atol=1e-5)


def test_a_registered_class_in_our_own_file(tmp_path):
    @maas.saving.register_keras_serializable("tests")
    class Doubled(maas.layers.Layer):
        def call(self, x):
            return 2 * x

    model = maas.Sequential([maas.Input((4,)), Doubled(), maas.layers.Dense(1)])
    model.save(tmp_path / "m.h5")
    x = np.arange(8, dtype="float32").reshape(2, 4)
    again = maas.models.load_model(tmp_path / "m.h5")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
