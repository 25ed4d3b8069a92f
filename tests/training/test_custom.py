"""Steps, losses and metrics of one's own; layers that add losses; models without `compile` arguments."""

import gc
import weakref

import keras
import numpy as np
import pytest

import maas
from maas import ops
from tests.training.pair import assert_same_weights, data, mlp, pair

X, LABELS, ONE_HOT, _ = data()


def compiled(model, **options):
    model.compile(**{"optimizer": "sgd", "loss": "sparse_categorical_crossentropy", **options})
    return model


def test_train_step_with_a_tape():
    class Own(maas.Model):
        def __init__(self):
            super().__init__()
            self.hidden = maas.layers.Dense(7, activation="tanh")
            self.out = maas.layers.Dense(3, activation="softmax")
            self.loss_tracker = maas.metrics.Mean(name="loss")
            self.steps_traced = []

        def call(self, x):
            return self.out(self.hidden(x))

        def train_step(self, data):
            x, y = data[:2]
            self.steps_traced.append(1)
            with maas.GradientTape() as tape:
                loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply(gradients, self.trainable_variables)
            self.loss_tracker.update_state(loss)
            return {"own_loss": self.loss_tracker.result(), "constant": 3.0}

    plain, _ = pair()
    own = Own()
    own.build((None, 5))
    own.set_weights(plain.get_weights())
    for model in (plain, own):
        compiled(model)
    plain.fit(X, LABELS, epochs=2, batch_size=10, shuffle=False, verbose=0)
    history = own.fit(X, LABELS, epochs=2, batch_size=10, shuffle=False, verbose=0).history
    assert_same_weights(own, plain, rtol=0, atol=0)
    assert set(history) == {"own_loss", "constant"}
    assert history["constant"] == [3.0, 3.0]
    assert len(own.steps_traced) == 1


@pytest.mark.parametrize("eager", [False, True])
def test_two_updates_in_one_step(eager):
    """The second gradient starts from the weights that the first update left; the update is no part of it."""
    traced = []

    class Adversaries(maas.Model):
        def __init__(self):
            super().__init__()
            one = {"use_bias": False, "kernel_initializer": "ones"}
            self.d = maas.Sequential([maas.layers.Input((1,)), maas.layers.Dense(1, **one)])
            self.g = maas.Sequential([maas.layers.Input((1,)), maas.layers.Dense(1, **one)])

        def train_step(self, data):  # and no call()
            traced.append(1)
            x, (d, g) = data[0], (self.d.trainable_weights, self.g.trainable_weights)
            with maas.GradientTape() as tape:
                loss = ops.sum(self.d(self.g(x)) ** 2)
            self.optimizer.apply_gradients(zip(tape.gradient(loss, d), d))
            with maas.GradientTape() as tape:
                loss = ops.sum(self.d(self.g(x)))
            (gradient,) = tape.gradient(loss, g)
            return {"gradient": gradient, "d": d[0].value + 0}

    model = Adversaries()
    model.compile(maas.optimizers.SGD(0.01), run_eagerly=eager)
    history = model.fit(np.ones((4, 1), "float32"), np.ones(4), batch_size=4, verbose=0).history
    np.testing.assert_allclose([history["d"][0], history["gradient"][0]], [0.92, 3.68], rtol=1e-6)
    traced.clear()
    model.fit(np.ones((12, 1), "float32"), np.ones(12), batch_size=4, verbose=0)
    assert len(traced) == (3 if eager else 0)  # one program for all batches


def test_a_tape_remembers_what_was_read_before_an_assignment():
    v = maas.Variable([2.0, 3.0])

    @maas.jit
    def f(x):
        with maas.GradientTape() as tape:
            first = ops.sum(v * v * x)
            v.assign(v * 10)
            second = ops.sum(v * x)
        return tape.gradient(first, v), tape.gradient(first + second, v)

    first, both = f(np.ones(2, "float32"))
    np.testing.assert_allclose(first, [4, 6])
    np.testing.assert_allclose(both, [5, 7])
    np.testing.assert_allclose(v.numpy(), [20, 30])


def test_a_model_without_call_needs_layers_that_are_built():
    class Own(maas.Model):
        def __init__(self):
            super().__init__()
            self.hidden = maas.layers.Dense(3, name="hidden")

        def train_step(self, data):
            return {"loss": ops.sum(self.hidden(data[0]))}

    model = compiled(Own(), loss=None)
    with pytest.raises(ValueError, match=r"layers that are built.*hidden"):
        model.fit(X, verbose=0)


def test_tape_outside_a_step():
    x = maas.Variable(3.0)
    with maas.GradientTape() as tape:
        y = x * x
    assert float(tape.gradient(y, x)) == 6


def test_own_compute_loss():
    class Own(maas.Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return ops.mean(ops.square(y - y_pred)) * (2.0 if training else 1.0)

    model = Own([maas.Input((5,)), maas.layers.Dense(3)])
    model.compile("sgd")
    expected = np.mean((ONE_HOT - model.predict(X, verbose=0)) ** 2)
    assert model.evaluate(X, ONE_HOT, batch_size=50, verbose=0) == pytest.approx(expected, rel=1e-5)
    history = model.fit(X, ONE_HOT, batch_size=50, verbose=0).history
    assert history["loss"][0] == pytest.approx(2 * expected, rel=1e-5)


def test_own_loss_and_metric_functions():
    def half_square(y_true, y_pred):
        return (y_true - y_pred) ** 2 / 2

    def largest(y_true, y_pred):
        return y_pred[:, 0]

    histories = []
    for model in pair():
        model.compile("sgd", half_square, metrics=[largest])
        histories.append(model.fit(X, ONE_HOT, epochs=2, verbose=0, shuffle=False).history)
    ours, theirs = histories
    assert list(ours) == list(theirs) == ["largest", "loss"]
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4)


def test_layers_add_losses():
    def build(library):
        class Penalty(library.layers.Layer):
            def call(self, x):
                self.add_loss(0.1 * library.ops.mean(x * x))
                return x

        return library.Sequential(
            [library.Input((5,)), library.layers.Dense(4), Penalty(), library.layers.Dense(3, activation="softmax")]
        )

    histories = []
    for model in pair(build):
        compiled(model)
        histories.append(model.fit(X, LABELS, epochs=3, verbose=0, shuffle=False).history["loss"])
    np.testing.assert_allclose(*histories, rtol=1e-4)


def test_frozen_layers_stay():
    ours, theirs = pair()
    for model in (ours, theirs):
        model.layers[0].trainable = False
        compiled(model)
        before = model.layers[0].get_weights()
        model.fit(X, LABELS, epochs=2, verbose=0, shuffle=False)
        for a, b in zip(before, model.layers[0].get_weights()):
            np.testing.assert_array_equal(a, b)
    assert_same_weights(ours, theirs)


def test_freezing_after_training_needs_no_new_model():
    model = compiled(pair()[0])
    model.fit(X, LABELS, verbose=0)
    model.layers[0].trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    before = model.layers[0].get_weights()
    model.fit(X, LABELS, verbose=0)
    np.testing.assert_array_equal(before[0], model.layers[0].get_weights()[0])


def test_options_of_the_optimizer_are_not_frozen_into_the_step():
    model = compiled(pair()[0], optimizer=maas.optimizers.SGD(0.1))
    model.fit(X, LABELS, verbose=0)
    model.optimizer.learning_rate = 0.0
    before = model.get_weights()
    model.fit(X, LABELS, verbose=0)
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)
    model.optimizer.learning_rate = maas.optimizers.schedules.ExponentialDecay(0.5, 10, 0.9)
    model.fit(X, LABELS, verbose=0)
    assert not np.array_equal(before[0], model.get_weights()[0])


def test_learning_rate_callback_acts_at_once():
    ours, theirs = pair()
    for library, model in ((maas, ours), (keras, theirs)):
        compiled(model)
        schedule = library.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)
        history = model.fit(X, LABELS, epochs=3, verbose=0, shuffle=False, callbacks=[schedule])
        np.testing.assert_allclose(history.history["learning_rate"], [0.005, 0.0025, 0.00125], rtol=1e-6)
    assert_same_weights(ours, theirs)


def test_model_without_input_shape():
    model = maas.Sequential([maas.layers.Dense(4, activation="relu"), maas.layers.Dense(3, activation="softmax")])
    compiled(model, metrics=["accuracy"])
    history = model.fit(X, LABELS, epochs=1, verbose=0)
    assert model.built and np.isfinite(history.history["loss"][0])
    assert model.predict(X[:2], verbose=0).shape == (2, 3)


def test_a_trained_model_goes_with_its_last_reference():
    model = compiled(pair()[0], metrics=["accuracy"])
    model.fit(X, LABELS, verbose=0, validation_data=(X, LABELS))
    model.predict(X, verbose=0)
    gone = weakref.ref(model)
    gc.collect()
    gc.disable()
    try:
        del model
        assert gone() is None
    finally:
        gc.enable()


def test_predict_before_compile_and_after():
    model = mlp(maas)
    before = model.predict(X, verbose=0)
    compiled(model)
    np.testing.assert_array_equal(before, model.predict(X, verbose=0))


def test_run_eagerly_sees_values():
    """Python code of the step prints and branches on values; the numbers are those of compiled steps."""
    seen, history = [], []

    class Peeking(maas.layers.Layer):
        def compute_output_shape(self, input_shape):
            return input_shape

        def call(self, x):
            if maas.ops.max(x) > 1e9:  # a branch on a value
                return x * 0
            seen.append(float(maas.ops.sum(x)))
            return x

    class Watching(maas.Sequential):
        def train_step(self, data):
            logs = super().train_step(data)
            if self.run_eagerly:
                assert logs["loss"] > 0 and f"{logs['loss']}".startswith("<Tensor")
            return logs

    for eager in (True, False):
        maas.utils.set_random_seed(3)
        layers = [Peeking()] if eager else []
        model = Watching([maas.Input(X.shape[1:]), *layers, maas.layers.Dense(8, "relu"), maas.layers.Dense(3)])
        model.compile(
            maas.optimizers.Adam(0.01),
            maas.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            run_eagerly=eager,
        )
        logs = model.fit(X, LABELS, epochs=2, batch_size=16, shuffle=False, verbose=0).history
        results = model.evaluate(X, LABELS, verbose=0), model.predict(X, verbose=0)
        history.append((logs["loss"], logs["accuracy"], *results))
    assert len(seen) >= 2 * -(-len(X) // 16)
    np.testing.assert_allclose(seen[0], X[:16].sum(), rtol=1e-4, atol=1e-4)
    for a, b in zip(*history):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_failed_eager_step_leaves_state_as_it_was():
    class Fails(maas.layers.Layer):
        fail = False

        def call(self, x):
            if self.fail:
                raise RuntimeError("stop here")
            return x

    model = maas.Sequential([maas.Input(X.shape[1:]), maas.layers.Dense(3), Fails()])
    compiled(model, run_eagerly=True)
    model.fit(X, LABELS, verbose=0)
    before = [w.copy() for w in model.get_weights()]
    Fails.fail = True
    with pytest.raises(RuntimeError, match="stop here"):
        model.fit(X, LABELS, verbose=0)
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_compile_config_round_trip():
    model = mlp(maas)
    model.compile(
        maas.optimizers.Adam(0.01, clipnorm=1.0),
        maas.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy", maas.metrics.SparseTopKCategoricalAccuracy(2)],
    )
    config = model.get_compile_config()
    other = mlp(maas)
    other.compile_from_config(config)
    assert other.optimizer.get_config() == model.optimizer.get_config()
    assert other.loss.get_config() == model.loss.get_config()
    assert other.get_compile_config() == config
    assert mlp(maas).get_compile_config() == {}


def test_train_step_unpacks_two_values_without_sample_weights():
    import maas

    seen = []

    class Own(maas.Model):
        def __init__(self):
            super().__init__()
            self.dense = maas.layers.Dense(1)

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            x, y = data
            seen.append((tuple(x.shape), tuple(y.shape)))
            return {"loss": maas.ops.mean(maas.ops.square(self(x) - y))}

    model = Own()
    model.compile("adam", "mse")
    model.fit(np.ones((8, 3), "float32"), np.ones((8, 1), "float32"), verbose=0)
    assert seen[0] == ((None, 3), (None, 1))


def test_a_frozen_variable_is_noticed_by_the_compiled_step():
    model = maas.Sequential([maas.Input((5,)), maas.layers.Dense(3)])
    model.compile("sgd", "mse")
    x, y = np.ones((4, 5), "float32"), np.ones((4, 3), "float32")
    model.fit(x, y, verbose=0)
    bias = model.layers[0].bias
    bias.trainable = False
    before, kernel = bias.numpy(), model.layers[0].kernel.numpy()
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(bias.numpy(), before)
    assert (model.layers[0].kernel.numpy() != kernel).any()


def test_a_loss_that_takes_class_numbers():
    model = maas.Sequential([maas.Input((5,)), maas.layers.Dense(3, activation="softmax")])
    model.compile("sgd", maas.losses.CategoricalGeneralizedCrossEntropy())
    history = model.fit(np.ones((4, 5), "float32"), np.array([0, 1, 2, 1]), verbose=0).history
    assert np.isfinite(history["loss"][0])


def test_mixed_float16_scales_the_loss():
    model = maas.Sequential([maas.Input((5,)), maas.layers.Dense(3)])
    model.compile("sgd", "mse")
    assert not isinstance(model.optimizer, maas.optimizers.LossScaleOptimizer)

    class Half(maas.Sequential):
        dtype_policy = maas.dtype_policies.DTypePolicy("mixed_float16")

    scaled = Half([maas.Input((5,)), maas.layers.Dense(3)])
    scaled.compile("sgd", "mse")
    assert isinstance(scaled.optimizer, maas.optimizers.LossScaleOptimizer)
    scaled.compile("sgd", "mse", auto_scale_loss=False)
    assert not isinstance(scaled.optimizer, maas.optimizers.LossScaleOptimizer)
