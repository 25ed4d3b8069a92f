"""Training loops of one's own, stateful and stateless, against fit and each other."""

import pickle

import numpy as np
import pytest

import maas
from maas import _core, ops

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 4)).astype("float32")
Y = (X @ RNG.normal(size=(4, 1))).astype("float32")


def make():
    maas.utils.set_random_seed(1)
    model = maas.Sequential(
        [maas.Input((4,)), maas.layers.Dense(8, activation="tanh"), maas.layers.BatchNormalization(),
         maas.layers.Dense(1)]
    )  # fmt: skip
    return model, maas.optimizers.Adam(0.01), maas.losses.MeanSquaredError()


def fit_weights(steps):
    model, optimizer, loss = make()
    model.compile(optimizer, loss)
    for _ in range(steps):
        model.train_on_batch(X, Y)
    return model.get_weights()


def test_tape_loop_is_fit():
    model, optimizer, loss_fn = make()
    for _ in range(5):
        with maas.GradientTape() as tape:
            loss = loss_fn(Y, model(X, training=True))
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_weights), model.trainable_weights))
    for a, b in zip(model.get_weights(), fit_weights(5)):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def test_jitted_tape_loop_is_fit():
    model, optimizer, loss_fn = make()
    optimizer.build(model.trainable_variables)

    @maas.jit
    def train_step(x, y):
        with maas.GradientTape() as tape:
            loss = loss_fn(y, model(x, training=True))
        optimizer.apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
        return loss

    losses = [float(train_step(X, Y)) for _ in range(5)]
    assert losses[-1] < losses[0]
    for a, b in zip(model.get_weights(), fit_weights(5)):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("jitted", [False, True])
def test_stateless_loop_is_fit_and_changes_nothing(jitted):
    model, optimizer, loss_fn = make()
    optimizer.build(model.trainable_variables)
    metric = maas.metrics.MeanSquaredError()
    before = model.get_weights()

    def compute_loss(trainable, non_trainable, x, y):
        pred, non_trainable = model.stateless_call(trainable, non_trainable, x, training=True)
        return loss_fn(y, pred), (pred, non_trainable)

    grad_fn = maas.value_and_grad(compute_loss, has_aux=True)

    def train_step(state, data):
        trainable, non_trainable, slots, metric_state = state
        x, y = data
        (loss, (pred, non_trainable)), grads = grad_fn(trainable, non_trainable, x, y)
        trainable, slots = optimizer.stateless_apply(slots, grads, trainable)
        metric_state = metric.stateless_update_state(metric_state, y, pred)
        return loss, (trainable, non_trainable, slots, metric_state)

    if jitted:
        train_step = maas.jit(train_step)
    metric_state = metric.stateless_reset_state()
    state = ([v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables],
             [v.value for v in optimizer.variables], metric_state)  # fmt: skip
    for _ in range(5):
        _, state = train_step(state, (X, Y))
    for a, b in zip(model.get_weights(), before):
        np.testing.assert_array_equal(a, b)
    assert float(metric.stateless_result(state[3])) > 0 and float(optimizer.variables[0]) == 0
    for v, value in zip(model.trainable_variables, state[0]):
        v.assign(value)
    for v, value in zip(model.non_trainable_variables, state[1]):
        v.assign(value)
    for a, b in zip(model.get_weights(), fit_weights(5)):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def test_stateless_calls_are_compiled_once_per_signature():
    model, optimizer, _ = make()
    optimizer.build(model.trainable_variables)
    metric = maas.metrics.MeanSquaredError()

    def step():
        trainable = [v.value for v in model.trainable_variables]
        fixed = [v.value for v in model.non_trainable_variables]
        pred, _ = model.stateless_call(trainable, fixed, X, training=False)
        optimizer.stateless_apply([v.value for v in optimizer.variables], trainable, trainable)
        metric.stateless_result(metric.stateless_update_state(metric.stateless_reset_state(), Y, pred))
        return pred.numpy()

    def plans_of(call):
        before = _core.plans_built()
        call()
        return _core.plans_built() - before

    first = step()
    assert plans_of(step) == 0
    # The values come with the call, those of the variables do not matter.
    model.set_weights([2 * w for w in model.get_weights()])
    assert plans_of(step) == 0
    assert not np.array_equal(step(), first)
    # Another mode, a changed attribute and another size are other signatures.
    values = [v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables]
    assert plans_of(lambda: model.stateless_call(*values, X, training=True)) > 0
    assert plans_of(lambda: model.stateless_call(*values, X[:3], training=False)) > 0
    model.layers[0].trainable = False
    values = [v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables]
    assert plans_of(lambda: model.stateless_call(*values, X, training=False)) > 0


def test_stateless_calls_see_changed_attributes_and_are_not_copied():
    class Scaled(maas.metrics.Metric):
        def __init__(self):
            super().__init__(name="scaled")
            self.scale, self.total = 2.0, self.add_weight(name="total", initializer="zeros")

        def update_state(self, y):
            self.total.assign(self.total + self.scale * ops.sum(y))

        def result(self):
            return ops.convert_to_tensor(self.total)

    metric, y = Scaled(), np.ones(3, "float32")
    state = metric.stateless_update_state(metric.stateless_reset_state(), y)
    assert float(metric.stateless_result(state)) == 6
    metric.scale = 5.0
    assert float(metric.stateless_result(metric.stateless_update_state(state, y))) == 21
    assert pickle.loads(pickle.dumps(metric._stateless_calls)) == {} and metric._stateless_calls


def test_stateless_errors_and_losses():
    model, optimizer, _ = make()
    with pytest.raises(ValueError, match="6 values of variables are needed, received 0"):
        model.stateless_call([], [], X)
    with pytest.raises(ValueError, match="build"):
        optimizer.stateless_apply([], [], [])
    layer = maas.layers.Dense(2, kernel_regularizer="l2")
    with pytest.raises(ValueError, match="built"):
        layer.stateless_call([], [], X)
    layer.build((None, 4))
    kernel = np.ones((4, 2), "float32")
    _, _, losses = layer.stateless_call([kernel, np.zeros(2, "float32")], [], X, return_losses=True)
    np.testing.assert_allclose(float(losses[0]), 0.01 * 8, rtol=1e-6)
    assert not np.array_equal(layer.kernel.numpy(), kernel)


def test_train_step_override_with_a_tape():
    class Custom(maas.Model):
        def __init__(self):
            super().__init__()
            self.d = maas.layers.Dense(1)

        def call(self, x):
            return self.d(x)

        def train_step(self, data):
            x, y = data
            with maas.GradientTape() as tape:
                loss = ops.mean((self(x, training=True) - y) ** 2)
            self.optimizer.apply(tape.gradient(loss, self.trainable_weights), self.trainable_weights)
            return {"mine": loss}

    m = Custom()
    m.compile(maas.optimizers.SGD(0.1))
    history = m.fit(X, Y, epochs=3, verbose=0).history["mine"]
    assert history[-1] < history[0]
