"""InceptionV3: blocks of branches side by side, written as tables."""

from maas import layers
from maas.applications import building, imagenet_utils

# A branch is a list of steps (filters, rows, columns, stride); "avg" and "max" are poolings before it. A pair of lists
# at the end of a branch forks it: both read what came before and are joined.
_HALVED = 2


def _seven(n):
    """Branches with 7x7 windows as 1x7 and 7x1; n filters inside."""
    return [
        [(192, 1, 1)],
        [(n, 1, 1), (n, 1, 7), (192, 7, 1)],
        [(n, 1, 1), (n, 7, 1), (n, 1, 7), (n, 7, 1), (192, 1, 7)],
        ["avg", (192, 1, 1)],
    ]


def _five(pooled):
    return [
        [(64, 1, 1)],
        [(48, 1, 1), (64, 5, 5)],
        [(64, 1, 1), (96, 3, 3), (96, 3, 3)],
        ["avg", (pooled, 1, 1)],
    ]


def _forked(i):
    return [
        [(320, 1, 1)],
        [(384, 1, 1), ([(384, 1, 3)], [(384, 3, 1)], f"mixed9_{i}")],
        [(448, 1, 1), (384, 3, 3), ([(384, 1, 3)], [(384, 3, 1)], None)],
        ["avg", (192, 1, 1)],
    ]


_BLOCKS = [
    _five(32),
    _five(64),
    _five(64),
    [[(384, 3, 3, _HALVED)], [(64, 1, 1), (96, 3, 3), (96, 3, 3, _HALVED)], ["max"]],
    *[_seven(n) for n in (128, 160, 160, 192)],
    [[(192, 1, 1), (320, 3, 3, _HALVED)], [(192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3, _HALVED)], ["max"]],
    _forked(0),
    _forked(1),
]


def _conv(x, filters, rows, columns, stride=1, padding="same"):
    padding = "valid" if stride == _HALVED else padding
    strides = (stride, stride)
    x = layers.Conv2D(filters, (rows, columns), strides=strides, padding=padding, use_bias=False)(x)
    x = layers.BatchNormalization(axis=building.channel_axis(), scale=False)(x)
    return layers.Activation("relu")(x)


def branch(x, steps, conv):
    """`x` after the steps of a branch; `conv(x, *step)` makes its convolutions."""
    for step in steps:
        if step == "avg":
            x = layers.AveragePooling2D((3, 3), strides=(1, 1), padding="same")(x)
        elif step == "max":
            x = layers.MaxPooling2D((3, 3), strides=(2, 2))(x)
        elif isinstance(step[0], list):
            *forks, name = step
            x = joined(x, forks, conv, name)
        else:
            x = conv(x, *step)
    return x


def joined(x, branches, conv, name):
    """The channels of several branches of `x`."""
    found = [branch(x, steps, conv) for steps in branches]
    return layers.concatenate(found, axis=building.channel_axis(), name=name)


def _inception(owner, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name):
    building.check_weights(owner, weights)
    shape = building.image_shape(owner, input_shape, 299, include_top, min_size=75)
    x = start = building.model_input(input_tensor, shape)
    x = _conv(_conv(_conv(x, 32, 3, 3, _HALVED), 32, 3, 3, padding="valid"), 64, 3, 3)
    x = layers.MaxPooling2D((3, 3), strides=(2, 2))(x)
    x = _conv(_conv(x, 80, 1, 1, padding="valid"), 192, 3, 3, padding="valid")
    x = layers.MaxPooling2D((3, 3), strides=(2, 2))(x)
    for i, block in enumerate(_BLOCKS):
        x = joined(x, block, _conv, f"mixed{i}")
    x = building.classified(x, include_top, pooling, classes, classifier_activation, (None, None))
    return building.finished(name, start, x, input_tensor, weights)


InceptionV3 = building.application(
    _inception, "InceptionV3", "inception_v3",
    "InceptionV3; images are 299 pixels wide and high by default, and at least 75.",
    'Szegedy et al., 2015, "Rethinking the Inception architecture for computer vision", arXiv:1512.00567.',
)  # fmt: skip


def preprocess_input(x, data_format=None):
    """Images of values 0 to 255 as values from -1 to 1; see `imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")


decode_predictions = imagenet_utils.decode_predictions
