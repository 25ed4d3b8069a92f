"""`maas.config`, scopes, `Function`, `tree` and other names of the top level, against Keras where it computes."""

import collections

import keras
import numpy as np
import pytest

import maas
from maas import ops, tree

CLAIMS = {
    "version", "Function", "Operation", "StatelessScope", "SymbolicScope", "backend.is_int_dtype", "tree.MAP_TO_NONE",
    "tree.assert_same_paths", "tree.map_structure_up_to", "config.max_epochs", "config.set_max_epochs",
    "config.max_steps_per_epoch", "config.set_max_steps_per_epoch", "config.enable_flash_attention",
    "config.disable_flash_attention", "config.is_flash_attention_enabled", "config.enable_traceback_filtering",
    "config.disable_traceback_filtering", "config.is_traceback_filtering_enabled", "config.is_nnx_enabled",
}  # fmt: skip


@pytest.fixture
def limits():
    yield maas.config
    maas.config.set_max_epochs(None)
    maas.config.set_max_steps_per_epoch(None)


def test_version():
    assert maas.version() == maas.__version__


def regressor():
    model = maas.Sequential([maas.Input((3,)), maas.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def test_limits_of_fit(limits):
    x, y = np.ones((20, 3), "float32"), np.ones((20, 1), "float32")
    model, seen = regressor(), []
    limits.set_max_epochs(2)
    limits.set_max_steps_per_epoch(3)
    assert (limits.max_epochs(), limits.max_steps_per_epoch()) == (2, 3)
    count = maas.callbacks.LambdaCallback(on_train_batch_end=lambda b, logs: seen.append(b))
    with pytest.warns(UserWarning, match="fit ends after epoch 2"):
        history = model.fit(x, y, batch_size=2, epochs=5, verbose=0, callbacks=[count])
    assert len(history.history["loss"]) == 2 and seen == [0, 1, 2] * 2
    with pytest.warns(UserWarning, match="epochs end after 3 steps"):
        assert model.predict(x, batch_size=2, verbose=0).shape == (6, 1)
    limits.set_max_epochs(None)
    assert len(model.fit(x, y, batch_size=10, epochs=3, verbose=0).history["loss"]) == 3
    for set_limit in (limits.set_max_epochs, limits.set_max_steps_per_epoch):
        for wrong in (0, -1, 1.5, True, "3"):
            with pytest.raises(ValueError, match="int >= 1, or None for no limit, received"):
                set_limit(wrong)


def test_limits_of_the_environment():
    import subprocess
    import sys

    code = "import maas; print(maas.config.max_epochs(), maas.config.max_steps_per_epoch())"
    env = {"KERAS_MAX_EPOCHS": "3", "KERAS_MAX_STEPS_PER_EPOCH": "7", "PATH": "/usr/bin"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "7"]
    env["KERAS_MAX_EPOCHS"] = "three"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert "KERAS_MAX_EPOCHS must be an int >= 1, received 'three'" in done.stderr


@pytest.mark.parametrize("what", ["flash_attention", "traceback_filtering"])
def test_switches_are_those_of_keras(what):
    ours, theirs = maas.config, keras.config

    def state(config):
        return getattr(config, f"is_{what}_enabled")()

    assert state(ours) == state(theirs)
    try:
        for word in ("disable", "enable"):
            getattr(ours, f"{word}_{what}")(), getattr(theirs, f"{word}_{what}")()
            assert state(ours) == state(theirs)
    finally:
        getattr(theirs, f"enable_{what}")()
    assert maas.config.is_nnx_enabled() is keras.config.is_nnx_enabled() is False


def test_int_dtypes():
    for dtype in ("bool", "int8", "uint16", "int64", "float32", "bfloat16"):
        assert maas.backend.is_int_dtype(dtype) == keras.backend.is_int_dtype(dtype), dtype


def test_stateless_scope():
    """The same values as in Keras's scope, and nothing is changed outside."""

    def run(lib, dense, o):
        x = np.arange(12, dtype="float32").reshape(4, 3)
        dense.build((None, 3))
        dense.set_weights([np.full((3, 2), 0.5, "float32"), np.zeros(2, "float32")])
        given = [(dense.kernel, o.ones((3, 2)))]
        with lib.StatelessScope(given) as scope:
            y = dense(x)
            dense.bias.assign(o.ones((2,)) * 3)
            z = dense(x)
            dense.kernel.assign(dense.kernel * 2)
        values = [y, z, scope.get_current_value(dense.kernel), scope.get_current_value(dense.bias)]
        return [np.asarray(v) for v in (*values, dense.kernel.value, dense.bias.value, y + 1)]

    got = run(maas, maas.layers.Dense(2), ops)
    for a, b in zip(got, run(keras, keras.layers.Dense(2), keras.ops), strict=True):
        np.testing.assert_array_equal(a, b)


def test_stateless_scope_around_a_model_in_training():
    model = maas.Sequential(
        [maas.Input((3,)), maas.layers.BatchNormalization(), maas.layers.Dense(1, activity_regularizer="l2")]
    )
    before, x = model.get_weights(), np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    with maas.StatelessScope(collect_losses=True) as scope:
        model(x, training=True)
        assert len(scope.losses) == 1
    moved = [scope.get_current_value(v) is not None for v in model.variables]
    assert moved.count(True) == 2 and scope.get_current_value(model.layers[0].gamma) is None
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)
    v = maas.Variable(1.0)
    with pytest.raises(RuntimeError, match="stop"), maas.StatelessScope():
        v.assign(5.0)
        raise RuntimeError("stop")
    assert float(v) == 1.0
    v.assign(2.0)  # and afterwards all is as before
    assert float(v) == 2.0


def test_stateless_scope_refuses_what_does_not_fit():
    v = maas.Variable(np.zeros(3, "float32"), name="v")
    with pytest.raises(ValueError, match=r"'v' has shape \(3,\), received a value of shape \(2,\)"):
        maas.StatelessScope([(v, np.zeros(2))])
    with pytest.raises(ValueError, match="only Variables can be mapped"):
        maas.StatelessScope([(np.zeros(2), np.zeros(2))])


def test_symbolic_scope():
    from maas.backend.scopes import in_symbolic_scope

    with maas.SymbolicScope():
        assert in_symbolic_scope()
    assert not in_symbolic_scope()
    seen = []

    class Looks(maas.layers.Layer):
        def call(self, x):
            seen.append(in_symbolic_scope())
            return x

    layer = Looks()
    layer(maas.KerasTensor((None, 3)))
    layer(np.ones((2, 3), "float32"))
    assert seen == [True, False] and not in_symbolic_scope()


def test_function():
    def run(lib):
        a, b = lib.KerasTensor((None, 2, 3)), lib.KerasTensor((None, 2, 3))
        f = lib.Function([a, b], {"y": lib.ops.sigmoid(a + b), "z": lib.ops.sum(a * b, axis=1)}, name="f")
        x = np.random.default_rng(0).normal(size=(2, 4, 2, 3)).astype("float32")
        shapes = f.compute_output_shape([(5, 2, 3), (5, 2, 3)])
        return f([*x]), {k: tuple(v) for k, v in shapes.items()}, len(f.operations), len(f.inputs), len(f.outputs)

    got, want = run(maas), run(keras)
    assert got[1:] == want[1:]
    for key in want[0]:
        np.testing.assert_allclose(np.asarray(got[0][key]), np.asarray(want[0][key]), rtol=1e-6, atol=1e-6)
    a, b = maas.KerasTensor((2,)), maas.KerasTensor((2,))
    with pytest.raises(ValueError, match="not connected"):
        maas.Function(a, ops.sin(b))
    f = maas.Function(a, ops.sin(a), name="f")
    with pytest.raises(ValueError, match=r"Function 'f': input .* must have shape \(2,\), received \(3,\)"):
        f(np.ones(3))
    y = f(maas.Input(batch_shape=(2,)))
    assert isinstance(y, maas.KerasTensor) and y.shape == (2,)
    with pytest.raises(ValueError, match="inputs must be KerasTensors, received"):
        maas.Function(np.ones(2), a)


def test_operation():
    class Twice(maas.Operation):
        def call(self, x):
            return ops.multiply(x, 2.0)

    np.testing.assert_array_equal(Twice()(np.ones(3, "float32")), np.full(3, 2.0))
    assert Twice(name="twice")(maas.KerasTensor((None, 3))).shape == (None, 3)


Point = collections.namedtuple("Point", "x y")


def test_tree():
    for lib in (maas, keras):
        t = lib.tree
        seen = t.traverse(lambda s, t=t: t.MAP_TO_NONE if s == 2 else None, [1, [2, 3]], top_down=False)
        assert seen == [1, [None, 3]]
        assert t.map_structure_up_to([0, 0], len, [[1, 1], [2, 2]]) == [2, 2]
        assert t.map_structure_up_to([0, [0, 0]], str, [[1, 1], [2, [3]]]) == ["[1, 1]", ["2", "[3]"]]
        t.assert_same_paths([0, 1], (2, 3))
        t.assert_same_paths(Point(0, {"a": 1}), (1, {"a": 2}))
        for a, b in (([0, 1], [0]), ({"a": 1}, {"b": 1})):
            with pytest.raises(ValueError):
                t.assert_same_paths(a, b)
        with pytest.raises(ValueError):
            t.map_structure_up_to([0, [0]], str, [1, 2])
        with pytest.raises(TypeError):
            t.map_structure_up_to([0], 3, [1])
    assert tree.map_structure_up_to({"a": None}, lambda a, b: a + b, {"a": [1]}, {"a": [2]}) == {"a": [1, 2]}
