"""NaN and infinity in data and losses: one warning that names the input or the step."""

import warnings

import numpy as np
import pytest

import maas
from tests.training.pair import data, mlp, two_outputs

X, LABELS, ONE_HOT, Y = data(n=70)


def spoilt(value, a=X):
    a = a.copy()
    a[11, 2] = value
    return a


def warned(call):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return [str(w.message) for w in found if issubclass(w.category, UserWarning)]


def regressor():
    model = mlp(maas, classes=1, last=None)
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_input_is_named_once(value, dtype):
    texts = warned(lambda: regressor().fit(spoilt(value).astype(dtype), Y, epochs=3, verbose=0))
    assert len(texts) == 1
    assert (
        texts[0].startswith("x holds 1 values that are NaN or infinite") and f"is {value} at index (11, 2)" in texts[0]
    )


def test_the_right_one_of_two_inputs():
    a, b = maas.Input((5,), name="a"), maas.Input((5,), name="b")
    model = maas.Model([a, b], maas.layers.Dense(1)(maas.layers.Add()([a, b])))
    model.compile("sgd", "mse")
    assert warned(lambda: model.fit({"a": X, "b": spoilt(np.nan)}, Y, verbose=0))[0].startswith("x['b'] holds 1 ")


def test_large_finite_values_are_no_fault():
    x = np.full_like(X, 3e38)
    model = regressor()
    model.compile(maas.optimizers.SGD(0.0), lambda y, p: p * 0.0)
    # The sum of x is infinite, its values are not.
    assert not any("x holds" in t for t in warned(lambda: model.fit(x, Y, verbose=0)))


def test_clean_data_gives_no_warning():
    def run():
        model = two_outputs(maas)
        model.compile("sgd", ["categorical_crossentropy", "mse"])
        model.fit(X, [ONE_HOT, Y], epochs=2, verbose=0)

    assert warned(run) == []


def test_the_step_is_named_when_the_data_is_clean():
    model = regressor()
    model.compile(maas.optimizers.SGD(1e6), "mse")
    texts = warned(lambda: model.fit(X, Y, batch_size=1, epochs=3, verbose=0))
    assert len(texts) == 1
    assert "by step 17 of epoch 1" in texts[0] and "lower the learning rate" in texts[0]


def test_the_step_is_named_for_a_generator():
    batches = [(X[i : i + 10], Y[i : i + 10]) for i in range(0, 70, 10)]
    batches[4] = (spoilt(np.nan, batches[4][0].repeat(2, 0))[:12], batches[4][1].repeat(2, 0)[:12])

    class Source:
        def __iter__(self):
            return iter(batches)

    texts = warned(lambda: regressor().fit(Source(), epochs=2, verbose=0))
    assert len(texts) == 1 and texts[0].startswith("the loss is nan by step 7 of epoch 1")


def test_own_steps_and_missing_losses_are_left_alone():
    class Own(maas.Model):
        def __init__(self):
            super().__init__()
            self.head = maas.layers.Dense(1)

        def call(self, x):
            return self.head(x)

        def train_step(self, data):
            return {"other": maas.ops.mean(self(data[0]))}

    model = Own()
    model.compile("sgd", "binary_crossentropy")
    assert warned(lambda: model.fit(X, Y, verbose=0)) == []
