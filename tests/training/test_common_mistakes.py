"""The commonest mistakes: the error is typed and names the layer or argument, what came, and what to do."""

import numpy as np
import pytest

import maas
from maas import layers
from tests.training.pair import data, mlp

X, LABELS, ONE_HOT, Y = data()


def classifier(loss="sparse_categorical_crossentropy", **options):
    model = mlp(maas)
    model.compile("sgd", loss, **options)
    return model


def regressor(**options):
    model = mlp(maas, classes=1, last=None)
    model.compile("sgd", "mse", **options)
    return model


def binary(loss="binary_crossentropy"):
    model = mlp(maas, classes=1, last="sigmoid")
    model.compile("sgd", loss)
    return model


def words(ids):
    i = maas.Input((4,), dtype="int32")
    model = maas.Model(i, layers.Flatten()(layers.Embedding(10, 2, name="words")(i)))
    model.compile("sgd", "mse")
    model.fit(np.full((8, 4), ids), np.zeros((8, 8)), verbose=0)


def two_outputs(y):
    i = maas.Input((5,))
    model = maas.Model(i, [layers.Dense(1, name="a")(i), layers.Dense(3, name="b")(i)])
    model.compile("sgd", ["mse", "mse"])
    model.fit(X, y, verbose=0)


def wrong(labels, at=7, value=-1):
    labels = labels.copy()
    labels[at] = value
    return labels


def fit(model, *args, **kwargs):
    return model.fit(*args, verbose=0, **kwargs)


def ranked(y):
    model = maas.Sequential([maas.Input((5,)), layers.Dense(3, activation="softmax", name="out")])
    model.compile("sgd", maas.losses.SparseCategoricalCrossentropy(from_logits=True))
    return fit(model, X, y)


# What was done -> (call, kind of error, the parts of the text in order).
MISTAKES = {
    "wrong width": (lambda: fit(classifier(), X[:, :4], LABELS), ValueError, ["Dense 'hidden'", "must be 5", "4)"]),
    "one sample": (
        lambda: classifier().predict(X[0], verbose=0),
        ValueError,
        ["Sequential '", "must have shape (None, 5)", "x[None]", "received (None,)"],
    ),
    "one sample, called": (
        lambda: classifier()(X[0]),
        ValueError,
        ["Sequential '", "must be (None, 5)", "x[None]", "received (5,)"],
    ),
    "image to Dense stack without channels": (
        lambda: layers.Conv2D(3, 3, name="first")(np.ones((4, 8, 8), "float32")),
        ValueError,
        ["Conv2D 'first'", "rank", "at least 4", "received (4, 8, 8)"],
    ),
    "table to LSTM": (lambda: layers.LSTM(3, name="rnn")(X), ValueError, ["LSTM 'rnn'", "rank 3", "received (50, 5)"]),
    "not compiled": (lambda: fit(mlp(maas), X, LABELS), ValueError, ["Sequential '", "call compile() before fit()"]),
    "lengths": (lambda: fit(classifier(), X, LABELS[:-1]), ValueError, ["same number of samples", "x: 50, y: 49"]),
    "no targets": (lambda: fit(regressor(), X), ValueError, ["loss 'mse'", "'out'", "needs targets y", "None"]),
    "no targets to validate": (
        lambda: fit(regressor(metrics=["mae"]), X, Y, validation_data=(X,)),
        ValueError,
        ["loss 'mse'", "needs targets y", "None"],
    ),
    "no targets in evaluate": (
        lambda: (fit(m := regressor(), X, Y), m.evaluate(X, verbose=0)),
        ValueError,
        ["loss 'mse'", "needs targets y", "None"],
    ),
    "validation_data is an array": (
        lambda: fit(regressor(), X, Y, validation_data=X),
        ValueError,
        ["validation_data must be (x, y)", "received one array of shape (50, 5)"],
    ),
    "one-hot rows for class numbers": (
        lambda: fit(classifier(), X, ONE_HOT),
        ValueError,
        ["loss 'sparse_categorical_crossentropy'", "'out'", "use categorical_crossentropy", "(None, 3)"],
    ),
    "class numbers for one-hot rows": (
        lambda: fit(classifier("categorical_crossentropy"), X, LABELS),
        ValueError,
        ["loss 'categorical_crossentropy'", "'out'", "use sparse_categorical_crossentropy", "(None,)"],
    ),
    "columns and units": (
        lambda: fit(classifier("mse"), X, ONE_HOT[:, :2]),
        ValueError,
        ["loss 'mse'", "'out'", "y has 2 columns, so the output needs 2 units", "(None, 2)"],
    ),
    "one column and three units": (
        lambda: fit(classifier("mse"), X, LABELS),
        ValueError,
        ["loss 'mse'", "'out'", "the output has 3 units for one number per sample", "(None,)"],
    ),
    "label -1": (
        lambda: fit(classifier(), X, wrong(LABELS)),
        IndexError,
        ["sparse_categorical_crossentropy: labels must be in [0, 3), received -1"],
    ),
    "labels from 1": (
        lambda: fit(classifier(), X, wrong(LABELS, value=3)),
        IndexError,
        ["sparse_categorical_crossentropy: labels must be in [0, 3), received 3"],
    ),
    "label -1, logits": (
        lambda: ranked(wrong(LABELS)),
        IndexError,
        ["sparse_categorical_crossentropy: labels must be in [0, 3), received -1"],
    ),
    "labels in evaluate": (
        lambda: classifier().evaluate(X, wrong(LABELS, value=9), verbose=0),
        IndexError,
        ["labels must be in [0, 3), received 9 (flat position 7 in the batch)"],
    ),
    "id out of range": (lambda: words(10), IndexError, ["Embedding 'words': ids must be in [-10, 10), received 10"]),
    "three classes, one sigmoid": (
        lambda: fit(binary(), X, LABELS),
        ValueError,
        ["loss 'binary_crossentropy': labels y must be in [0, 1]", "sparse_categorical_crossentropy", "received 2"],
    ),
    "labels -1 and 1": (
        lambda: fit(binary(maas.losses.BinaryCrossentropy()), X, np.sign(Y)),
        ValueError,
        ["loss 'binary_crossentropy': labels y must be in [0, 1]", "received -1"],
    ),
    "list of labels": (
        lambda: fit(classifier(), X, LABELS.tolist()),
        ValueError,
        ["y must be an array", "np.asarray(y)", "received a list of int"],
    ),
    "list of weights": (
        lambda: fit(classifier(), X, LABELS, sample_weight=[1.0] * 50),
        ValueError,
        ["sample_weight must be an array", "np.asarray(sample_weight)", "received a list of float"],
    ),
    "list of rows": (
        lambda: classifier().predict(X.tolist(), verbose=0),
        ValueError,
        ["x must be an array", "np.asarray(x)", "received a list of float"],
    ),
    "class_weight of sklearn": (
        lambda: fit(classifier(), X, LABELS, class_weight="balanced"),
        TypeError,
        ["class_weight must be a dict from class number to weight", "received 'balanced'"],
    ),
    "metrics in third place": (
        lambda: mlp(maas).compile("adam", "mse", ["mae"]),
        ValueError,
        ["loss_weights must be", "metrics=[...]", "received loss_weights=['mae']"],
    ),
    "loss first": (
        lambda: mlp(maas).compile("mse", "adam"),
        ValueError,
        ["the optimizer comes first", "received optimizer='mse', loss='adam'"],
    ),
    "typo in optimizer": (
        lambda: mlp(maas).compile("adm", "mse"),
        ValueError,
        ["unknown optimizer 'adm'. Did you mean 'adam'? Known are adadelta, adafactor, adagrad,", "received 'adm'"],
    ),
    "typo in loss": (
        lambda: mlp(maas).compile("adam", "binary_crossentrpy"),
        ValueError,
        ["unknown loss 'binary_crossentrpy'. Did you mean 'binary_crossentropy'? Known are bce,"],
    ),
    "typo in metric": (
        lambda: mlp(maas).compile("adam", "mse", metrics=["acuracy"]),
        ValueError,
        ["unknown metric 'acuracy'. Did you mean 'accuracy'? Known are accuracy, auc,"],
    ),
    "typo in activation": (
        lambda: layers.Dense(3, activation="rleu"),
        ValueError,
        ["unknown activation 'rleu'. Did you mean 'relu'? Known are celu,"],
    ),
    "typo in initializer": (
        lambda: layers.Dense(3, kernel_initializer="glorot_unifrom"),
        ValueError,
        ["unknown initializer 'glorot_unifrom'. Did you mean 'glorot_uniform'? Known are constant,"],
    ),
    "typo in regularizer": (
        lambda: layers.Dense(3, kernel_regularizer="l3"),
        ValueError,
        ["unknown regularizer 'l3'.", "Known are l1, "],
    ),
    "typo in an argument": (
        lambda: layers.Dense(3, activaton="relu"),
        ValueError,
        ["Dense", "did you mean activation?", "received {'activaton': 'relu'}"],
    ),
    "lr": (lambda: maas.optimizers.Adam(lr=0.1), ValueError, ["Adam", "lr is called learning_rate", "received ['lr']"]),
    "a class as callback": (
        lambda: fit(classifier(), X, LABELS, callbacks=[maas.callbacks.EarlyStopping]),
        TypeError,
        ["such as EarlyStopping()", "received the class"],
    ),
    "a layer as list of layers": (
        lambda: maas.Sequential(layers.Dense(3)),
        ValueError,
        ["Sequential '", "must be a list of layers", "received <Dense"],
    ),
    "data to the constructor": (
        lambda: layers.Flatten(X),
        ValueError,
        ["Flatten '", "then call it on the data", "received an array of shape (50, 5)"],
    ),
    "one array for two outputs": (
        lambda: two_outputs(Y),
        ValueError,
        ["one array per output ['a', 'b']", "received 1"],
    ),
    "wrong output names": (
        lambda: two_outputs({"a": Y, "c": ONE_HOT}),
        ValueError,
        ["names of the outputs ['a', 'b']", "received ['a', 'c']"],
    ),
    "shapes to merge": (
        lambda: layers.Add(name="sum")([X, X[:, :3]]),
        ValueError,
        ["Add 'sum'", "broadcast", "[(50, 5), (50, 3)]"],
    ),
    "kernel larger than the image": (
        lambda: layers.Conv2D(2, 5, name="c")(np.ones((1, 3, 3, 1), "float32")),
        ValueError,
        ["Conv2D 'c'", "the window (5, 5)", "received (1, 3, 3, 1)"],
    ),
    "no such layer": (
        lambda: classifier().get_layer("head"),
        ValueError,
        ["there are ['hidden', 'out']", "received 'head'"],
    ),
    "suffix": (
        lambda: classifier().save("model.pt"),
        ValueError,
        ["saved as .keras, .maas or legacy .h5", "received 'model.pt'"],
    ),
    "no such file": (lambda: maas.models.load_model("no.keras"), FileNotFoundError, ["received 'no.keras'"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(name):
    call, kind, parts = MISTAKES[name]
    with pytest.raises(kind) as caught:
        call()
    text, at = str(caught.value), 0
    for part in parts:
        found = text.find(part, at)
        assert found >= 0, f"{part!r} is missing after {text[:at]!r} in {text!r}"
        at = found + len(part)


@pytest.mark.parametrize("make", [lambda: classifier(), lambda: binary()])
def test_good_labels_pass(make):
    """No false alarm: soft and smoothed labels, padding of weight 0, losses of the user's own."""
    model = make()
    if model.output_shape[-1] == 3:
        fit(model, X, LABELS)
        return
    soft = np.random.default_rng(0).uniform(size=(50, 1)).astype("float32")
    fit(model, X, soft)
    fit(model, X, soft > 0.5)
    weights = np.ones(50)
    weights[3] = 0
    fit(model, X, wrong(soft, 3), sample_weight=weights)
    smooth = binary(maas.losses.BinaryCrossentropy(label_smoothing=0.2))
    fit(smooth, X, (soft > 0.5).astype("float32"))

    class Masked(maas.losses.BinaryCrossentropy):
        def call(self, y_true, y_pred):
            y_true = maas.ops.maximum(y_true, 0.0)
            return super().call(y_true, y_pred)

    fit(binary(Masked()), X, wrong(soft, 3))
