"""EfficientNet B0 to B7: inverted residual blocks with squeeze-and-excite, scaled in width, depth and size."""

import math

from maas import layers
from maas.applications import building, imagenet_utils

# (kernel size, repeats, filters in, filters out, expansion, stride) of the blocks of B0.
BLOCKS = (
    (3, 1, 32, 16, 1, 1), (3, 2, 16, 24, 6, 2), (5, 2, 24, 40, 6, 2), (3, 3, 40, 80, 6, 2), (5, 3, 80, 112, 6, 1),
    (5, 4, 112, 192, 6, 2), (3, 1, 192, 320, 6, 1),
)  # fmt: skip


def scaling(scale, distribution):
    return {
        "class_name": "VarianceScaling",
        "config": {"scale": scale, "mode": "fan_out", "distribution": distribution},
    }


def conv(x, filters, name, kernel_size=1, **kwargs):
    kwargs = {"padding": "same", "use_bias": False, **kwargs}
    init = scaling(2.0, "truncated_normal")
    return layers.Conv2D(filters, kernel_size, kernel_initializer=init, name=name, **kwargs)(x)


def _norm(x, name):
    return layers.BatchNormalization(axis=building.channel_axis(), name=name)(x)


def swish(x, name):
    return layers.Activation("swish", name=name)(x)


def excited(x, filters, squeezed, name):
    """Squeeze and excitation: every channel is scaled by a number that the means of all channels decide."""
    se = layers.GlobalAveragePooling2D(name=f"{name}se_squeeze")(x)
    shape = (filters, 1, 1) if building.channel_axis() == 1 else (1, 1, filters)
    se = layers.Reshape(shape, name=f"{name}se_reshape")(se)
    se = conv(se, squeezed, f"{name}se_reduce", activation="swish", use_bias=True)
    se = conv(se, filters, f"{name}se_expand", activation="sigmoid", use_bias=True)
    return layers.multiply([x, se], name=f"{name}se_excite")


def _block(inputs, drop_rate, name, kernel_size, filters_in, filters_out, expansion, stride):
    filters, x = filters_in * expansion, inputs
    if expansion != 1:
        x = swish(_norm(conv(x, filters, f"{name}expand_conv"), f"{name}expand_bn"), f"{name}expand_activation")
    if stride == 2:
        x = layers.ZeroPadding2D(padding=building.correct_pad(x, kernel_size), name=f"{name}dwconv_pad")(x)
    x = layers.DepthwiseConv2D(
        kernel_size, strides=stride, padding="valid" if stride == 2 else "same", use_bias=False,
        depthwise_initializer=scaling(2.0, "truncated_normal"), name=f"{name}dwconv",
    )(x)  # fmt: skip
    x = swish(_norm(x, f"{name}bn"), f"{name}activation")
    x = excited(x, filters, max(1, int(filters_in * 0.25)), name)
    x = _norm(conv(x, filters_out, f"{name}project_conv"), f"{name}project_bn")
    if stride == 1 and filters_in == filters_out:
        if drop_rate > 0:
            x = layers.Dropout(drop_rate, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(x)
        x = layers.add([x, inputs], name=f"{name}add")
    return x


def classified(x, include_top, pooling, classes, activation, dropped, **dense):
    """The top of a model: means of every channel, of which a share is dropped, and a dense layer."""
    if not include_top:
        return building.pooled(x, pooling, ("avg_pool", "max_pool"))
    x = layers.Dropout(dropped, name="top_dropout")(layers.GlobalAveragePooling2D(name="avg_pool")(x))
    init = scaling(1.0 / 3.0, "uniform")
    return layers.Dense(classes, activation=activation, kernel_initializer=init, name="predictions", **dense)(x)


def _efficientnet(
    owner, width, depth, size, dropout_rate, include_top, weights, input_tensor, input_shape, pooling, classes,
    classifier_activation, name,
):  # fmt: skip
    building.check_weights(owner, weights)
    shape = building.image_shape(owner, input_shape, size, include_top)
    x = start = building.model_input(input_tensor, shape)

    def filters(n):
        return int(building.divisible(n * width))

    x = layers.Rescaling(1.0 / 255.0)(x)
    x = layers.Normalization(axis=building.channel_axis())(x)
    x = layers.ZeroPadding2D(padding=building.correct_pad(x, 3), name="stem_conv_pad")(x)
    x = conv(x, filters(32), "stem_conv", kernel_size=3, strides=2, padding="valid")
    x = swish(_norm(x, "stem_bn"), "stem_activation")
    total = float(sum(math.ceil(depth * b[1]) for b in BLOCKS))
    done = 0
    for i, (kernel_size, repeats, before, after, expansion, stride) in enumerate(BLOCKS, 1):
        for j in range(math.ceil(depth * repeats)):
            x = _block(
                x, 0.2 * done / total, f"block{i}{chr(j + 97)}_", kernel_size, filters(after if j else before),
                filters(after), expansion, 1 if j else stride,
            )  # fmt: skip
            done += 1
    x = swish(_norm(conv(x, filters(1280), "top_conv"), "top_bn"), "top_activation")
    x = classified(x, include_top, pooling, classes, classifier_activation, dropout_rate)
    return building.finished(name, start, x, input_tensor, weights)


def _entry(i, width, depth, size, dropout_rate):
    return building.application(
        _efficientnet, f"EfficientNetB{i}", f"efficientnetb{i}",
        f"EfficientNetB{i}; images with values 0 to 255, {size} pixels wide and high by default.",
        'Tan and Le, 2019, "EfficientNet: rethinking model scaling for convolutional neural networks", '
        "arXiv:1905.11946.",
        width=width, depth=depth, size=size, dropout_rate=dropout_rate,
    )  # fmt: skip


EfficientNetB0 = _entry(0, 1.0, 1.0, 224, 0.2)
EfficientNetB1 = _entry(1, 1.0, 1.1, 240, 0.2)
EfficientNetB2 = _entry(2, 1.1, 1.2, 260, 0.3)
EfficientNetB3 = _entry(3, 1.2, 1.4, 300, 0.3)
EfficientNetB4 = _entry(4, 1.4, 1.8, 380, 0.4)
EfficientNetB5 = _entry(5, 1.6, 2.2, 456, 0.4)
EfficientNetB6 = _entry(6, 1.8, 2.6, 528, 0.5)
EfficientNetB7 = _entry(7, 2.0, 3.1, 600, 0.5)


def preprocess_input(x, data_format=None):
    """The images as they are: the model scales them itself."""
    return x


decode_predictions = imagenet_utils.decode_predictions
