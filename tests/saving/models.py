"""Models built by the same code for Keras and for maas; `k` is either package."""

import functools

import numpy as np


def cnn(k):
    return k.Sequential(
        [
            k.Input((8, 8, 2)),
            k.layers.Conv2D(4, 3, padding="same", activation="relu"),
            k.layers.BatchNormalization(),
            k.layers.MaxPooling2D(),
            k.layers.Flatten(),
            k.layers.Dropout(0.25),
            k.layers.Dense(3, activation="softmax", kernel_regularizer=k.regularizers.L2(0.01)),
        ]
    )


def functional(k):
    a, b = k.Input((6,), name="left"), k.Input((4,), name="right")
    shared = k.layers.Dense(4, activation="tanh", name="shared")
    x = k.layers.Dense(4, kernel_initializer="he_normal", name="project")(a)
    x, y = shared(x), shared(b)
    z = k.layers.Concatenate()([x, y, k.layers.Multiply()([x, y])])
    z = k.layers.LayerNormalization()(k.layers.Add()([z * 2.0, z]))
    return k.Model([a, b], k.layers.Dense(3, activation="softmax", name="head")(z))


def lstm(k):
    return k.Sequential(
        [
            k.Input((5,), dtype="int32"),
            k.layers.Embedding(11, 6, mask_zero=False),
            k.layers.LSTM(7, return_sequences=True),
            k.layers.LSTM(4),
            k.layers.Dense(3, activation="softmax"),
        ]
    )


def simple_rnn(k):
    return k.Sequential(
        [k.Input((5, 3)), k.layers.SimpleRNN(6, activation="tanh"), k.layers.Dense(3, activation="softmax")]
    )


def transformer(k):
    tokens = k.Input((6,), dtype="int32")
    x = k.layers.Embedding(13, 8)(tokens)
    attended = k.layers.MultiHeadAttention(num_heads=2, key_dim=4, dropout=0.1)(x, x)
    x = k.layers.LayerNormalization(epsilon=1e-6)(k.layers.Add()([x, k.layers.Dropout(0.1)(attended)]))
    hidden = k.layers.Dense(8)(k.layers.Dense(16, activation="gelu")(x))
    x = k.layers.LayerNormalization()(k.layers.Add()([x, hidden]))
    return k.Model(tokens, k.layers.Dense(3, activation="softmax")(k.layers.GlobalAveragePooling1D()(x)))


def nested(k):
    inner = k.Sequential([k.Input((4,)), k.layers.Dense(5, activation="relu"), k.layers.Dense(4)], name="inner")
    x = k.Input((4,))
    return k.Model(x, k.layers.Dense(3, activation="softmax")(k.layers.Add()([x, inner(x)])))


@functools.cache
def block_class(k):
    """A registered layer with sub-layers in attributes, a list and a dict."""

    @k.saving.register_keras_serializable("both_ways")
    class Block(k.layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.out = k.layers.Dense(units)
            self.more = [k.layers.Dense(units), k.layers.Dense(units)]
            self.named = {"a": k.layers.Dense(units), "b": k.layers.LayerNormalization()}

        def build(self, input_shape):
            for layer in (self.out, *self.more, *self.named.values()):
                layer.build(input_shape)
            self.scale = self.add_weight(shape=(), initializer="ones", name="scale")
            self.built = True

        def call(self, x):
            for layer in (*self.more, self.named["a"], self.named["b"], self.out):
                x = layer(x)
            return x * self.scale

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    return Block


def blocks(k):
    block = block_class(k)
    return k.Sequential([k.Input((4,)), block(4), block(4), k.layers.Dense(3, activation="softmax")])


def bidirectional(k):
    return k.Sequential(
        [
            k.Input((5, 3)),
            k.layers.Bidirectional(k.layers.LSTM(4, return_sequences=True)),
            k.layers.TimeDistributed(k.layers.Dense(6, activation="relu")),
            k.layers.GRU(4),
            k.layers.Dense(3, activation="softmax"),
        ]
    )


BUILDERS = {f.__name__: f for f in (cnn, functional, lstm, simple_rnn, transformer, nested, blocks, bidirectional)}
INPUTS = {
    "cnn": [(8, 8, 2)],
    "functional": [(6,), (4,)],
    "lstm": [(5,)],
    "simple_rnn": [(5, 3)],
    "transformer": [(6,)],
    "nested": [(4,)],
    "blocks": [(4,)],
    "bidirectional": [(5, 3)],
}


def compiled(k, case):
    model = BUILDERS[case](k)
    model.compile(
        optimizer=k.optimizers.Adam(learning_rate=0.01),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def data(case, batch=8):
    """(inputs, labels), the same in every process."""
    rng = np.random.default_rng(len(case))
    make = rng.standard_normal
    if case in ("lstm", "transformer"):
        inputs = [rng.integers(0, 11, (batch, *s)).astype("int32") for s in INPUTS[case]]
    else:
        inputs = [make((batch, *s)).astype("float32") for s in INPUTS[case]]
    labels = rng.integers(0, 3, batch).astype("int32")
    return (inputs if len(inputs) > 1 else inputs[0]), labels


def state(model):
    """Weights and optimizer state as a dict of arrays, in order."""
    out = {f"w{i}": np.asarray(v) for i, v in enumerate(model.get_weights())}
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        out |= {f"o{i}": np.asarray(v.numpy()) for i, v in enumerate(optimizer.variables)}
    return out
