"""Models of every kind: a name, how to make it from `(layers, Model, Sequential, Input, ops)`, and its inputs."""

import numpy as np

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(3, 8, 8, 1)).astype("float32")
ROWS = RNG.normal(size=(3, 4)).astype("float32")
STEPS = RNG.normal(size=(3, 6, 8)).astype("float32")
IDS = RNG.integers(0, 20, (3, 6)).astype("int32")


def cnn(nn, Model, Sequential, Input, ops):
    return Sequential([
        Input((8, 8, 1)), nn.Conv2D(4, 3, activation="relu"), nn.MaxPooling2D(), nn.Flatten(),
        nn.Dense(3, kernel_regularizer="l2"),
        nn.Activation("softmax"),
    ])  # fmt: skip


def cnn_added(nn, Model, Sequential, Input, ops):
    model = Sequential(name="added")
    model.add(nn.Conv2D(4, (3, 3), activation="relu", input_shape=(8, 8, 1)))
    model.add(nn.AveragePooling2D((2, 2)))
    model.add(nn.Flatten())
    model.add(nn.Dense(5, activation="relu"))
    model.add(nn.Dense(2))
    return model


def deferred(nn, Model, Sequential, Input, ops):
    return Sequential([nn.Dense(3, activation="tanh"), nn.Dense(2)])


def input_dim(nn, Model, Sequential, Input, ops):
    return Sequential([nn.Dense(3, input_dim=4), nn.Dense(2)])


def two_inputs(nn, Model, Sequential, Input, ops):
    a, b = Input((4,), name="a"), Input((4,), name="b")
    shared = nn.Dense(3)
    y = shared(a) + ops.relu(shared(b))
    y = ops.concatenate([y, y], axis=-1) * 2.0
    return Model({"a": a, "b": b}, [y, nn.Add()([a, b])])


def list_inputs(nn, Model, Sequential, Input, ops):
    a, b = Input((4,), name="left"), Input((4,), name="right")
    return Model(inputs=[a, b], outputs={"sum": nn.Add()([a, b]), "dense": nn.Dense(2)(a)})


def operators(nn, Model, Sequential, Input, ops):
    x = Input((6, 8))
    y = (x - 1.0) / 2.0 + ops.square(x) ** 2
    y = ops.transpose(y, (0, 2, 1))[:, :4]
    y = ops.expand_dims(ops.mean(y, axis=-1), 1)
    return Model(x, ops.reshape(y, (-1, 4)) - ops.max(x, axis=(1, 2), keepdims=True)[:, 0])


def nested(nn, Model, Sequential, Input, ops):
    inner = Sequential([Input((4,)), nn.Dense(4, activation="relu"), nn.Dense(2)], name="inner")
    other = Input((4,))
    block = Model(other, nn.Dense(4)(other), name="block")
    x = Input((4,))
    return Model(x, inner(block(x)) + inner(x))


def middle(nn, Model, Sequential, Input, ops):
    x = Input((4,))
    h = nn.Dense(5, name="hidden")(x)
    Model(x, nn.Dense(2)(h))
    return Model(x, h)


def residual(nn, Model, Sequential, Input, ops):
    x = Input((6, 8))
    h = nn.Dense(8)(x)
    h = nn.Add()([x, h])
    h = nn.Concatenate()([h, x])
    return Model(x, nn.GlobalAveragePooling1D()(h))


CASES = {
    f.__name__: (f, x)
    for f, x in [
        (cnn, IMAGES),
        (cnn_added, IMAGES),
        (deferred, ROWS),
        (input_dim, ROWS),
        (two_inputs, {"a": ROWS, "b": ROWS[::-1].copy()}),
        (list_inputs, [ROWS, ROWS[::-1].copy()]),
        (operators, STEPS),
        (nested, ROWS),
        (middle, ROWS),
        (residual, STEPS),
    ]
}


def normalized(nn, Model, Sequential, Input, ops):
    return Sequential(
        [
            Input((8, 8, 1)),
            nn.Conv2D(4, 3),
            nn.BatchNormalization(),
            nn.ReLU(),
            nn.GlobalAveragePooling2D(),
            nn.Dropout(0.5),
            nn.Dense(2),
        ]
    )


def recurrent(nn, Model, Sequential, Input, ops):
    ids = Input((6,), dtype="int32")
    x = nn.Embedding(20, 8, mask_zero=True)(ids)
    x = nn.LSTM(6, return_sequences=True)(x)
    x = nn.Bidirectional(nn.LSTM(5))(x)
    return Model(ids, nn.Dense(2)(x))


def simple_recurrent(nn, Model, Sequential, Input, ops):
    return Sequential([Input((6, 8)), nn.SimpleRNN(5), nn.Dense(2)])


class Positions:
    """Makes a layer of each library that adds a learned position embedding."""

    def __new__(cls, nn, ops):
        class PositionEmbedding(nn.Layer):
            def __init__(self, length, width, **kwargs):
                super().__init__(**kwargs)
                self.length, self.width = length, width
                self.positions = nn.Embedding(length, width)

            def build(self, input_shape):
                self.positions.build((None, self.length))

            def call(self, x):
                return x + self.positions(ops.arange(self.length))

            def compute_output_shape(self, input_shape):
                return (*input_shape, self.width) if len(input_shape) == 2 else input_shape

        return PositionEmbedding


def transformer(nn, Model, Sequential, Input, ops):
    x = Input((6, 8))
    h = Positions(nn, ops)(6, 8)(x)
    h = nn.LayerNormalization(epsilon=1e-6)(h + nn.MultiHeadAttention(2, 4)(h, h))
    h = nn.LayerNormalization(epsilon=1e-6)(h + nn.Dense(8)(nn.Dense(16, activation="gelu")(h)))
    return Model(x, nn.Dense(2, activation="softmax")(nn.GlobalAveragePooling1D()(h)))


CASES |= {
    f.__name__: (f, x)
    for f, x in [(normalized, IMAGES), (recurrent, IDS), (simple_recurrent, STEPS), (transformer, STEPS)]
}
