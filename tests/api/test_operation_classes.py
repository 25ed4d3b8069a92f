"""Files name the class that Keras has for a function of `maas.ops`: the module must be where that class lives."""

import importlib
import inspect
import pkgutil

import keras.src.ops
import numpy as np
import pytest

import maas
from maas.backend import symbolic


def keras_classes():
    """Modules of every Operation class, by name."""
    found = {}
    for info in pkgutil.iter_modules(keras.src.ops.__path__):
        if info.name.endswith("_test"):
            continue
        module = importlib.import_module(f"keras.src.ops.{info.name}")
        for name, cls in vars(module).items():
            if inspect.isclass(cls) and cls.__module__ == module.__name__:
                found.setdefault(name, []).append(module.__name__)
    return found


CLASSES = keras_classes()

NO_CLASS = dict.fromkeys(
    "bartlett blackman convert_to_numpy custom_gradient dtype empty eye hamming hanning identity is_tensor kaiser ones "
    "shape tri vectorize zeros".split(),
    "a function without a class in Keras, too",
)
NO_CLASS.update(
    dict.fromkeys(
        "as_tensor batch_normalization_train group_normalization gru lstm op simple_rnn squared_difference".split(),
        "not in Keras's ops",
    )
)
NO_CLASS["extract_patches_3d"] = "Keras records extract_patches"
# Calls that are recorded in another way than Keras does, and why.
OTHER_CALLS = {
    **dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor"), "x and y are x1 and x2"),
    **dict.fromkeys(
        ("associative_scan", "cond", "jvp", "map", "rearrange", "scan"), "functions and patterns are settings"
    ),
    **dict.fromkeys(("einsum", "meshgrid", "switch"), "any number of operands"),
    "convert_to_tensor": "Keras alone records it",
    **dict.fromkeys(("bincount", "trapezoid"), "weights and places may be tensors"),
}
FUNCTIONS = sorted(
    {n for n in dir(maas.ops) if not n.startswith("_") and inspect.isfunction(getattr(maas.ops, n, None))}
    | set(maas.ops.image.__all__)
)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_module(name):
    operation = symbolic.FunctionOperation(name)
    known = CLASSES.get(operation.keras_class_name)
    assert (known is None) == (name in NO_CLASS)
    assert known is None or operation.keras_module in known


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n not in {*NO_CLASS, *OTHER_CALLS}])
def test_call_arguments(name):
    """What Keras passes to the class's call, in its order, is what is recorded here; the rest is config."""
    operation = symbolic.FunctionOperation(name)
    module = importlib.import_module(operation.keras_module)
    wanted = list(inspect.signature(getattr(module, operation.keras_class_name).call).parameters)[1:]
    assert symbolic._positional_call_names(operation.function_name) == wanted


@pytest.mark.parametrize("name", sorted(symbolic._SAME))
def test_second_classes_are_found(name):
    assert symbolic.operation_from_config(symbolic.class_name_of(name), {}).function_name == name


IMAGE = np.random.default_rng(0).uniform(size=(2, 4, 6, 3)).astype("float32")
WHOLE = np.array([[5, 2, 9]], "int32")
SPD = np.array([[[2, 1], [1, 3]]], "float32")
ONES = [np.ones(3, "float32")] * 2
FILES = {
    "isin": (WHOLE, lambda ops, x: ops.isin(x, np.array([2, 4], "int32"))),
    "rgb_to_hsv": (IMAGE, lambda ops, x: ops.image.rgb_to_hsv(x)),
    "hsv_to_rgb": (IMAGE, lambda ops, x: ops.image.hsv_to_rgb(x)),
    "rgb_to_grayscale": (IMAGE, lambda ops, x: ops.image.rgb_to_grayscale(x)),
    "resize": (IMAGE, lambda ops, x: ops.image.resize(x, (5, 3))),
    "pad_images": (IMAGE, lambda ops, x: ops.image.pad_images(x, 1, 2, 1, 0)),
    "left_shift": (WHOLE, lambda ops, x: ops.left_shift(x, 2)),
    "right_shift": (WHOLE, lambda ops, x: ops.right_shift(x, 2)),
    "trace": (SPD, lambda ops, x: ops.trace(x, offset=1, axis1=1, axis2=2)),
    "solve": (SPD, lambda ops, x: ops.solve(x, x)),
    "scale_and_translate": (
        IMAGE,
        lambda ops, x: ops.image.scale_and_translate(
            x, (2, 5, 6, 3), np.ones(2, "float32") * 1.3, np.zeros(2, "float32"), (1, 2), "linear"
        ),
    ),
    "layer_normalization": (
        IMAGE,
        lambda ops, x: ops.layer_normalization(x, *ONES),
    ),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("there", [True, False], ids=["from-keras", "to-keras"])
def test_files_go_both_ways(name, there, tmp_path):
    x, call = FILES[name]
    keras = importlib.import_module("keras")
    first, second = (keras, maas) if there else (maas, keras)
    start = first.Input(x.shape[1:], dtype=str(x.dtype))
    model = first.Model(start, call(first.ops, start))
    model.save(tmp_path / "m.keras")
    loaded = second.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(np.asarray(loaded(x)), np.asarray(model(x)), rtol=1e-5, atol=1e-6)
