"""VGG16: sixteen layers with weights."""

from maas import layers
from maas.applications import building, imagenet_utils

_FILTERS = (64, 128, 256, 512, 512)


def convolutions(x, counts, **conv):
    """Blocks of 3x3 convolutions with a pooling each, `counts` of them in each block."""
    for block, (filters, count) in enumerate(zip(_FILTERS, counts), 1):
        for i in range(1, count + 1):
            x = layers.Conv2D(
                filters, (3, 3), activation="relu", padding="same", name=f"block{block}_conv{i}", **conv
            )(x)  # fmt: skip
        x = layers.MaxPooling2D((2, 2), strides=(2, 2), name=f"block{block}_pool")(x)
    return x


def top(x, classes, activation, units=4096):
    """Three dense layers, two of them of `units`."""
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(units, activation="relu", name="fc1")(x)
    x = layers.Dense(units, activation="relu", name="fc2")(x)
    return layers.Dense(classes, activation=activation, name="predictions")(x)


def _vgg(owner, counts, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name):
    building.check_weights(owner, weights)
    start = building.model_input(input_tensor, building.image_shape(owner, input_shape, 224, include_top))
    x = convolutions(start, counts)
    x = top(x, classes, classifier_activation) if include_top else building.pooled(x, pooling)
    return building.finished(name, start, x, input_tensor, weights)


def entry(depth, counts):
    """The function of VGG16 or VGG19."""
    return building.application(
        _vgg, f"VGG{depth}", f"vgg{depth}", f"VGG{depth}: {depth} layers with weights.",
        'Simonyan and Zisserman, 2014, "Very deep convolutional networks for large-scale image recognition", '
        "arXiv:1409.1556.",
        counts=counts,
    )  # fmt: skip


COUNTS16 = (2, 2, 3, 3, 3)
VGG16 = entry(16, COUNTS16)


def preprocess_input(x, data_format=None):
    """Images of values 0 to 255 as BGR minus the mean of ImageNet; see `imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="caffe")


decode_predictions = imagenet_utils.decode_predictions
