"""Whole models on a device against the same model on the CPU: predictions, training steps, moves between devices."""

import contextlib

import numpy as np

import maas
from maas import _core
from tests.cuda.checks import on
from tests.training import textbook_models as textbook

CLASSES = "sparse_categorical_crossentropy"


def mlp(k):
    return k.Sequential(
        [
            k.Input((64,)),
            k.layers.Dense(128, activation="relu"),
            k.layers.Dense(64, activation="gelu"),
            k.layers.Dense(10, activation="softmax"),
        ]
    )


def normalized_cnn(k):
    """Batch normalization, depthwise and strided convolutions, a residual."""
    x = inputs = k.Input((8, 8, 1))
    x = k.layers.Conv2D(16, 3, padding="same", use_bias=False)(x)
    x = k.layers.ReLU()(k.layers.BatchNormalization()(x))
    y = k.layers.DepthwiseConv2D(3, padding="same")(x)
    x = k.layers.Add()([x, k.layers.Conv2D(16, 1)(y)])
    x = k.layers.Conv2D(32, 3, strides=2, padding="same", activation="silu")(x)
    x = k.layers.GlobalAveragePooling2D()(x)
    return k.Model(inputs, k.layers.Dense(10, activation="softmax")(x))


def gru(k):
    return k.Sequential([k.Input((8, 8)), k.layers.GRU(48), k.layers.Dense(10, activation="softmax")])


def words_lstm(k):
    """Class numbers through an embedding, a mask, and two directions."""
    return k.Sequential(
        [
            k.Input((12,), dtype="int32"),
            k.layers.Embedding(50, 24, mask_zero=True),
            k.layers.Bidirectional(k.layers.LSTM(16)),
            k.layers.Dense(10, activation="softmax"),
        ]
    )


def words(n=192):
    rng = np.random.default_rng(0)
    x = rng.integers(1, 50, (n, 12)).astype("int32")
    x[:, 8:] *= rng.integers(0, 2, (n, 1), dtype="int32")
    return x, rng.integers(0, 10, n)


MODELS = {
    "mlp": (mlp, lambda: textbook.digits(8, (64,))),
    "digits_cnn": (textbook.images_from_a_file, lambda: textbook.digits(8, (8, 8, 1))),
    "cnn_28": (textbook.convolutional_network, lambda: textbook.digits(28, (28, 28, 1))),
    "normalized_cnn": (normalized_cnn, lambda: textbook.digits(8, (8, 8, 1))),
    "lstm": (textbook.lstm, lambda: textbook.digits(8, (8, 8))),
    "gru": (gru, lambda: textbook.digits(8, (8, 8))),
    "simple_rnn": (textbook.simple_rnn, lambda: textbook.digits(8, (8, 8))),
    "words_lstm": (words_lstm, words),
    "transformer": (textbook.transformer_encoder, lambda: textbook.digits(8, (16, 4))),
}
OPTIMIZERS = {
    "sgd": lambda: maas.optimizers.SGD(0.05, momentum=0.9),
    "adam": lambda: maas.optimizers.Adam(0.002),
}


@contextlib.contextmanager
def watched(check):
    """Notes the kernels of every program that is compiled in the block."""
    compile_ = _core.Trace.compile

    def noted(*args, **kwargs):
        return check.saw(compile_(*args, **kwargs))

    _core.Trace.compile = noted
    try:
        yield
    finally:
        _core.Trace.compile = compile_


def same(got, want, what, rtol=1e-4, atol=2e-5):
    np.testing.assert_allclose(got, want, rtol=rtol, atol=atol, err_msg=what)


def predictions(check, name, device):
    """A model made on the device, and one moved there and back, predict what the one on the CPU predicts."""
    build, data = MODELS[name]
    x, _ = data()
    maas.utils.set_random_seed(0)
    ours = build(maas)
    want = ours.predict(x[:100], batch_size=32, verbose=0)
    with watched(check), on(device):
        model = build(maas)
        model.set_weights(ours.get_weights())
        same(model.predict(x[:100], batch_size=32, verbose=0), want, "made on the device")
        same(np.asarray(model(x[:3])), want[:3], "called")
    if device == "cpu":
        return
    with watched(check):
        ours.to(device)
        same(ours.predict(x[:100], batch_size=32, verbose=0), want, "moved to the device")
        ours.to("cpu")
        np.testing.assert_array_equal(ours.predict(x[:100], batch_size=32, verbose=0), want)


def training(check, name, device, optimizer):
    """Two epochs from the same weights over the same rows: losses, and weights after them."""
    build, data = MODELS[name]
    x, y = data()
    maas.utils.set_random_seed(0)
    start = build(maas).get_weights()
    seen = []
    for where in ("cpu", device):
        with watched(check) if where == device else contextlib.nullcontext(), on(where):
            model = build(maas)
            model.set_weights(start)
            model.compile(OPTIMIZERS[optimizer](), CLASSES, metrics=["accuracy"])
            history = model.fit(x, y, batch_size=32, epochs=2, shuffle=False, verbose=0).history
            weights = model.get_weights()
            seen.append((history, weights, model.evaluate(x, y, verbose=0)))
    (want, weights, scores), (got, others, more) = seen
    for key in want:
        same(got[key], want[key], key, 1e-3, 1e-4)
    same(more, scores, "evaluate", 2e-3, 1e-3)
    moved = max(np.abs(a - b).max() for a, b in zip(weights, start))
    for a, b in zip(others, weights):
        # Adam divides by gradients: where these are near zero, their last bits decide.
        assert np.mean(np.abs(a - b)) <= 2e-3 * moved, f"weights of shape {a.shape}"


def checks(name):
    yield "predictions", lambda check, device: predictions(check, name, device)
    for optimizer in OPTIMIZERS:
        yield f"training {optimizer}", lambda check, device, o=optimizer: training(check, name, device, o)
