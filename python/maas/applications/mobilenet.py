"""MobileNet: depthwise separable convolutions."""

from maas import layers
from maas.applications import building, imagenet_utils

# (filters, stride) of the blocks.
_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *(((512, 1),) * 5), (1024, 2), (1024, 1))


def _block(x, filters, depth_multiplier, stride, number):
    if stride > 1:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{number}")(x)
    x = layers.DepthwiseConv2D(
        (3, 3), padding="same" if stride == 1 else "valid", depth_multiplier=depth_multiplier,
        strides=(stride, stride), use_bias=False, name=f"conv_dw_{number}",
    )(x)  # fmt: skip
    x = layers.BatchNormalization(axis=building.norm_axis(), name=f"conv_dw_{number}_bn")(x)
    x = layers.ReLU(6.0, name=f"conv_dw_{number}_relu")(x)
    x = layers.Conv2D(
        filters, (1, 1), padding="same", use_bias=False, strides=(1, 1), name=f"conv_pw_{number}"
    )(x)  # fmt: skip
    x = layers.BatchNormalization(axis=building.norm_axis(), name=f"conv_pw_{number}_bn")(x)
    return layers.ReLU(6.0, name=f"conv_pw_{number}_relu")(x)


def MobileNet(
    input_shape=None, alpha=1.0, depth_multiplier=1, dropout=1e-3, include_top=True, weights="imagenet",
    input_tensor=None, pooling=None, classes=1000, classifier_activation="softmax", name=None,
):  # fmt: skip
    """MobileNet.

    Args:
        include_top: bool, whether the classifier follows.
        weights: None (random), or the path of a weights file; "imagenet", the default of Keras, is an error.
        input_tensor: KerasTensor to start from, or None.
        input_shape: (height, width, channels), or channels first by the global setting.
        pooling: without top, None, "avg" or "max".
        classes: int, number of classes.
        classifier_activation: activation of the top.
        name: str.
        alpha: number, width of the layers.
        depth_multiplier: int, of the depthwise convolutions.
        dropout: number, rate before the classifier.

    Raises:
        ValueError: for weights or shapes that do not fit.
    Reference: Howard et al., 2017, "MobileNets: efficient convolutional neural networks for mobile vision
        applications", arXiv:1704.04861.
    """
    building.check_weights("MobileNet", weights)
    size = building.square_size(input_shape, (128, 160, 192, 224))
    shape = building.image_shape("MobileNet", input_shape, size, include_top)
    x = start = building.model_input(input_tensor, shape)
    x = layers.Conv2D(
        int(32 * alpha), (3, 3), padding="same", use_bias=False, strides=(2, 2), name="conv1"
    )(x)  # fmt: skip
    x = layers.BatchNormalization(axis=building.norm_axis(), name="conv1_bn")(x)
    x = layers.ReLU(6.0, name="conv1_relu")(x)
    for number, (filters, stride) in enumerate(_BLOCKS, 1):
        x = _block(x, int(filters * alpha), depth_multiplier, stride, number)
    if include_top:
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = layers.Dropout(dropout, name="dropout")(x)
        x = layers.Conv2D(classes, (1, 1), padding="same", name="conv_preds")(x)
        x = layers.Reshape((classes,), name="reshape_2")(x)
        x = layers.Activation(activation=classifier_activation, name="predictions")(x)
    else:
        x = building.pooled(x, pooling)
    rows = shape[0] if building.channel_axis() == 3 else shape[1]
    return building.finished(name or f"mobilenet_{alpha:0.2f}_{rows}", start, x, input_tensor, weights)


def preprocess_input(x, data_format=None):
    """Images of values 0 to 255 as values from -1 to 1; see `imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")


decode_predictions = imagenet_utils.decode_predictions
