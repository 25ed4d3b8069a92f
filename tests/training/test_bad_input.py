"""Bad input to compile, fit, evaluate and predict: a typed error that says what came, and a model that still works."""

import numpy as np
import pytest

import maas
from tests.training.pair import data, mlp

X, LABELS, ONE_HOT, _ = data()


def compiled(**options):
    model = mlp(maas)
    model.compile(**{"optimizer": "sgd", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **options})
    return model


def with_nan(a):
    a = np.array(a, "float32")
    a[3] = np.nan
    return a


BAD_FIT = {
    "lengths": (lambda m: m.fit(X, LABELS[:-1], verbose=0), ValueError, "same number of samples"),
    "weight length": (lambda m: m.fit(X, LABELS, sample_weight=np.ones(3), verbose=0), ValueError, "sample_weight: 3"),
    "no samples": (lambda m: m.fit(X[:0], LABELS[:0], verbose=0), ValueError, "at least one sample"),
    "no data": (lambda m: m.fit(verbose=0), ValueError, "received None"),
    "python lists": (
        lambda m: m.fit([[1.0] * 5], [0], verbose=0),
        ValueError,
        "np.asarray.x., received a list of float",
    ),
    "strings": (lambda m: m.fit(np.array([["a"] * 5]), LABELS[:1], verbose=0), TypeError, "x must hold numbers"),
    "objects": (lambda m: m.fit(np.array([[None] * 5]), LABELS[:1], verbose=0), TypeError, "received dtype object"),
    "wrong width": (lambda m: m.fit(X[:, :4], LABELS, verbose=0), ValueError, r"4\)"),
    "wrong rank": (lambda m: m.fit(X[:, :, None, None], LABELS, verbose=0), ValueError, "received"),
    "nan targets": (lambda m: m.fit(X, with_nan(LABELS), verbose=0), ValueError, r"NaN, received 1 NaN.*index \(3,\)"),
    "label too large": (lambda m: m.fit(X, LABELS + 5, verbose=0), IndexError, "received"),
    "label negative": (lambda m: m.fit(X, LABELS - 3, verbose=0), IndexError, "received"),
    "batch size": (lambda m: m.fit(X, LABELS, batch_size=0, verbose=0), ValueError, "received batch_size=0"),
    "batch size type": (lambda m: m.fit(X, LABELS, batch_size=2.5, verbose=0), ValueError, "received batch_size=2.5"),
    "epochs": (lambda m: m.fit(X, LABELS, epochs=1.5, verbose=0), TypeError, "received epochs=1.5"),
    "split": (lambda m: m.fit(X, LABELS, validation_split=0.999, verbose=0), ValueError, "validation_split=0.999"),
    "both weights": (
        lambda m: m.fit(X, LABELS, class_weight={0: 1.0}, sample_weight=np.ones(50), verbose=0),
        ValueError,
        "received both",
    ),
    "generator and y": (lambda m: m.fit(iter([(X, LABELS)]), LABELS, verbose=0), ValueError, "y must be part"),
    "empty generator": (lambda m: m.fit((b for b in ()), verbose=0), ValueError, "at least one batch"),
    "batch of four": (lambda m: m.fit((b for b in [(X,) * 4]), verbose=0), ValueError, "4 items"),
    "ragged batch": (lambda m: m.fit((b for b in [(X, LABELS[:5])]), verbose=0), ValueError, "same number of samples"),
    "callback": (lambda m: m.fit(X, LABELS, callbacks=[3], verbose=0), TypeError, "received 3"),
    "no targets": (lambda m: m.fit(X, verbose=0), ValueError, "needs targets y, received None"),
    "no targets to validate": (
        lambda m: m.fit(X, LABELS, validation_data=(X,), verbose=0),
        ValueError,
        "needs targets y, received None",
    ),
    "validation array": (
        lambda m: m.fit(X, LABELS, validation_data=X, verbose=0),
        ValueError,
        r"validation_data must be \(x, y\).*one array of shape \(50, 5\)",
    ),
    "class weight name": (
        lambda m: m.fit(X, LABELS, class_weight="balanced", verbose=0),
        TypeError,
        "class_weight must be a dict.*received 'balanced'",
    ),
    "class weight list": (
        lambda m: m.fit(X, LABELS, class_weight=[1, 2, 3], verbose=0),
        TypeError,
        r"class_weight must be a dict.*received \[1, 2, 3\]",
    ),
    "class weight keys": (lambda m: m.fit(X, LABELS, class_weight={"a": 2}, verbose=0), TypeError, "class number"),
    "class weight on a batch": (
        lambda m: m.train_on_batch(X, LABELS, class_weight="balanced"),
        TypeError,
        "received 'balanced'",
    ),
    "list of labels": (
        lambda m: m.fit(X, LABELS.tolist(), verbose=0),
        ValueError,
        r"y must be an array: make one with np.asarray\(y\), received a list of int",
    ),
    "list of scalars": (lambda m: m.fit(X, list(LABELS), verbose=0), ValueError, "received a list of int64"),
    "list of weights": (
        lambda m: m.fit(X, LABELS, sample_weight=[1.0] * 50, verbose=0),
        ValueError,
        "sample_weight must be an array: .*received a list of float",
    ),
    "weight name": (
        lambda m: m.fit(X, LABELS, sample_weight="balanced", verbose=0),
        ValueError,
        "sample_weight must be an array.*'balanced'",
    ),
    "one weight": (lambda m: m.fit(X, LABELS, sample_weight=2.0, verbose=0), ValueError, "received 2.0 of type float"),
    "callback class": (
        lambda m: m.fit(X, LABELS, callbacks=[maas.callbacks.TerminateOnNaN], verbose=0),
        TypeError,
        r"such as TerminateOnNaN\(\), received the class",
    ),
    "split above 1": (
        lambda m: m.fit(X, LABELS, validation_split=2, verbose=0),
        ValueError,
        r"in \[0, 1\), received 2",
    ),
    "split name": (lambda m: m.fit(X, LABELS, validation_split="a", verbose=0), ValueError, "received 'a'"),
    "half a step": (lambda m: m.fit(X, LABELS, steps_per_epoch=2.5, verbose=0), ValueError, "int >= 1, received 2.5"),
    "frequency": (
        lambda m: m.fit(X, LABELS, validation_data=(X, LABELS), validation_freq="x", verbose=0),
        ValueError,
        "validation_freq='x'",
    ),
}


@pytest.mark.parametrize("name", BAD_FIT)
def test_fit(name):
    call, kind, message = BAD_FIT[name]
    model = compiled()
    before = model.get_weights()
    with pytest.raises(kind, match=message):
        call(model)
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)
    # Still usable, also with the metric that a bad first batch might have chosen wrongly.
    history = model.fit(X, LABELS, verbose=0).history
    assert np.isfinite(history["loss"][0]) and history["accuracy"][0] > 0


def test_shapes_of_targets():
    model = compiled(loss="mse")
    with pytest.raises(
        ValueError, match=r"loss 'mse'.*received y_true of shape \(None, 4\) and y_pred of shape \(None, 3\)"
    ):
        model.fit(X, np.zeros((50, 4)), verbose=0)
    model.fit(X, ONE_HOT, verbose=0)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"optimizer": "nonsense"}, "received 'nonsense'"),
        ({"loss": "nonsense"}, "received 'nonsense'"),
        ({"metrics": ["nonsense"]}, "received 'nonsense'"),
        ({"metrics": "accuracy"}, "metrics='accuracy'"),
        ({"loss_weights": "heavy"}, "loss_weights='heavy'"),
        ({"loss_weights": ["mae"]}, r"metrics=\[...\], received loss_weights=\['mae'\]"),
        ({"optimizer": "adm"}, "unknown optimizer 'adm'. Did you mean 'adam'. Known are adadelta, .*, sgd; received"),
        ({"loss": "mes"}, "unknown loss 'mes'. Did you mean 'mse'. Known are bce, "),
        ({"metrics": ["acuracy"]}, "unknown metric 'acuracy'. Did you mean 'accuracy'. Known are accuracy, "),
        ({"optimizer": "mse", "loss": "adam"}, "the optimizer comes first, then the loss"),
        ({"optimizer": maas.optimizers.Adam}, r"such as Adam\(\), received <class"),
    ],
)
def test_compile(options, message):
    model = compiled()
    with pytest.raises(ValueError, match=message):
        model.compile(**{"optimizer": "sgd", "loss": "mse", **options})
    model.fit(X, LABELS, verbose=0)  # the settings before still hold


def test_not_compiled():
    model = mlp(maas)
    for call in (
        lambda: model.fit(X, LABELS),
        lambda: model.evaluate(X, LABELS),
        lambda: model.train_on_batch(X, LABELS),
        lambda: model.test_on_batch(X, LABELS),
    ):
        with pytest.raises(ValueError, match=r"call compile\(\)"):
            call()
    assert model.predict(X, verbose=0).shape == (50, 3)


def test_evaluate_and_predict():
    model = compiled()
    with pytest.raises(ValueError, match="received"):
        model.evaluate(X, LABELS[:3], verbose=0)
    with pytest.raises(ValueError, match="nonsense"):
        model.evaluate(X, LABELS, verbose=0, nonsense=1)
    with pytest.raises(ValueError, match="at least one sample"):
        model.predict(X[:0], verbose=0)
    with pytest.raises(ValueError, match="received"):
        model.predict(X[:, :3], verbose=0)
    assert model.predict(X, verbose=0).shape == (50, 3)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64", "float16", "float64", "bool"])
def test_input_dtypes_give_the_answer_of_float32(dtype):
    model = compiled()
    x = (np.abs(X) * 3).astype(dtype)
    expected = model.predict(x.astype("float32"), verbose=0)
    np.testing.assert_array_equal(model.predict(x, verbose=0), expected)
    model.fit(x, LABELS, verbose=0)
    np.testing.assert_array_equal(model.predict_on_batch(x), model.predict(x.astype("float32"), verbose=0))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float32", "float64"])
def test_label_dtypes(dtype):
    results = []
    for y in (LABELS, LABELS.astype(dtype), LABELS.astype(dtype)[:, None]):
        maas.utils.set_random_seed(1)
        model = compiled()
        results.append(model.fit(X, y, verbose=0, shuffle=False).history["loss"][0])
    assert results[0] == results[1] == results[2]


def test_arrays_are_not_changed():
    x, y = X.copy(), LABELS.copy()
    compiled().fit(x, y, verbose=0)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, LABELS)
