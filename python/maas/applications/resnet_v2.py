"""ResNet with bottleneck blocks, version 2."""

from maas.applications import imagenet_utils
from maas.applications.resnet import resnet


def ResNet50V2(
    include_top=True, weights="imagenet", input_tensor=None, input_shape=None, pooling=None, classes=1000,
    classifier_activation="softmax", name="resnet50v2",
):  # fmt: skip
    """ResNet50V2.

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
    Reference: He et al., 2016, "Identity mappings in deep residual networks", arXiv:1603.05027.
    """
    return resnet(
        (3, 4, 6, 3), 2, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation,
        name, "ResNet50V2",
    )  # fmt: skip


def ResNet101V2(
    include_top=True, weights="imagenet", input_tensor=None, input_shape=None, pooling=None, classes=1000,
    classifier_activation="softmax", name="resnet101v2",
):  # fmt: skip
    """ResNet101V2.

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
    Reference: He et al., 2016, "Identity mappings in deep residual networks", arXiv:1603.05027.
    """
    return resnet(
        (3, 4, 23, 3), 2, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation,
        name, "ResNet101V2",
    )  # fmt: skip


def ResNet152V2(
    include_top=True, weights="imagenet", input_tensor=None, input_shape=None, pooling=None, classes=1000,
    classifier_activation="softmax", name="resnet152v2",
):  # fmt: skip
    """ResNet152V2.

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
    Reference: He et al., 2016, "Identity mappings in deep residual networks", arXiv:1603.05027.
    """
    return resnet(
        (3, 8, 36, 3), 2, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation,
        name, "ResNet152V2",
    )  # fmt: skip


def preprocess_input(x, data_format=None):
    """Images of values 0 to 255 as values from -1 to 1; see `imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")


decode_predictions = imagenet_utils.decode_predictions
