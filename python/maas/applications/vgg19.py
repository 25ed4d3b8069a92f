"""VGG19: nineteen layers with weights."""

from maas.applications import imagenet_utils
from maas.applications.vgg16 import vgg


def VGG19(
    include_top=True, weights="imagenet", input_tensor=None, input_shape=None, pooling=None, classes=1000,
    classifier_activation="softmax", name="vgg19",
):  # fmt: skip
    """VGG19.

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
        (2, 2, 4, 4, 4), include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name,
        "VGG19",
    )  # fmt: skip


def preprocess_input(x, data_format=None):
    """Images of values 0 to 255 as BGR minus the mean of ImageNet; see `imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="caffe")


decode_predictions = imagenet_utils.decode_predictions
