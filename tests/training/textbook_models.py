"""The models of the five programs in notebooks/, for real Keras and for maas alike, each with data of its program."""

import numpy as np

import maas


def images_from_a_file(k):
    return k.Sequential(
        [
            k.Input((8, 8, 1)),
            k.layers.Conv2D(32, (3, 3), activation="relu"),
            k.layers.MaxPooling2D((2, 2)),
            k.layers.Flatten(),
            k.layers.Dense(10, activation="softmax"),
        ]
    )


def convolutional_network(k):
    model = k.Sequential([k.Input((28, 28, 1))])
    model.add(k.layers.Conv2D(32, (3, 3), activation="relu"))
    model.add(k.layers.MaxPooling2D((2, 2)))
    model.add(k.layers.Conv2D(64, (3, 3), activation="relu"))
    model.add(k.layers.AveragePooling2D((2, 2)))
    model.add(k.layers.Conv2D(64, (3, 3), activation="relu"))
    model.add(k.layers.Flatten())
    model.add(k.layers.Dense(64, activation="relu"))
    model.add(k.layers.Dense(10, activation="softmax"))
    return model


def functional_model(k):
    inputs = k.Input((13,))
    hidden = k.layers.Dense(32, activation="relu")(inputs)
    hidden = k.layers.Dense(16, activation="relu")(hidden)
    return k.Model(inputs=inputs, outputs=k.layers.Dense(3, activation="softmax")(hidden))


def lstm(k):
    return k.Sequential([k.Input((8, 8)), k.layers.LSTM(64), k.layers.Dense(10, activation="softmax")])


def simple_rnn(k):
    return k.Sequential(
        [
            k.Input((8, 8)),
            k.layers.SimpleRNN(64, return_sequences=True),
            k.layers.SimpleRNN(64),
            k.layers.Dense(10, activation="softmax"),
        ]
    )


def transformer_encoder(k):
    """Without dropout, whose random numbers are each library's own."""

    class PositionEmbedding(k.layers.Layer):
        def __init__(self, length, width):
            super().__init__()
            self.length = length
            self.project = k.layers.Dense(width)
            self.positions = k.layers.Embedding(length, width)

        def call(self, x):
            return self.project(x) + self.positions(k.ops.arange(0, self.length, 1))

    def encoder(x, width=64):
        x = k.layers.LayerNormalization(epsilon=1e-6)(x + k.layers.MultiHeadAttention(4, width // 4)(x, x))
        transformed = k.layers.Dense(width)(k.layers.Dense(128, activation="relu")(x))
        return k.layers.LayerNormalization(epsilon=1e-6)(x + transformed)

    inputs = k.Input((16, 4))
    x = encoder(encoder(PositionEmbedding(16, 64)(inputs)))
    x = k.layers.GlobalAveragePooling1D()(x)
    return k.Model(inputs=inputs, outputs=k.layers.Dense(10, activation="softmax")(x))


def digits(size, shape, n=192):
    (x, y), _ = maas.datasets.digits.load_data(size=size)
    return (x[:n] / x.max()).astype("float32").reshape(n, *shape), y[:n]


def wine():
    from sklearn.datasets import load_wine

    x, y = load_wine(return_X_y=True)
    return ((x - x.mean(0)) / x.std(0)).astype("float32"), np.eye(3, dtype="float32")[y]


# Name: (model, data, loss).
MODELS = {
    "images_from_a_file": (images_from_a_file, lambda: digits(8, (8, 8, 1)), "sparse_categorical_crossentropy"),
    "convolutional_network": (
        convolutional_network,
        lambda: digits(28, (28, 28, 1)),
        "sparse_categorical_crossentropy",
    ),
    "functional_model": (functional_model, wine, "categorical_crossentropy"),
    "lstm": (lstm, lambda: digits(8, (8, 8)), "sparse_categorical_crossentropy"),
    "simple_rnn": (simple_rnn, lambda: digits(8, (8, 8)), "sparse_categorical_crossentropy"),
    "transformer_encoder": (transformer_encoder, lambda: digits(8, (16, 4)), "sparse_categorical_crossentropy"),
}
