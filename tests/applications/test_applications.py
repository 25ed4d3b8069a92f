"""Image models against Keras's: every layer's config and every arrow, weight files, and what goes in and comes out."""

import inspect
import json

import keras
import numpy as np
import pytest

import maas
from maas import applications
from maas.applications import imagenet_utils
from tests.layers import pair

MUST_BE_SAME = {
    "EfficientNetB0": {}, "MobileNet": {"alpha": 0.5}, "MobileNetV2": {"alpha": 0.35}, "MobileNetV3Large": {},
    "MobileNetV3Small": {"minimalistic": True, "alpha": 0.75}, "ResNet50": {}, "ResNet50V2": {}, "VGG16": {},
    # One of each other family.
    "ConvNeXtTiny": {}, "DenseNet121": {}, "EfficientNetV2B0": {}, "InceptionResNetV2": {}, "InceptionV3": {},
    "NASNetMobile": {}, "Xception": {},
}  # fmt: skip
# Families whose arguments or least size of images is not that of the others.
LEAST = {"InceptionResNetV2": 75, "InceptionV3": 75, "Xception": 71}
CLAIMS = (
    {"utils.get_source_inputs"}
    | {f"applications.{name}" for name in applications._NAMES}
    | {
        f"applications.{module}.{name}"
        for module in applications._MODULES
        if module != "resnet50"
        for name in ("preprocess_input", "decode_predictions")
    }
)
OTHERS = sorted(set(applications._NAMES) - set(MUST_BE_SAME))


@pytest.fixture
def no_values(monkeypatch):
    """Keras makes its weights of zeros: drawing them takes a compilation for each shape."""

    def zeros(self, shape, dtype=None):
        return np.zeros(shape, dtype or "float32")

    monkeypatch.setattr(keras.initializers.VarianceScaling, "__call__", zeros)


def graph(model):
    config = json.loads(model.to_json())["config"]
    # Keras writes that a model inside another was not compiled.
    left_out = ("build_config", "compile_config")
    return {**config, "layers": [{k: v for k, v in layer.items() if k not in left_out} for layer in config["layers"]]}


def check_same(name, **kwargs):
    size = LEAST.get(name, 64)
    kwargs = {"weights": None, "input_shape": (size, size, 3), **kwargs}
    pair.fresh_names()
    ours, theirs = (getattr(lib, name)(**kwargs) for lib in (applications, keras.applications))
    assert graph(ours) == graph(theirs)
    assert [tuple(w.shape) for w in ours.weights] == [tuple(w.shape) for w in theirs.weights]
    assert [w.path for w in ours.weights] == [w.path for w in theirs.weights]


@pytest.mark.parametrize("name", MUST_BE_SAME)
def test_the_models_of_keras(name, no_values):
    check_same(name, include_top=False, pooling="avg", **MUST_BE_SAME[name])
    if name.startswith("Mobile"):
        check_same(name, classes=5, classifier_activation=None, **MUST_BE_SAME[name])


@pytest.mark.parametrize("name", applications._NAMES)
def test_the_arguments_of_keras(name):
    ours, theirs = (getattr(lib, name) for lib in (applications, keras.applications))
    assert str(inspect.signature(ours)) == str(inspect.signature(theirs))
    assert ours.__name__ == name and ours.__doc__.count("\n        name: str.\n") == 1 and "Reference: " in ours.__doc__


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(MUST_BE_SAME))
def test_the_outputs_of_keras(name, no_values):
    size = LEAST.get(name, 64)
    kwargs = {"weights": None, "input_shape": (size, size, 3), "classes": 7, "classifier_activation": None}
    ours, theirs = (getattr(lib, name)(**kwargs, **MUST_BE_SAME[name]) for lib in (applications, keras.applications))
    rng = np.random.default_rng(0)
    values = []
    for w in theirs.weights:
        v = rng.normal(size=w.shape).astype("float32")
        fan = np.prod(w.shape[:-1]) if len(w.shape) > 1 else 1
        values.append(np.abs(v) * 0.1 + 1 if "variance" in w.path or "gamma" in w.path else v / np.sqrt(fan) * 0.7)
    theirs.set_weights(values)
    ours.set_weights(values)
    assert ours.count_params() == theirs.count_params()
    x = rng.uniform(-1, 1, (1, size, size, 3)).astype("float32")
    expected = np.asarray(theirs.predict(x, verbose=0))
    bound = 4096 * np.finfo("float32").eps * np.abs(expected).max()
    np.testing.assert_allclose(ours.predict(x, verbose=0), expected, rtol=0, atol=bound)


@pytest.mark.long
@pytest.mark.parametrize("name", OTHERS + sorted(MUST_BE_SAME))
def test_all_models_of_keras(name, no_values):
    for kwargs in ({"classes": 5}, {"include_top": False, "pooling": "max"}, {"include_top": False}):
        check_same(name, **kwargs)


def test_weight_files_of_keras_and_outputs(tmp_path):
    kwargs = {"alpha": 0.25, "classes": 4, "input_shape": (32, 32, 3)}
    theirs = keras.applications.MobileNet(weights=None, **kwargs)
    theirs.set_weights(pair.random_weights(theirs.weights))
    x = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype("float32")
    expected = np.asarray(theirs(x))
    for name in ("w.weights.h5", "m.h5", "m.keras"):
        path = tmp_path / name
        theirs.save_weights(path) if "weights" in name else theirs.save(path)
        ours = applications.MobileNet(weights=path, **kwargs)
        np.testing.assert_allclose(ours.predict(x, verbose=0), expected, rtol=1e-3, atol=1e-6)


def test_layers_that_only_these_models_have(tmp_path):
    from keras.src.applications import convnext, inception_resnet_v2

    from maas.applications import own_layers

    x = np.random.default_rng(0).normal(size=(2, 4, 5)).astype("float32")
    models = []
    for lib, scale, depth, both in (
        (maas, own_layers.LayerScale, own_layers.StochasticDepth, own_layers.CustomScaleLayer),
        (keras, convnext.LayerScale, convnext.StochasticDepth, inception_resnet_v2.CustomScaleLayer),
    ):
        pair.fresh_names()
        i = lib.Input((4, 5))
        models.append(lib.Model(i, both(0.3)([i, depth(0.4, name="d")(scale(0.5, 5, name="s")(i))])))
    ours, theirs = models
    values = pair.random_weights(theirs.weights)
    for model in models:
        model.set_weights(values)
    assert graph(ours) == graph(theirs)
    expected = x + 0.3 * x * values[0]
    for model, lib in ((ours, keras), (theirs, maas)):
        model.save(tmp_path / "m.keras")
        again = lib.models.load_model(tmp_path / "m.keras")
        np.testing.assert_allclose(again.predict(x, verbose=0), expected, rtol=1e-6, atol=1e-6)
    y = own_layers.StochasticDepth(0.25)(np.ones((400, 1, 2), "float32"), training=True).numpy()
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.75], rtol=1e-6)
    assert (y[:, 0, 0] == y[:, 0, 1]).all() and 0.65 < (y > 0).mean() < 0.85


def test_on_another_tensor():
    images = maas.Input((40, 40, 3), dtype="uint8")
    scaled = maas.layers.Rescaling(1 / 127.5, offset=-1)(images)
    model = applications.MobileNetV2(alpha=0.35, include_top=False, weights=None, input_tensor=scaled, pooling="max")
    assert [x is y for x, y in zip(model.inputs, maas.utils.get_source_inputs(scaled))] == [True]
    assert model.predict(np.zeros((1, 40, 40, 3), "uint8"), verbose=0).shape == (1, 1280)


def test_source_inputs():
    found = []
    for lib in (maas, keras):
        a, b = lib.Input((2,), name="a"), lib.Input((2,), name="b")
        both = lib.layers.Add()([a, lib.layers.Dense(2)(b)])
        found.append([[x.name for x in lib.utils.get_source_inputs(y)] for y in (both, a, lib.ops.add(b, b))])
    assert found[0] == found[1] == [["a", "b"], ["a"], ["b"]]


def test_families_with_channels_last_only():
    maas.backend.set_image_data_format("channels_first")
    try:
        for name in ("ConvNeXtTiny", "DenseNet121", "NASNetMobile"):
            with pytest.raises(ValueError, match=f"{name}: the model takes channels last, received image_data_format"):
                getattr(applications, name)(weights=None)
    finally:
        maas.backend.set_image_data_format("channels_last")


def test_an_argument_that_a_model_does_not_have():
    with pytest.raises(TypeError, match=r"DenseNet121: got an unexpected keyword argument 'size'; it takes \(include_"):
        applications.DenseNet121(weights=None, size=3)


def test_channels_first(no_values):
    for lib in (maas, keras):
        lib.backend.set_image_data_format("channels_first")
    try:
        check_same("MobileNetV3Small", include_top=False, input_shape=(3, 32, 32))
    finally:
        for lib in (maas, keras):
            lib.backend.set_image_data_format("channels_last")


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_preprocess_input(mode, data_format, dtype):
    x = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3)).astype(dtype)
    x = x if data_format == "channels_last" else x.transpose(0, 3, 1, 2)
    for given in (x, x[0]):
        expected = keras.applications.imagenet_utils.preprocess_input(given.copy(), data_format, mode)
        found = imagenet_utils.preprocess_input(given.copy(), data_format, mode)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
        as_tensor = imagenet_utils.preprocess_input(maas.ops.convert_to_tensor(given), data_format, mode)
        np.testing.assert_allclose(as_tensor.numpy(), expected, rtol=1e-5, atol=1e-4)


def test_each_module_has_its_own_mode():
    x = np.full((1, 2, 2, 3), 200.0, "float32")
    for name in ("vgg16", "vgg19", "resnet", "resnet50", "resnet_v2", "mobilenet", "mobilenet_v2", "mobilenet_v3",
                 "efficientnet", "efficientnet_v2", "convnext", "densenet", "inception_resnet_v2", "inception_v3",
                 "nasnet", "xception"):  # fmt: skip
        ours, theirs = (getattr(lib, name).preprocess_input(x.copy()) for lib in (applications, keras.applications))
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
        assert getattr(applications, name).decode_predictions is imagenet_utils.decode_predictions


def test_decode_predictions(tmp_path, monkeypatch):
    index = {str(i): [f"n{i:08}", f"name_{i}"] for i in range(1000)}
    (tmp_path / "imagenet_class_index.json").write_text(json.dumps(index), encoding="utf-8")
    asked = []

    def get_file(fname, origin, **kwargs):
        asked.append((fname, origin, kwargs))
        return str(tmp_path / fname)

    monkeypatch.setattr("maas.utils.file_utils.get_file", get_file)
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    monkeypatch.setattr("keras.src.applications.imagenet_utils.CLASS_INDEX", None)
    x = np.random.default_rng(0).uniform(size=(2, 1000)).astype("float32")
    assert imagenet_utils.decode_predictions(x, top=3) == keras.applications.imagenet_utils.decode_predictions(x, top=3)
    assert asked[0] == asked[1]
    with pytest.raises(ValueError, match=r"shape \(batch, 1000\), received \(2, 5\)"):
        imagenet_utils.decode_predictions(x[:, :5])


@pytest.mark.parametrize("call, text", [
    (lambda: applications.ResNet50(), "no weights of 'imagenet' here: `weights` must be None .* or the path"),
    (lambda: applications.VGG16(weights="/none.h5"), "no such file: .* received weights='/none.h5'"),
    (lambda: applications.MobileNet(weights=None, input_shape=(8, 8, 3)), "at least 32"),
    (lambda: applications.Xception(weights=None, input_shape=(64, 70, 3)), "at least 71"),
    (lambda: applications.EfficientNetB0(weights=None, input_shape=(None, None, 3)), "include_top=True needs"),
    (lambda: imagenet_utils.preprocess_input(np.zeros((1, 2, 2, 3)), mode="x"), "mode must be"),
])  # fmt: skip
def test_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call()
