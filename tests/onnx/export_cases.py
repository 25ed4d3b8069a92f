"""Models that are written as ONNX, and data for them."""

import numpy as np

import maas
from maas import layers as L
from maas import zoo


def _sequential(shape, *parts, **kwargs):
    return maas.Sequential([maas.Input(shape, **kwargs), *parts])


def _attention(**options):
    x = maas.Input((None, 8))
    y = L.MultiHeadAttention(2, 4)(x, x, **options)
    return maas.Model(x, L.LayerNormalization()(y + x))


def _grouped():
    x = maas.Input((6, 8))
    return maas.Model(x, L.GroupQueryAttention(4, 4, 2)(x, x))


def _two_inputs():
    a, b = maas.Input((4,), name="a"), maas.Input((3,), name="b")
    y = L.Concatenate()([L.Dense(5, "elu")(a), L.Dense(2, "gelu")(b)])
    return maas.Model([a, b], [L.Dense(2, name="first")(y), maas.ops.softmax(L.Dense(3)(y))])


def _functions():
    x = maas.Input((5, 4))
    k = maas.ops
    parts = [k.exp(k.minimum(x, 1.0)), k.abs(x) ** 1.5, k.sign(x) * k.log1p(k.abs(x)), k.floor(x), x % 0.7, x // 0.6]
    parts += [k.where(x > 0, x, k.expm1(x)), k.relu6(x * 3), k.selu(x), k.hard_silu(x), k.log_sigmoid(x)]
    parts += [k.cumsum(x, axis=1), k.flip(x, axis=1), k.sort(x, axis=-1), k.tanh(k.arctan(x)), k.rsqrt(k.square(x) + 1)]
    parts += [k.cast(k.argmax(x, axis=-1, keepdims=True), "float32") * x, k.max(x, axis=1, keepdims=True) + x]
    parts += [k.pad(x, [(0, 0), (1, 1), (0, 0)])[:, 1:-1], k.tile(x, [1, 1, 2])[..., ::2], k.roll(x, 1, axis=1)]
    parts += [k.clip(k.var(x, axis=2, keepdims=True), 0, 1) + x, k.leaky_relu(x), k.softplus(x), k.erf(x)]
    return maas.Model(x, k.stack(parts, axis=1))


def _resized():
    x = maas.Input((6, 6, 2))
    y = L.UpSampling2D(2)(x)
    return maas.Model(x, L.Conv2DTranspose(3, 3, strides=2, padding="same")(L.Cropping2D(1)(y)))


def cases():
    """dict of name to `(model, list of inputs)`."""
    rng = np.random.default_rng(0)

    def floats(*shape):
        return rng.standard_normal(shape).astype("float32")

    def ids(*shape, top=20):
        return rng.integers(1, top, shape).astype("int32")

    image = floats(3, 9, 10, 4)
    return {
        "dense": (_sequential((6,), L.Dense(4, "relu"), L.Dense(3, "softmax")), [floats(5, 6)]),
        "two_inputs": (_two_inputs(), [floats(3, 4), floats(3, 3)]),
        "functions": (_functions(), [floats(3, 5, 4)]),
        "conv_same": (_sequential((9, 10, 4), L.Conv2D(5, 3, 2, padding="same", activation="relu")), [image]),
        "conv_valid": (_sequential((9, 10, 4), L.Conv2D(6, (3, 2), groups=2), L.ReLU()), [image]),
        "conv_dilated": (_sequential((9, 10, 4), L.Conv2D(5, 3, dilation_rate=2, padding="same")), [image]),
        "conv_1d": (_sequential((12, 4), L.Conv1D(5, 3, padding="causal"), L.MaxPooling1D()), [floats(2, 12, 4)]),
        "conv_3d": (_sequential((5, 6, 7, 2), L.Conv3D(3, 2), L.AveragePooling3D(2)), [floats(2, 5, 6, 7, 2)]),
        "depthwise": (_sequential((9, 10, 4), L.DepthwiseConv2D(3), L.SeparableConv2D(5, 3)), [image]),
        "transposed": (_sequential((9, 10, 4), L.Conv2DTranspose(3, 3, 2, padding="valid")), [image]),
        "resized": (_resized(), [floats(2, 6, 6, 2)]),
        "pools": (_sequential((9, 10, 4), L.MaxPooling2D(3, 2, padding="same"), L.AveragePooling2D(2, padding="same")),
                  [image]),
        "normalised": (_sequential((9, 10, 4), L.BatchNormalization(), L.GroupNormalization(2), L.LayerNormalization(),
                                   L.GlobalAveragePooling2D()), [image]),
        "lstm": (_sequential((None, 4), L.LSTM(5, return_sequences=True), L.LSTM(3, go_backwards=True)),
                 [floats(2, 7, 4)]),
        "gru": (_sequential((None, 4), L.GRU(5, return_sequences=True), L.GRU(3, reset_after=False)),
                [floats(2, 7, 4)]),
        "rnn": (_sequential((None, 4), L.SimpleRNN(5, activation="relu")), [floats(2, 7, 4)]),
        "bidirectional": (_sequential((7, 4), L.Bidirectional(L.LSTM(3, return_sequences=True))), [floats(2, 7, 4)]),
        "embedding": (_sequential((None,), L.Embedding(20, 4), L.GlobalMaxPooling1D(), dtype="int32"), [ids(2, 6)]),
        "attention": (_attention(), [floats(2, 5, 8)]),
        "causal": (_attention(use_causal_mask=True), [floats(2, 5, 8)]),
        "grouped": (_grouped(), [floats(2, 6, 8)]),
        "resnet": (zoo.ResNet18(input_shape=(40, 40, 3), classes=5), [floats(2, 40, 40, 3)]),
        "mobilenet": (zoo.MobileNetV2(input_shape=(32, 32, 3), classes=5), [floats(2, 32, 32, 3)]),
        "efficientnet": (zoo.EfficientNetB0(input_shape=(32, 32, 3), classes=5), [floats(2, 32, 32, 3)]),
        "unet": (zoo.UNet(input_shape=(32, 32, 3)), [floats(2, 32, 32, 3)]),
        "gpt2": (zoo.GPT2(vocabulary_size=50, num_layers=2, num_heads=2, hidden_dim=16, intermediate_dim=32,
                          max_sequence_length=16), [ids(2, 7)]),
        "bert": (zoo.BERT(vocabulary_size=50, num_layers=2, num_heads=2, hidden_dim=16, intermediate_dim=32,
                          max_sequence_length=16), [ids(2, 7), ids(2, 7, top=2)]),
    }  # fmt: skip
