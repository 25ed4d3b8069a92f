"""`LossScaleOptimizer` against Keras's: scale, counter, skipped steps, files."""

import keras
import numpy as np
import pytest

import maas
from maas.saving.serialization import deserialize_keras_object, serialize_keras_object

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def plain():
    yield
    for k in (keras, maas):
        k.config.set_dtype_policy("float32")


def test_compile_wraps_the_optimizer():
    for k in (maas, keras):
        k.config.set_dtype_policy("mixed_float16")
        model = k.Sequential([k.Input((2,)), k.layers.Dense(1)])
        for given, options, wrapped in (
            ("sgd", {}, True),
            ("sgd", {"auto_scale_loss": False}, False),
            (k.optimizers.LossScaleOptimizer(k.optimizers.SGD(), initial_scale=8.0), {}, True),
        ):
            model.compile(given, "mse", **options)
            assert isinstance(model.optimizer, k.optimizers.LossScaleOptimizer) == wrapped
            if given == "sgd" and wrapped:
                assert model.optimizer.name == "loss_scale_optimizer"
                assert (model.optimizer.initial_scale, model.optimizer.dynamic_growth_steps) == (2.0**15, 2000)
            elif wrapped:
                assert model.optimizer is given
        for name in ("mixed_bfloat16", "float16", "float32"):
            model = k.Sequential([k.Input((2,)), k.layers.Dense(1, dtype=name)])
            model.dtype_policy = name
            model.compile("sgd", "mse")
            assert not isinstance(model.optimizer, k.optimizers.LossScaleOptimizer)


def test_names_of_both_modules():
    assert maas.mixed_precision.LossScaleOptimizer is maas.optimizers.LossScaleOptimizer


@pytest.mark.parametrize("inner", ["SGD", "Adam"])
def test_every_step_goes_as_in_keras(inner):
    """Growth after three good steps, a half and no update after a bad one, also for what the inner optimizer keeps."""
    steps = [1.0, 2.0, 3.0, np.inf, 4.0, 5.0, np.nan, -np.inf, 1.0, 1.0, 1.0, 1.0, 2.0]
    traces = []
    for k in (maas, keras):
        options = {"momentum": 0.5} if inner == "SGD" else {}
        optimizer = k.optimizers.LossScaleOptimizer(
            getattr(k.optimizers, inner)(0.1, **options), initial_scale=16.0, dynamic_growth_steps=3
        )
        weights = [k.Variable(np.array([1.0, -2.0], "float32")), k.Variable(np.array([[0.5]], "float32"))]
        optimizer.build(weights)
        seen = []
        for s in steps:
            scale = float(optimizer.dynamic_scale)
            grads = [np.array([s, 1.0], "float32") * scale, np.array([[0.25]], "float32") * scale]
            grads = [k.ops.convert_to_tensor(g) for g in grads]
            if k is maas:
                optimizer.apply(grads, weights)
            else:  # outside of a trainer only the stateless form works with JAX
                state = [v.value for v in optimizer.variables]
                new, state = optimizer.stateless_apply(state, grads, [w.value for w in weights])
                for v, value in zip([*weights, *optimizer.variables], [*new, *state]):
                    v.assign(value)
            seen.append([
                float(optimizer.dynamic_scale), int(optimizer.step_counter), int(optimizer.iterations),
                *(float(x) for w in weights for x in np.asarray(w).ravel()),
                *(float(x) for v in optimizer.inner_optimizer.variables for x in np.asarray(v).ravel()),
            ])  # fmt: skip
        traces.append(np.array(seen))
        assert float(optimizer.scale_loss(2.0)) == 2.0 * float(optimizer.dynamic_scale)
    # Second moments are sums in another order.
    np.testing.assert_allclose(traces[0], traces[1], rtol=1e-5, atol=1e-7)


def test_scales_beyond_float16():
    """Gradients of float16 are divided in float32: 2^17 is no float16."""
    optimizer = maas.optimizers.LossScaleOptimizer(maas.optimizers.SGD(1.0), initial_scale=2.0**17)
    weight = maas.Variable(np.zeros(2, "float16"))
    optimizer.build([weight])
    optimizer.apply([maas.ops.convert_to_tensor(np.array([2.0**15, -(2.0**10)], "float16"))], [weight])
    np.testing.assert_array_equal(np.asarray(weight), [-0.25, 2.0**-7])


def model_of(k, steps=2):
    k.config.set_dtype_policy("mixed_float16")
    model = k.Sequential([k.Input((4,)), k.layers.Dense(8, activation="tanh"), k.layers.Dense(1, dtype="float32")])
    inner = k.optimizers.SGD(0.05, momentum=0.9)
    model.compile(k.optimizers.LossScaleOptimizer(inner, dynamic_growth_steps=steps, initial_scale=2.0**15), "mse")
    return model


def test_a_skipped_step_is_one_call():
    """With a scale so great that float16 gradients overflow it halves until they fit, all of it by one plan."""
    from maas import _core

    x, y = RNG.standard_normal((32, 4)).astype("float32"), RNG.standard_normal((32, 1)).astype("float32")
    ours, theirs = model_of(maas, 4), model_of(keras, 4)
    ours.set_weights(theirs.get_weights())
    for model in (ours, theirs):
        model.optimizer.initial_scale = 2.0**22
    start = ours.get_weights()
    ours.train_on_batch(x, y), theirs.train_on_batch(x, y)
    built = _core.plans_built()
    scales = [[], []]
    for _ in range(10):
        for model, seen in zip((ours, theirs), scales):
            model.train_on_batch(x, y)
            seen.append((float(model.optimizer.dynamic_scale), int(model.optimizer.iterations)))
        if scales[0][-1][1] == 0:
            for a, b in zip(ours.get_weights(), start):
                np.testing.assert_array_equal(a, b)
    assert _core.plans_built() == built
    # Where a gradient is near float16's end the one or the other may be rounded to infinity; the first ones are far.
    assert scales[0][:3] == scales[1][:3] == [(2.0**20, 0), (2.0**19, 0), (2.0**18, 0)]
    for seen in scales:
        assert seen[-1][0] < 2.0**22 and seen[-1][1] > 0


def test_configs_and_files(tmp_path):
    ours, theirs = model_of(maas), model_of(keras)
    mine, other = serialize_keras_object(ours.optimizer), keras.saving.serialize_keras_object(theirs.optimizer)
    assert mine["config"].keys() == other["config"].keys()
    again = deserialize_keras_object(mine)
    assert again.get_config() == ours.optimizer.get_config()
    assert keras.saving.deserialize_keras_object(mine).dynamic_growth_steps == 2
    assert deserialize_keras_object(other).dynamic_growth_steps == 2
    x, y = RNG.standard_normal((32, 4)).astype("float32"), RNG.standard_normal((32, 1)).astype("float32")
    for model in (ours, theirs):
        model.fit(x, y, epochs=3, verbose=0)
        model.save(tmp_path / "m.keras")
        for k in (maas, keras):
            loaded = k.saving.load_model(tmp_path / "m.keras")
            assert isinstance(loaded.optimizer, k.optimizers.LossScaleOptimizer)
            assert float(loaded.optimizer.dynamic_scale) == float(model.optimizer.dynamic_scale) == 2.0**16
            assert int(loaded.optimizer.iterations) == 3
            np.testing.assert_allclose(loaded.predict(x, verbose=0), model.predict(x, verbose=0), atol=2e-3)
