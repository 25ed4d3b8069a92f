"""`maas.utils.Config` and the configs of `maas.legacy.saving` beside those of real Keras."""

import keras
import numpy as np
import pytest

import maas

CLAIMS = {"utils.Config", "legacy.saving.deserialize_keras_object", "legacy.saving.serialize_keras_object"}


def story(lib):
    """What a config says while it is used."""
    config = lib.utils.Config(rate=0.1, momentum=0.9)
    config.use_ema = True
    config["seed"] = 123
    config.update({"rate": 0.2})
    yield config.as_dict(), config.to_json(), len(config), list(config), "seed" in config, "x" in config
    yield config.rate, config["momentum"], config.get("x"), config.get("x", 3), config.pop("seed"), config.frozen
    yield list(config.keys()), list(config.items()), repr(config)
    config.freeze()
    for change in (
        lambda: setattr(config, "rate", 1), lambda: config.update(rate=2), lambda: config.pop("rate"),
        lambda: config.__delitem__("rate"), lambda: config.__setitem__("y", 1),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="frozen"):
            change()
    config.unfreeze()
    del config["rate"]
    with pytest.raises(AttributeError, match="Did you mean 'momentum'"):
        getattr(config, "momentun")  # noqa: B009
    with pytest.raises(KeyError):
        config["rate"]
    yield config.as_dict()


def test_config():
    for ours, theirs in zip(story(maas), story(keras), strict=True):
        if isinstance(ours, tuple) and isinstance(ours[0], list):
            assert sorted(ours[0]) == sorted(theirs[0]) and sorted(ours[1]) == sorted(theirs[1])
            assert ours[2] == theirs[2]
        else:
            assert ours == theirs
    with pytest.raises(AttributeError, match="'frozen' is no value of a config, received True"):
        maas.utils.Config().frozen = True


def test_legacy_configs():
    for lib in (maas, keras):
        layer = lib.layers.Dense(3, name="d", kernel_initializer="he_normal")
        config = lib.legacy.saving.serialize_keras_object(layer)
        if lib is maas:
            ours = config
    assert ours["class_name"] == config["class_name"] == "Dense" and ours["config"]["units"] == 3
    assert ours["config"]["kernel_initializer"]["class_name"] == "HeNormal"
    again = maas.legacy.saving.deserialize_keras_object(ours)
    assert again.get_config() == maas.layers.Dense(3, name="d", kernel_initializer="he_normal").get_config()
    theirs = keras.legacy.saving.deserialize_keras_object(ours, module_objects={"Dense": keras.layers.Dense})
    assert theirs.units == 3
    saving = maas.legacy.saving
    assert saving.serialize_keras_object(None) is saving.deserialize_keras_object(None) is None
    assert saving.serialize_keras_object(maas.activations.relu) == "relu"
    assert saving.deserialize_keras_object("f", module_objects={"f": np.sin}) is np.sin
    assert maas.utils.legacy.serialize_keras_object is saving.serialize_keras_object
    with pytest.raises(ValueError, match=r"unknown loss 'g'; known are \['f'\]"):
        saving.deserialize_keras_object("g", module_objects={"f": np.sin}, printable_module_name="loss")
    with pytest.raises(TypeError, match="a dict, a name or None is needed"):
        saving.deserialize_keras_object(3)
    with pytest.raises(ValueError, match="an object with get_config"):
        saving.serialize_keras_object(3)


def test_functions_under_their_other_names():
    for name in ("nn", "numpy"):
        module = getattr(maas.ops, name)
        assert all(getattr(module, n) is getattr(maas.ops, n) for n in module.__all__) and len(module.__all__) > 50
    with pytest.raises(AttributeError, match="maas.ops.numpy has no 'view': Keras has it, maas does not yet"):
        getattr(maas.ops.numpy, "view")  # noqa: B009
