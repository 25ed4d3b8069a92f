"""Models against real Keras: config, names, summary, weights and outputs; and their way through JSON and clones."""

import keras
import numpy as np
import pytest

import maas
from maas import layers, models, ops, tree
from tests.layers.pair import assert_outputs_close, fresh_names, plain, random_weights
from tests.models.model_cases import CASES, IMAGES, ROWS

OURS = (layers, models.Model, models.Sequential, layers.Input, ops)
THEIRS = (keras.layers, keras.Model, keras.Sequential, keras.Input, keras.ops)


_built = {}


@pytest.fixture(params=list(CASES))
def case(request):
    """Our model, Keras's, and inputs; built once, because most of the time goes into Keras's first calls."""
    if request.param not in _built:
        _built[request.param] = _build(request)
    return _built[request.param]


def _build(request):
    make, inputs = CASES[request.param]
    fresh_names()
    ours, theirs = make(*OURS), make(*THEIRS)
    ours(inputs)
    theirs(inputs)
    values = random_weights(theirs.weights)
    ours.set_weights(values)
    theirs.set_weights(values)
    return ours, theirs, inputs


def without_empty(config):
    """Keras writes an empty compile_config for nested models that are not compiled."""
    if isinstance(config, dict):
        return {k: without_empty(v) for k, v in config.items() if not (k == "compile_config" and not v)}
    return [without_empty(v) for v in config] if isinstance(config, list) else config


def test_outputs(case):
    ours, theirs, inputs = case
    assert_outputs_close(ours(inputs), theirs(inputs), 256)
    # Again, now from the cached program, with another batch size.
    half = tree.map_structure(lambda x: x[:2], inputs)
    assert_outputs_close(ours(half), theirs(half), 256)


def test_config_names_and_shapes(case):
    ours, theirs, _ = case
    assert without_empty(plain(ours.get_config())) == without_empty(plain(theirs.get_config()))
    assert [w.path for w in ours.weights] == [w.path for w in theirs.weights]
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert ours.count_params() == theirs.count_params()
    assert plain(ours.input_shape) == plain(theirs.input_shape)
    assert sorted(map(str, tree.flatten(plain(ours.output_shape)))) == sorted(
        map(str, keras.tree.flatten(plain(theirs.output_shape)))
    )
    assert [x.name for x in ours.inputs] == [x.name for x in theirs.inputs]


def test_summary(case):
    ours, theirs, _ = case
    for kwargs in ({}, {"line_length": 120, "show_trainable": True, "expand_nested": True}):
        made = [[], []]
        ours.summary(print_fn=made[0].append, **kwargs)
        theirs.summary(print_fn=made[1].append, **kwargs)
        assert made[0] == made[1]


def test_json_both_ways(case):
    ours, theirs, inputs = case
    if "PositionEmbedding" in ours.to_json():
        return  # a class of the test, not of the library
    expected = ours(inputs)
    for text in (ours.to_json(), theirs.to_json()):
        copy = models.model_from_json(text)
        copy(inputs)
        copy.set_weights(ours.get_weights())
        assert_outputs_close(copy(inputs), expected, 0)
        assert plain(copy.get_config()) == plain(ours.get_config())
    back = keras.models.model_from_json(ours.to_json())
    back(inputs)
    back.set_weights(ours.get_weights())
    assert_outputs_close(ours(inputs), back(inputs), 256)


def test_clone(case):
    ours, _, inputs = case
    copy = models.clone_model(ours)
    assert plain(copy.get_config()) == plain(ours.get_config())
    copy(inputs)
    copy.set_weights(ours.get_weights())
    assert_outputs_close(copy(inputs), ours(inputs), 0)
    assert all(a is not b for a, b in zip(copy.weights, ours.weights))


def test_subclass():
    class Net(models.Model):
        def __init__(self):
            super().__init__()
            self.hidden = layers.Dense(5, activation="relu")
            self.drop = layers.Dropout(0.5, seed=1)
            self.out = layers.Dense(2)

        def call(self, x, training=False):
            return self.out(self.drop(self.hidden(x), training=training))

    model = Net()
    y = model(ROWS)
    assert tuple(y.shape) == (3, 2)
    assert model.built
    assert [layer.name.split("_")[0] for layer in model.layers] == ["dense", "dropout", "dense"]
    np.testing.assert_array_equal(model(ROWS), y)
    assert not np.array_equal(model(ROWS, training=True), model(ROWS, training=True))
    fresh = Net()
    fresh.build((None, 4))
    assert fresh.count_params() == model.count_params()
    out = []
    fresh.summary(print_fn=out.append)
    assert "Total params: 37" in out[0]


def test_functional_subclass():
    class Net(models.Model):
        def __init__(self, units):
            x = layers.Input((4,))
            super().__init__(inputs=x, outputs=layers.Dense(units)(x))

    model = Net(3)
    assert tuple(model(ROWS).shape) == (3, 3)
    assert model.output_shape == (None, 3)


def test_program_is_made_anew_after_changes():
    model = models.Sequential([layers.Input((4,)), layers.Dense(4), layers.ReLU()])
    before = np.asarray(model(ROWS))
    model.layers[0].set_weights([np.eye(4, dtype="float32"), np.zeros(4, "float32")])
    np.testing.assert_array_equal(model(ROWS), np.maximum(ROWS, 0))
    assert not np.array_equal(before, model(ROWS))
    model.layers[1].negative_slope = 1.0
    np.testing.assert_array_equal(model(ROWS), ROWS)
    model.add(layers.Rescaling(2.0))
    np.testing.assert_array_equal(model(ROWS), 2 * ROWS)
    model.pop()
    np.testing.assert_array_equal(model(ROWS), ROWS)


def test_losses_of_a_call():
    x = layers.Input((4,))
    model = models.Model(x, layers.ActivityRegularization(l1=1.0)(layers.Dense(2, kernel_regularizer="l2")(x)))
    y = np.asarray(model(ROWS))
    losses = [float(v) for v in model.losses]
    np.testing.assert_allclose(
        losses, [np.abs(y).sum() / len(y), 0.01 * (model.get_weights()[0] ** 2).sum()], rtol=1e-5
    )


def test_outputs_of_inner_layers():
    model = models.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)])
    features = models.Model(inputs=model.inputs, outputs=[layer.output for layer in model.layers])
    maps, flat, _ = features(IMAGES)
    np.testing.assert_array_equal(np.asarray(maps).reshape(3, -1), flat)
    tail = models.Model(model.layers[1].output, model.layers[2].output)
    np.testing.assert_array_equal(tail(flat), model(IMAGES))


def test_rank_is_adjusted():
    x = layers.Input((4, 1))
    model = models.Model(x, layers.Flatten()(x))
    np.testing.assert_array_equal(model(ROWS), ROWS)
    np.testing.assert_array_equal(model(ROWS.astype("float64")), ROWS)
    assert model(np.ones((2, 4, 1), "int32")).dtype == "float32"


def test_get_layer_and_ranges():
    model = models.Sequential([layers.Input((4,)), layers.Dense(3, name="a"), layers.Dense(2, name="b")], name="m")
    assert model.get_layer("b") is model.layers[1]
    assert model.get_layer(index=0) is model.layers[0]
    with pytest.raises(
        ValueError, match=r"Sequential 'm': no layer of this name; there are \['a', 'b'\], received 'c'"
    ):
        model.get_layer("c")
    with pytest.raises(ValueError, match="received index=5"):
        model.get_layer(index=5)
    out = []
    model.summary(print_fn=out.append, layer_range=["b", "b"])
    assert "a (Dense)" not in out[0]


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda: models.Sequential([3]), "only layers can be added, received 3"),
        (lambda: models.Sequential([layers.Dense(1, name="a"), layers.Dense(1, name="a")]), "received a second 'a'"),
        (lambda: models.Model(layers.Input((2,)), 3), "must be KerasTensors .* received 3"),
        (lambda: models.Model(layers.Input((2,)), layers.Dense(1)(layers.Input((2,)))), "the graph is not connected"),
        (
            lambda: models.Sequential([layers.Input((4,)), layers.Dense(1)])(np.zeros((2, 5), "float32")),
            r"received \(2, 5\)",
        ),
        (lambda: models.Sequential([layers.Input((4,)), layers.Dense(1)]).build((None, 5)), r"received \(None, 5\)"),
        (lambda: models.Sequential().build((None, 5)), "a model without layers"),
        (lambda: models.model_from_json("nope"), "received 'nope'"),
    ],
)  # fmt: skip
def test_errors(act, text):
    with pytest.raises(ValueError, match=text):
        act()


def test_missing_inputs():
    a, b = layers.Input((4,), name="a"), layers.Input((4,), name="b")
    model = models.Model([a, b], layers.Add()([a, b]), name="m")
    with pytest.raises(ValueError, match=r"Functional 'm': .*received"):
        model([ROWS])
    with pytest.raises(ValueError, match=r"received .*\['a'\]"):
        model({"a": ROWS})


def test_keras_tensor_has_no_value():
    x = layers.Input((4,))
    for act in (bool, float, int, len, np.asarray, list):
        with pytest.raises(TypeError, match="KerasTensor"):
            act(x)


def test_models_do_not_pile_up():
    import gc
    import weakref

    gc.disable()
    try:
        alive = []
        for _ in range(20):
            x = layers.Input((4,))
            model = models.Model(x, layers.Dense(2)(layers.Dense(3)(x)))
            model(ROWS)
            alive.append(weakref.ref(model))
        del model, x
        assert [r() for r in alive] == [None] * 20
    finally:
        gc.enable()


def test_a_float64_input_that_was_asked_for_is_not_rounded():
    x = np.random.default_rng(0).standard_normal((3, 5))
    inputs = layers.Input((5,), dtype="float64")
    model = models.Model(inputs, layers.Identity(dtype="float64")(inputs))
    for _ in range(3):  # traced, then by the quick path
        assert np.asarray(model(x)).dtype == "float64" and np.array_equal(model(x), x)
    assert np.array_equal(model(ops.convert_to_tensor(x)), x)
    assert np.array_equal(model.predict(x, verbose=0), x)


def test_optimize_of_a_sequential_and_of_dict_inputs():
    x = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    built = maas.Sequential([layers.Dense(3)])
    with pytest.raises(ValueError, match="a functional or a built Sequential"):
        built.optimize()
    built.build((None, 4))
    for model in (built, maas.Sequential([layers.Input((4,)), layers.Dense(3)])):
        np.testing.assert_array_equal(model.optimize(accuracy="exact").predict(x, verbose=0), model(x))
    a, b = layers.Input((4,), name="a"), layers.Input((4,), name="b")
    model = maas.Model({"b": b, "a": a}, {"y": layers.Dense(2)(a - 2 * b)})
    found = model.optimize()({"a": x, "b": x + 1})
    np.testing.assert_array_equal(found["y"], model({"a": x, "b": x + 1})["y"])
