"""Inception-ResNet-v2: blocks of branches side by side, whose scaled sum is added to what went in."""

from maas import layers
from maas.applications import building, imagenet_utils
from maas.applications.inception_v3 import joined
from maas.applications.own_layers import CustomScaleLayer

# Steps of a branch are (filters, kernel size, stride); "avg" and "max" are poolings.
_STEM = [
    [(96, 1)], [(48, 1), (64, 5)], [(64, 1), (96, 3), (96, 3)], ["avg", (64, 1)],
]  # fmt: skip
_BLOCK35 = [[(32, 1)], [(32, 1), (32, 3)], [(32, 1), (48, 3), (64, 3)]]
_TO_17 = [[(384, 3, 2)], [(256, 1), (256, 3), (384, 3, 2)], ["max"]]
_BLOCK17 = [[(192, 1)], [(128, 1), (160, [1, 7]), (192, [7, 1])]]
_TO_8 = [[(256, 1), (384, 3, 2)], [(256, 1), (288, 3, 2)], [(256, 1), (288, 3), (320, 3, 2)], ["max"]]
_BLOCK8 = [[(192, 1)], [(192, 1), (224, [1, 3]), (256, [3, 1])]]


def _conv(x, filters, size, stride=1, padding="same", name=None):
    padding = "valid" if stride == 2 else padding
    x = layers.Conv2D(filters, size, strides=stride, padding=padding, use_bias=False, name=name)(x)
    x = layers.BatchNormalization(axis=building.channel_axis(), scale=False, name=name and f"{name}_bn")(x)
    return layers.Activation("relu", name=name and f"{name}_ac")(x)


def _residual(x, branches, scale, name, relu=True):
    mixed = joined(x, branches, _conv, f"{name}_mixed")
    channels = x.shape[building.channel_axis()]
    up = layers.Conv2D(channels, 1, strides=1, padding="same", use_bias=True, name=f"{name}_conv")(mixed)
    x = CustomScaleLayer(scale)([x, up])
    return layers.Activation("relu", name=f"{name}_ac")(x) if relu else x


def _inception(owner, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name):
    building.check_weights(owner, weights)
    shape = building.image_shape(owner, input_shape, 299, include_top, min_size=75)
    x = start = building.model_input(input_tensor, shape)
    x = layers.MaxPooling2D(3, strides=2)(_conv(_conv(_conv(x, 32, 3, 2), 32, 3, 1, "valid"), 64, 3))
    x = layers.MaxPooling2D(3, strides=2)(_conv(_conv(x, 80, 1, 1, "valid"), 192, 3, 1, "valid"))
    x = joined(x, _STEM, _conv, "mixed_5b")
    for i in range(1, 11):
        x = _residual(x, _BLOCK35, 0.17, f"block35_{i}")
    x = joined(x, _TO_17, _conv, "mixed_6a")
    for i in range(1, 21):
        x = _residual(x, _BLOCK17, 0.1, f"block17_{i}")
    x = joined(x, _TO_8, _conv, "mixed_7a")
    for i in range(1, 10):
        x = _residual(x, _BLOCK8, 0.2, f"block8_{i}")
    x = _residual(x, _BLOCK8, 1.0, "block8_10", relu=False)
    x = _conv(x, 1536, 1, name="conv_7b")
    x = building.classified(x, include_top, pooling, classes, classifier_activation, (None, None))
    return building.finished(name, start, x, input_tensor, weights)


InceptionResNetV2 = building.application(
    _inception, "InceptionResNetV2", "inception_resnet_v2",
    "Inception-ResNet-v2; images are 299 pixels wide and high by default, and at least 75.",
    'Szegedy et al., 2016, "Inception-v4, Inception-ResNet and the impact of residual connections on learning", '
    "arXiv:1602.07261.",
)  # fmt: skip


def preprocess_input(x, data_format=None):
    """Images of values 0 to 255 as values from -1 to 1; see `imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")


decode_predictions = imagenet_utils.decode_predictions
