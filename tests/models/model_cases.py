"""Models of every kind: a name, how to make it from `(layers, Model, Sequential, Input, ops)`, and its inputs."""

import numpy as np

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(3, 8, 8, 1)).astype("float32")
ROWS = RNG.normal(size=(3, 4)).astype("float32")
STEPS = RNG.normal(size=(3, 6, 8)).astype("float32")
IDS = RNG.integers(0, 20, (3, 6)).astype("int32")


def cnn(l, Model, Sequential, Input, ops):
    return Sequential([
        Input((8, 8, 1)), l.Conv2D(4, 3, activation="relu"), l.MaxPooling2D(), l.Flatten(), l.Dense(3, kernel_regularizer="l2"),
        l.Activation("softmax"),
    ])  # fmt: skip


def cnn_added(l, Model, Sequential, Input, ops):
    model = Sequential(name="added")
    model.add(l.Conv2D(4, (3, 3), activation="relu", input_shape=(8, 8, 1)))
    model.add(l.AveragePooling2D((2, 2)))
    model.add(l.Flatten())
    model.add(l.Dense(5, activation="relu"))
    model.add(l.Dense(2))
    return model


def deferred(l, Model, Sequential, Input, ops):
    return Sequential([l.Dense(3, activation="tanh"), l.Dense(2)])


def input_dim(l, Model, Sequential, Input, ops):
    return Sequential([l.Dense(3, input_dim=4), l.Dense(2)])


def two_inputs(l, Model, Sequential, Input, ops):
    a, b = Input((4,), name="a"), Input((4,), name="b")
    shared = l.Dense(3)
    y = shared(a) + ops.relu(shared(b))
    y = ops.concatenate([y, y], axis=-1) * 2.0
    return Model({"a": a, "b": b}, [y, l.Add()([a, b])])


def list_inputs(l, Model, Sequential, Input, ops):
    a, b = Input((4,), name="left"), Input((4,), name="right")
    return Model(inputs=[a, b], outputs={"sum": l.Add()([a, b]), "dense": l.Dense(2)(a)})


def operators(l, Model, Sequential, Input, ops):
    x = Input((6, 8))
    y = (x - 1.0) / 2.0 + ops.square(x) ** 2
    y = ops.transpose(y, (0, 2, 1))[:, :4]
    y = ops.expand_dims(ops.mean(y, axis=-1), 1)
    return Model(x, ops.reshape(y, (-1, 4)) - ops.max(x, axis=(1, 2), keepdims=True)[:, 0])


def nested(l, Model, Sequential, Input, ops):
    inner = Sequential([Input((4,)), l.Dense(4, activation="relu"), l.Dense(2)], name="inner")
    other = Input((4,))
    block = Model(other, l.Dense(4)(other), name="block")
    x = Input((4,))
    return Model(x, inner(block(x)) + inner(x))


def middle(l, Model, Sequential, Input, ops):
    x = Input((4,))
    h = l.Dense(5, name="hidden")(x)
    Model(x, l.Dense(2)(h))
    return Model(x, h)


def residual(l, Model, Sequential, Input, ops):
    x = Input((6, 8))
    h = l.Dense(8)(x)
    h = l.Add()([x, h])
    h = l.Concatenate()([h, x])
    return Model(x, l.GlobalAveragePooling1D()(h))


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


def normalized(l, Model, Sequential, Input, ops):
    return Sequential([Input((8, 8, 1)), l.Conv2D(4, 3), l.BatchNormalization(), l.ReLU(), l.GlobalAveragePooling2D(), l.Dropout(0.5), l.Dense(2)])


def recurrent(l, Model, Sequential, Input, ops):
    ids = Input((6,), dtype="int32")
    x = l.Embedding(20, 8, mask_zero=True)(ids)
    x = l.LSTM(6, return_sequences=True)(x)
    x = l.Bidirectional(l.LSTM(5))(x)
    return Model(ids, l.Dense(2)(x))


def simple_recurrent(l, Model, Sequential, Input, ops):
    return Sequential([Input((6, 8)), l.SimpleRNN(5), l.Dense(2)])


class Positions:
    """Makes a layer of each library that adds a learned position embedding."""

    def __new__(cls, l, ops):
        class PositionEmbedding(l.Layer):
            def __init__(self, length, width, **kwargs):
                super().__init__(**kwargs)
                self.length, self.width = length, width
                self.positions = l.Embedding(length, width)

            def build(self, input_shape):
                self.positions.build((None, self.length))

            def call(self, x):
                return x + self.positions(ops.arange(self.length))

            def compute_output_shape(self, input_shape):
                return (*input_shape, self.width) if len(input_shape) == 2 else input_shape

        return PositionEmbedding


def transformer(l, Model, Sequential, Input, ops):
    x = Input((6, 8))
    h = Positions(l, ops)(6, 8)(x)
    h = l.LayerNormalization(epsilon=1e-6)(h + l.MultiHeadAttention(2, 4)(h, h))
    h = l.LayerNormalization(epsilon=1e-6)(h + l.Dense(8)(l.Dense(16, activation="gelu")(h)))
    return Model(x, l.Dense(2, activation="softmax")(l.GlobalAveragePooling1D()(h)))


CASES |= {f.__name__: (f, x) for f, x in [(normalized, IMAGES), (recurrent, IDS), (simple_recurrent, STEPS), (transformer, STEPS)]}
