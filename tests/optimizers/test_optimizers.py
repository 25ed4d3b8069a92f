"""Optimizers against real Keras: ten updates from the same weights and gradients."""

import jax
import keras
import numpy as np
import pytest

from maas import backend, ops, optimizers
from maas.optimizers import schedules

# Ten float32 updates: every one may round differently by a few units in the last place.
RTOL, ATOL = 80 * np.finfo("float32").eps, 80 * np.finfo("float32").eps

CASES = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("SGD", {"weight_decay": 0.1, "momentum": 0.5}),
    ("SGD", {"clipvalue": 0.3}),
    ("SGD", {"clipnorm": 0.5}),
    ("SGD", {"global_clipnorm": 0.5}),
    ("SGD", {"loss_scale_factor": 8.0}),
    ("SGD", {"gradient_accumulation_steps": 2, "weight_decay": 0.1, "momentum": 0.5}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True, "beta_1": 0.8, "epsilon": 1e-3}),
    ("Adam", {"clipnorm": 0.5, "weight_decay": 0.01}),
    ("Adam", {"use_ema": True}),
    ("Adam", {"use_ema": True, "ema_overwrite_frequency": 3, "ema_momentum": 0.5}),
    ("Adam", {"gradient_accumulation_steps": 3, "clipvalue": 0.2}),
    ("Adam", {"gradient_accumulation_steps": 2, "use_ema": True, "ema_overwrite_frequency": 2}),
    ("AdamW", {}),
    ("AdamW", {"weight_decay": 0.1, "global_clipnorm": 0.3}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9}),
    ("RMSprop", {"centered": True, "rho": 0.7}),
    ("Adagrad", {"initial_accumulator_value": 0.2}),
    ("Adadelta", {"rho": 0.8}),
    ("Adamax", {"weight_decay": 0.01}),
    ("Nadam", {}),
    ("Nadam", {"gradient_accumulation_steps": 2}),
    ("Lion", {"beta_1": 0.8}),
    ("Lion", {"weight_decay": 0.1, "clipnorm": 0.5}),
    ("RMSprop", {"momentum": 0.9, "centered": True, "weight_decay": 0.1, "use_ema": True}),
    ("Adagrad", {"weight_decay": 0.1, "gradient_accumulation_steps": 2}),
    ("Adadelta", {"weight_decay": 0.1, "global_clipnorm": 0.5}),
    ("Nadam", {"weight_decay": 0.1, "loss_scale_factor": 4.0}),
    ("AdamW", {"gradient_accumulation_steps": 2, "amsgrad": True, "clipnorm": 0.5}),
    ("Ftrl", {}),
    (
        "Ftrl",
        {
            "learning_rate_power": -0.7,
            "l1_regularization_strength": 0.1,
            "l2_regularization_strength": 0.2,
            "l2_shrinkage_regularization_strength": 0.1,
            "beta": 0.3,
            "weight_decay": 0.01,
        },
    ),
    ("Muon", {}),
    ("Muon", {"rms_rate": None, "nesterov": False, "weight_decay": None, "ns_steps": 3, "adam_lr_ratio": 0.5}),
    ("Muon", {"exclude_layers": ["v0"], "adam_weight_decay": None, "clipnorm": 0.5}),
    ("ScheduleFreeAdamW", {}),
    ("ScheduleFreeAdamW", {"warmup_steps": 4, "weight_decay": 0.1, "beta_1": 0.8}),
    ("Lamb", {}),
    ("Lamb", {"weight_decay": 0.1, "clipvalue": 0.5}),
    ("Adafactor", {}),
    ("Adafactor", {"relative_step": False, "weight_decay": 0.01, "clip_threshold": 0.5}),
]


def start():
    rng = np.random.default_rng(1)
    return [rng.normal(size=shape).astype("float32") for shape in ((3, 4), (4,), ())]


def gradients(step):
    rng = np.random.default_rng(100 + step)
    return [rng.normal(size=w.shape).astype("float32") for w in start()]


def run(library, variable, tensor, name, learning_rate, options, steps=10):
    variables = [variable(w, f"v{i}") for i, w in enumerate(start())]
    optimizer = getattr(library, name)(learning_rate=learning_rate, **options)
    path = []
    for step in range(steps):
        optimizer.apply([tensor(g) for g in gradients(step)], variables)
        path.append([np.asarray(v.numpy()) for v in variables])
    optimizer.finalize_variable_values(variables)
    path.append([np.asarray(v.numpy()) for v in variables])
    return optimizer, path


def ours(name, learning_rate, options):
    return run(
        optimizers, lambda w, n: backend.Variable(w, name=n), ops.convert_to_tensor, name, learning_rate, options
    )


def theirs(name, learning_rate, options):
    return run(
        keras.optimizers, lambda w, n: keras.Variable(w, name=n), keras.ops.convert_to_tensor, name, learning_rate,
        options,
    )  # fmt: skip


@pytest.mark.parametrize("name, options", CASES, ids=str)
def test_trajectory(name, options):
    found, path = ours(name, 0.05, options)
    oracle, expected = theirs(name, 0.05, options)
    for step, (a, b) in enumerate(zip(path, expected)):
        for i, (x, y) in enumerate(zip(a, b)):
            np.testing.assert_allclose(x, y, rtol=RTOL, atol=ATOL, err_msg=f"step {step}, variable {i}")
    assert [tuple(v.shape) for v in found.variables] == [tuple(v.shape) for v in oracle.variables]
    for a, b in zip(found.variables, oracle.variables):
        np.testing.assert_allclose(a.numpy(), np.asarray(b), rtol=RTOL, atol=ATOL)
    assert int(np.asarray(found.iterations)) == int(np.asarray(oracle.iterations))


@pytest.mark.parametrize("name, options", CASES, ids=str)
def test_config(name, options):
    found = getattr(optimizers, name)(name="o", **options)
    expected = getattr(keras.optimizers, name)(name="o", **options).get_config()
    config = found.get_config()
    assert config.pop("learning_rate") == pytest.approx(expected.pop("learning_rate"), rel=1e-6)
    assert config == expected
    again = type(found).from_config(found.get_config())
    assert again.get_config() == found.get_config()


SCHEDULES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.9}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.9, "staircase": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.9}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.9, "staircase": True}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "power": 2.0, "end_learning_rate": 0.01}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "cycle": True}),
    ("PiecewiseConstantDecay", {"boundaries": [5, 10], "values": [0.1, 0.05, 0.01]}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 11}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 11, "alpha": 0.2}),
    ("CosineDecay", {"initial_learning_rate": 0.01, "decay_steps": 11, "warmup_target": 0.1, "warmup_steps": 5}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 4}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 4, "t_mul": 1.0, "m_mul": 0.9}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 4, "alpha": 0.1, "m_mul": 0.8}),
]


@pytest.mark.parametrize("name, options", SCHEDULES, ids=str)
def test_schedule(name, options):
    found = getattr(schedules, name)(**options)
    oracle = getattr(keras.optimizers.schedules, name)(**options)
    # Keras would compile its branches anew for every step. XLA divides by constants otherwise, so only there.
    at = jax.jit(oracle) if name == "CosineDecayRestarts" else oracle
    for step in [*range(30), 1000]:
        if name == "CosineDecayRestarts" and options.get("t_mul", 2.0) != 1.0 and step in (4, 12, 28):
            continue  # log of an exact power: either side of the restart is right
        np.testing.assert_allclose(float(found(step)), float(at(step)), rtol=2e-5, atol=1e-7, err_msg=f"step {step}")
    assert found.get_config() == oracle.get_config()
    assert type(found).from_config(found.get_config()).get_config() == found.get_config()
    saved, expected = schedules.serialize(found), keras.optimizers.schedules.serialize(oracle)
    assert (saved["class_name"], saved["config"]) == (expected["class_name"], expected["config"])
    for again in (schedules.deserialize(expected), schedules.deserialize(saved)):
        assert type(again) is type(found) and again.get_config() == found.get_config()


def test_schedule_drives_the_optimizer():
    schedule = schedules.ExponentialDecay(0.1, 3, 0.5)
    _, path = ours("Adam", schedule, {})
    _, expected = theirs("Adam", keras.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5), {})
    for a, b in zip(path[-1], expected[-1]):
        np.testing.assert_allclose(a, b, rtol=RTOL, atol=ATOL)


def test_different_optimizers_for_different_variables():
    def run(library, variable, tensor):
        variables = [variable(w, f"v{i}") for i, w in enumerate(start())]
        chosen = library.OptimizerMap(library.SGD(0.1), {"v[01]": library.Adam(0.05)})
        chosen["v2"] = library.RMSprop(0.02)
        optimizer = library.MultiOptimizer(chosen)
        for step in range(5):
            optimizer.apply([tensor(g) for g in gradients(step)], variables)
        return optimizer, [np.asarray(v.numpy()) for v in variables]

    found, got = run(optimizers, lambda w, n: backend.Variable(w, name=n), ops.convert_to_tensor)
    oracle, want = run(keras.optimizers, lambda w, n: keras.Variable(w, name=n), keras.ops.convert_to_tensor)
    for a, b in zip(got, want):
        np.testing.assert_allclose(a, b, rtol=RTOL, atol=ATOL)
    for a, b in zip(found.variables, oracle.variables, strict=True):
        np.testing.assert_allclose(np.asarray(a.numpy()), np.asarray(b), rtol=RTOL, atol=ATOL)
    again = optimizers.deserialize(keras.optimizers.serialize(oracle))
    assert [type(o).__name__ for o in again.optimizers] == [type(o).__name__ for o in oracle.optimizers]
    assert optimizers.deserialize(optimizers.serialize(found)).get_config() == found.get_config()
    with pytest.raises(AttributeError, match="has no learning rate of its own"):
        found.learning_rate  # noqa: B018
    twice = optimizers.OptimizerMap(optimizers.SGD(), {"v.": optimizers.Adam(), "[v]1": optimizers.Adam()})
    with pytest.raises(ValueError, match=r"received \['v.', '\[v\]1'\] for 'v1'"):
        twice["v1"]
    with pytest.raises(ValueError, match="neither LossScaleOptimizer nor MultiOptimizer"):
        optimizers.OptimizerMap(optimizers.SGD(), {"a": found})


def test_different_optimizers_in_fit(tmp_path):
    import maas

    model = maas.Sequential([maas.Input((4,)), maas.layers.Dense(3, name="a"), maas.layers.Dense(1, name="b")])
    chosen = optimizers.OptimizerMap(optimizers.SGD(0.0), {".*a/kernel": optimizers.Adam(0.1)})
    model.compile(optimizers.MultiOptimizer(chosen, loss_scale_factor=4.0), "mse")
    before = model.get_weights()
    model.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0)
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights())]
    assert changed == [True, False, False, False]
    model.save(tmp_path / "m.keras")
    again = maas.models.load_model(tmp_path / "m.keras")
    for a, b in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_schedule_needs_positive_steps():
    with pytest.raises(ValueError, match="received decay_steps=0"):
        schedules.CosineDecay(0.1, 0)


def test_learning_rate_can_be_set():
    optimizer = optimizers.SGD(0.5)
    optimizer.learning_rate = 0.25
    assert float(optimizer.learning_rate) == 0.25
    optimizer.learning_rate = schedules.ExponentialDecay(0.1, 3, 0.5)
    with pytest.raises(TypeError, match="received 0.5"):
        optimizer.learning_rate = 0.5
    called = optimizers.SGD(lambda: 0.125)
    assert called.learning_rate == 0.125


def test_excluded_from_weight_decay():
    variables = [backend.Variable(np.ones(2, "float32"), name=n) for n in ("kernel", "bias")]
    optimizer = optimizers.AdamW(learning_rate=0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.apply([ops.zeros((2,)), ops.zeros((2,))], variables)
    np.testing.assert_allclose(variables[0].numpy(), 0.95, rtol=1e-6)
    np.testing.assert_allclose(variables[1].numpy(), 1.0)


def test_constraint_runs_after_the_update():
    variable = backend.Variable(np.ones(3, "float32"), name="v")
    variable.constraint = lambda w: ops.clip(w, 0.0, 0.5)
    optimizers.SGD(0.1).apply([ops.zeros((3,))], [variable])
    np.testing.assert_allclose(variable.numpy(), 0.5)


def test_missing_gradients():
    variables = [backend.Variable(np.ones(2, "float32"), name=n) for n in ("a", "b")]
    optimizer = optimizers.SGD(0.1)
    with pytest.warns(UserWarning, match="does not depend"):
        optimizer.apply([ops.ones((2,)), None], variables)
    np.testing.assert_allclose(variables[1].numpy(), 1.0)
    with pytest.raises(ValueError, match="no variable has a gradient"):
        optimizer.apply([None, None], variables)


@pytest.mark.parametrize("inner, options", [("SGD", {"momentum": 0.9}), ("Adam", {"weight_decay": 0.01})], ids=str)
def test_loss_scale(inner, options):
    """Steps 2, 3 and 7 overflow: they are skipped and halve the scale; two good ones in a row double it."""

    def stateless(optimizer, grads, variables):
        """Keras's own apply does not run eagerly on JAX."""
        state = [v.value for v in optimizer.variables]
        new, state = optimizer.stateless_apply(state, grads, [v.value for v in variables])
        for v, value in zip([*variables, *optimizer.variables], [*new, *state]):
            v.assign(value)

    def path(library, variable, tensor, apply):
        variables = [variable(w, f"v{i}") for i, w in enumerate(start())]
        optimizer = library.LossScaleOptimizer(
            getattr(library, inner)(learning_rate=0.05, **options), initial_scale=64.0, dynamic_growth_steps=2
        )
        out = []
        optimizer.build(variables)
        for step in range(12):
            scaled = [np.array(optimizer.scale_loss(tensor(g))) for g in gradients(step)]
            if step in (2, 3, 7):
                scaled[1][0] = np.nan if step == 3 else np.inf
            apply(optimizer, [tensor(g) for g in scaled], variables)
            out.append([np.asarray(v.numpy()) for v in variables])
            out[-1] += [np.asarray(optimizer.dynamic_scale), np.asarray(optimizer.step_counter)]
            out[-1] += [np.asarray(optimizer.iterations)]
        return optimizer, out

    found, ours = path(
        optimizers,
        lambda w, n: backend.Variable(w, name=n),
        ops.convert_to_tensor,
        lambda optimizer, grads, variables: optimizer.apply(grads, variables),
    )
    oracle, theirs = path(
        keras.optimizers, lambda w, n: keras.Variable(w, name=n), keras.ops.convert_to_tensor, stateless
    )
    for step, (a, b) in enumerate(zip(ours, theirs)):
        for i, (x, y) in enumerate(zip(a, b)):
            np.testing.assert_allclose(x, y, rtol=RTOL, atol=ATOL, err_msg=f"step {step}, value {i}")
    for a, b in zip(found.variables, oracle.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), np.asarray(b), rtol=RTOL, atol=ATOL)
    config = found.get_config()
    again = optimizers.LossScaleOptimizer.from_config(config)
    assert again.get_config() == config
    with pytest.raises(ValueError, match="received \\['clipnorm'\\]"):
        optimizers.LossScaleOptimizer(optimizers.SGD(), clipnorm=1.0)


def test_loss_scale_in_a_compiled_step():
    """An infinite batch changes no weight and no slot."""
    import maas

    model = maas.Sequential([maas.Input((4,)), maas.layers.Dense(3)])
    optimizer = optimizers.LossScaleOptimizer(optimizers.Adam(0.01), initial_scale=8.0, dynamic_growth_steps=3)
    model.compile(optimizer, "mse")
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    model.train_on_batch(x, np.ones((8, 3), "float32"))
    before = [np.asarray(v.numpy()) for v in (*model.variables, *optimizer.inner_optimizer.variables)]
    model.train_on_batch(x * np.float32(np.inf), np.ones((8, 3), "float32"))
    after = [np.asarray(v.numpy()) for v in (*model.variables, *optimizer.inner_optimizer.variables)]
    for a, b in zip(before, after):
        np.testing.assert_array_equal(a, b)
    assert float(optimizer.dynamic_scale.numpy()) == 4.0
    model.train_on_batch(x, np.ones((8, 3), "float32"))
    assert np.abs(model.variables[0].numpy() - before[0]).max() > 0


@pytest.mark.parametrize("cls", [optimizers.Adam, optimizers.SGD])
def test_own_update_step_is_called(cls):
    """A subclass of a fused optimizer that writes its own rule, with weight decay."""

    class Own(cls):
        def update_step(self, gradient, variable, learning_rate):
            self.assign_sub(variable, learning_rate * 2.0 * gradient)

    variable = backend.Variable(np.ones(3, "float32"), name="v")
    Own(learning_rate=0.25, weight_decay=0.5).apply([ops.ones((3,))], [variable])
    np.testing.assert_allclose(variable.numpy(), 1 - 0.125 - 0.5)


def test_many_variables():
    """More variables than one op takes, large ones, and one excluded from decay."""
    shapes = [(5,)] * 70 + [(300, 300)]

    def run(library, variable, tensor):
        rng = np.random.default_rng(0)
        variables = [variable(rng.normal(size=s).astype("float32"), f"v{i}") for i, s in enumerate(shapes)]
        optimizer = library.AdamW(learning_rate=0.05)
        optimizer.exclude_from_weight_decay(var_names=["v7"])
        for _ in range(3):
            optimizer.apply([tensor(rng.normal(size=s).astype("float32")) for s in shapes], variables)
        return [np.asarray(v.numpy()) for v in variables]

    found = run(optimizers, lambda w, n: backend.Variable(w, name=n), ops.convert_to_tensor)
    wanted = run(keras.optimizers, lambda w, n: keras.Variable(w, name=n), keras.ops.convert_to_tensor)
    for a, b in zip(found, wanted):
        np.testing.assert_allclose(a, b, rtol=RTOL, atol=ATOL)


def test_unknown_variable():
    optimizer = optimizers.SGD(0.1)
    optimizer.build([backend.Variable(np.ones(2, "float32"), name="a")])
    with pytest.raises(ValueError, match="other variables"):
        optimizer.apply([ops.ones((2,))], [backend.Variable(np.ones(2, "float32"), name="b")])


def test_state_round_trip():
    optimizer, _ = ours("Adam", 0.1, {})
    store = {}
    optimizer.save_own_variables(store)
    other = optimizers.Adam(0.1)
    other.build([backend.Variable(w, name=f"v{i}") for i, w in enumerate(start())])
    other.load_own_variables(store)
    for a, b in zip(optimizer.variables, other.variables):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    with pytest.warns(UserWarning, match="not loaded"):
        optimizers.SGD(0.1).load_own_variables(store)


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimizers.SGD(learning_rate="fast"),
        lambda: optimizers.SGD(momentum=2.0),
        lambda: optimizers.Adam(clipnorm=1.0, clipvalue=1.0),
        lambda: optimizers.Adam(gradient_accumulation_steps=1),
        lambda: optimizers.Adam(use_ema=True, ema_momentum=2.0),
        lambda: optimizers.AdamW(weight_decay=None),
        lambda: optimizers.Adam(nonsense=1),
        lambda: optimizers.get("nonsense"),
        lambda: optimizers.get(3),
    ],
)
def test_wrong_options(make):
    with pytest.raises(ValueError, match="received"):
        make()


def test_get():
    assert isinstance(optimizers.get("adam"), optimizers.Adam)
    assert isinstance(optimizers.get("RMSprop"), optimizers.RMSprop)
    assert optimizers.get(None) is None


def test_loss_scale_factor_of_several_reaches_each_when_it_is_set():
    from maas.optimizers import SGD
    from maas.optimizers.multi import MultiOptimizer, OptimizerMap

    inner = SGD(0.1)
    several = MultiOptimizer(OptimizerMap(inner), loss_scale_factor=4.0)
    assert inner.loss_scale_factor == several.loss_scale_factor == 4.0
    several.loss_scale_factor = 8.0
    assert inner.loss_scale_factor == several.loss_scale_factor == 8.0
