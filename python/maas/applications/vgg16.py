"""VGG16: sixteen layers with weights."""

from maas import layers
from maas.applications import building, imagenet_utils

_FILTERS = (64, 128, 256, 512, 512)


def vgg(counts, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name, owner):
    """Blocks of 3x3 convolutions with a pooling each, `counts` of them in each block, and three dense layers."""
    building.check_weights(owner, weights)
    shape = building.image_shape(owner, input_shape, 224, include_top)
    x = start = building.model_input(input_tensor, shape)
    for block, (filters, count) in enumerate(zip(_FILTERS, counts), 1):
        for i in range(1, count + 1):
            x = layers.Conv2D(filters, (3, 3), activation="relu", padding="same", name=f"block{block}_conv{i}")(x)
        x = layers.MaxPooling2D((2, 2), strides=(2, 2), name=f"block{block}_pool")(x)
    if include_top:
        x = layers.Flatten(name="flatten")(x)
        x = layers.Dense(4096, activation="relu", name="fc1")(x)
        x = layers.Dense(4096, activation="relu", name="fc2")(x)
        x = layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
    else:
        x = building.pooled(x, pooling)
    return building.finished(name, start, x, input_tensor, weights)


def VGG16(
    include_top=True, weights="imagenet", input_tensor=None, input_shape=None, pooling=None, classes=1000,
    classifier_activation="softmax", name="vgg16",
):  # fmt: skip
    """VGG16.

    Args:
        include_top: bool, whether the classifier follows.
        weights: None (random), or the path of a weights file; "imagenet", the default of Keras, is an error.
        input_tensor: KerasTensor to start from, or None.
        input_shape: (height, width, channels), or channels first by the global setting.
        pooling: without top, None, "avg" or "max".
        classes: int, number of classes.
        classifier_activation: activation of the top.
        name: str.

    Raises:
        ValueError: for weights or shapes that do not fit.
    Reference: Simonyan and Zisserman, 2014, "Very deep convolutional networks for large-scale image recognition",
        arXiv:1409.1556.
    """
    return vgg(
        (2, 2, 3, 3, 3), include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name,
        "VGG16",
    )  # fmt: skip


def preprocess_input(x, data_format=None):
    """Images of values 0 to 255 as BGR minus the mean of ImageNet; see `imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="caffe")


decode_predictions = imagenet_utils.decode_predictions
