"""Xception: blocks of depthwise separable convolutions, each with a way past it."""

from maas import layers
from maas.applications import building, imagenet_utils

# Filters of the separable convolutions of a block; whether it halves the size, and starts with a relu.
_BLOCKS = (
    ((128, 128), True, False),
    ((256, 256), True, True),
    ((728, 728), True, True),
    *[((728, 728, 728), False, True)] * 8,
    ((728, 1024), True, True),
)


def _norm(x, name=None):
    return layers.BatchNormalization(axis=building.norm_axis(), name=name)(x)


def _relu(x, name):
    return layers.Activation("relu", name=f"{name}_act")(x)


def _separable(x, filters, name):
    x = layers.SeparableConv2D(filters, (3, 3), padding="same", use_bias=False, name=name)(x)
    return _norm(x, f"{name}_bn")


def _block(x, number, filters, halves, starts_with_relu):
    short = x
    if halves:
        short = _norm(layers.Conv2D(filters[-1], (1, 1), strides=(2, 2), padding="same", use_bias=False)(x))
    for i, n in enumerate(filters, 1):
        name = f"block{number}_sepconv{i}"
        if i > 1 or starts_with_relu:
            x = _relu(x, name)
        x = _separable(x, n, name)
    if halves:
        x = layers.MaxPooling2D((3, 3), strides=(2, 2), padding="same", name=f"block{number}_pool")(x)
    return layers.add([x, short])


def _xception(owner, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name):
    building.check_weights(owner, weights)
    shape = building.image_shape(owner, input_shape, 299, include_top, min_size=71)
    x = start = building.model_input(input_tensor, shape)
    for i, (filters, strides) in enumerate(((32, (2, 2)), (64, (1, 1))), 1):
        x = layers.Conv2D(filters, (3, 3), strides=strides, use_bias=False, name=f"block1_conv{i}")(x)
        x = _relu(_norm(x, f"block1_conv{i}_bn"), f"block1_conv{i}")
    for number, block in enumerate(_BLOCKS, 2):
        x = _block(x, number, *block)
    for i, filters in enumerate((1536, 2048), 1):
        x = _relu(_separable(x, filters, f"block14_sepconv{i}"), f"block14_sepconv{i}")
    x = building.classified(x, include_top, pooling, classes, classifier_activation, (None, None))
    return building.finished(name, start, x, input_tensor, weights)


Xception = building.application(
    _xception, "Xception", "xception", "Xception; images are 299 pixels wide and high by default, and at least 71.",
    'Chollet, 2016, "Xception: deep learning with depthwise separable convolutions", arXiv:1610.02357.',
)  # fmt: skip


def preprocess_input(x, data_format=None):
    """Images of values 0 to 255 as values from -1 to 1; see `imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")


decode_predictions = imagenet_utils.decode_predictions
