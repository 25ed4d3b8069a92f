"""MobileNetV3, large and small: inverted residual blocks with squeeze-and-excite and hard swish."""

from maas import layers
from maas.applications import building, imagenet_utils

# (expansion, filters, large kernel, stride, squeeze, hard swish) of the blocks.
_SMALL = (
    (1, 16, 0, 2, 1, 0), (72.0 / 16, 24, 0, 2, 0, 0), (88.0 / 24, 24, 0, 1, 0, 0), (4, 40, 1, 2, 1, 1),
    (6, 40, 1, 1, 1, 1), (6, 40, 1, 1, 1, 1), (3, 48, 1, 1, 1, 1), (3, 48, 1, 1, 1, 1), (6, 96, 1, 2, 1, 1),
    (6, 96, 1, 1, 1, 1), (6, 96, 1, 1, 1, 1),
)  # fmt: skip
_LARGE = (
    (1, 16, 0, 1, 0, 0), (4, 24, 0, 2, 0, 0), (3, 24, 0, 1, 0, 0), (3, 40, 1, 2, 1, 0), (3, 40, 1, 1, 1, 0),
    (3, 40, 1, 1, 1, 0), (6, 80, 0, 2, 0, 1), (2.5, 80, 0, 1, 0, 1), (2.3, 80, 0, 1, 0, 1), (2.3, 80, 0, 1, 0, 1),
    (6, 112, 0, 1, 1, 1), (6, 112, 0, 1, 1, 1), (6, 160, 1, 2, 1, 1), (6, 160, 1, 1, 1, 1), (6, 160, 1, 1, 1, 1),
)  # fmt: skip


def _relu(x):
    return layers.ReLU()(x)


def _hard_swish(x):
    return layers.Activation("hard_swish")(x)


def _norm(x, name):
    return layers.BatchNormalization(axis=building.norm_axis(), epsilon=1e-3, momentum=0.999, name=name)(x)


def _conv(x, filters, name, use_bias=False):
    return layers.Conv2D(filters, kernel_size=1, padding="same", use_bias=use_bias, name=name)(x)


def _squeezed(inputs, filters, prefix):
    prefix += "squeeze_excite"
    x = layers.GlobalAveragePooling2D(keepdims=True, name=f"{prefix}_avg_pool")(inputs)
    x = _conv(x, building.divisible(filters * 0.25), f"{prefix}_conv", True)
    x = layers.ReLU(name=f"{prefix}_relu")(x)
    x = _conv(x, filters, f"{prefix}_conv_1", True)
    x = layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)
    return layers.Multiply(name=f"{prefix}_mul")([inputs, x])


def _block(x, expansion, filters, kernel_size, stride, squeeze, activation, number):
    short, prefix = x, "expanded_conv_"
    channels = x.shape[building.channel_axis()]
    if number:
        prefix = f"expanded_conv_{number}_"
        x = _conv(x, building.divisible(channels * expansion), f"{prefix}expand")
        x = activation(_norm(x, f"{prefix}expand_bn"))
    if stride == 2:
        x = layers.ZeroPadding2D(padding=building.correct_pad(x, kernel_size), name=f"{prefix}depthwise_pad")(x)
    x = layers.DepthwiseConv2D(
        kernel_size, strides=stride, padding="same" if stride == 1 else "valid", use_bias=False,
        name=f"{prefix}depthwise",
    )(x)  # fmt: skip
    x = activation(_norm(x, f"{prefix}depthwise_bn"))
    if squeeze:
        x = _squeezed(x, building.divisible(channels * expansion), prefix)
    x = _norm(_conv(x, filters, f"{prefix}project"), f"{prefix}project_bn")
    return layers.Add(name=f"{prefix}add")([short, x]) if stride == 1 and channels == filters else x


def _mobilenet_v3(
    owner, blocks, last_filters, input_shape, alpha, minimalistic, include_top, weights, input_tensor, classes, pooling,
    dropout_rate, classifier_activation, include_preprocessing, name,
):  # fmt: skip
    building.check_weights(owner, weights)
    if input_shape is None and input_tensor is not None:
        input_shape = tuple(input_tensor.shape[1:])
    shape = building.image_shape(owner, input_shape, None, False)
    x = start = building.model_input(input_tensor, shape)
    activation = _relu if minimalistic else _hard_swish
    if include_preprocessing:
        x = layers.Rescaling(scale=1.0 / 127.5, offset=-1.0)(x)
    x = layers.Conv2D(16, kernel_size=3, strides=(2, 2), padding="same", use_bias=False, name="conv")(x)
    x = activation(_norm(x, "conv_bn"))
    for number, (expansion, filters, large, stride, squeeze, swish) in enumerate(blocks):
        x = _block(
            x, expansion, building.divisible(filters * alpha), 5 if large and not minimalistic else 3, stride,
            squeeze and not minimalistic, activation if swish else _relu, number,
        )  # fmt: skip
    x = _conv(x, building.divisible(x.shape[building.channel_axis()] * 6), "conv_1")
    x = activation(_norm(x, "conv_1_bn"))
    if include_top:
        x = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = _conv(x, building.divisible(last_filters * alpha) if alpha > 1.0 else last_filters, "conv_2", True)
        x = activation(x)
        if dropout_rate > 0:
            x = layers.Dropout(dropout_rate)(x)
        x = layers.Conv2D(classes, kernel_size=1, padding="same", name="logits")(x)
        x = layers.Flatten()(x)
        x = layers.Activation(activation=classifier_activation, name="predictions")(x)
    else:
        x = building.pooled(x, pooling, ("avg_pool", "max_pool"))
    return building.finished(name, start, x, input_tensor, weights)


def MobileNetV3Small(
    input_shape=None, alpha=1.0, minimalistic=False, include_top=True, weights="imagenet", input_tensor=None,
    classes=1000, pooling=None, dropout_rate=0.2, classifier_activation="softmax", include_preprocessing=True,
    name="MobileNetV3Small",
):  # fmt: skip
    """MobileNetV3Small; images with values 0 to 255.

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
        minimalistic: bool, without squeeze-and-excite, hard swish and 5x5 kernels.
        dropout_rate: number, before the classifier.
        include_preprocessing: bool; False takes images with values -1 to 1.

    Raises:
        ValueError: for weights or shapes that do not fit.
    Reference: Howard et al., 2019, "Searching for MobileNetV3", arXiv:1905.02244.
    """
    return _mobilenet_v3(
        "MobileNetV3Small", _SMALL, 1024, input_shape, alpha, minimalistic, include_top, weights, input_tensor, classes,
        pooling, dropout_rate, classifier_activation, include_preprocessing, name,
    )  # fmt: skip


def MobileNetV3Large(
    input_shape=None, alpha=1.0, minimalistic=False, include_top=True, weights="imagenet", input_tensor=None,
    classes=1000, pooling=None, dropout_rate=0.2, classifier_activation="softmax", include_preprocessing=True,
    name="MobileNetV3Large",
):  # fmt: skip
    """MobileNetV3Large; images with values 0 to 255.

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
        minimalistic: bool, without squeeze-and-excite, hard swish and 5x5 kernels.
        dropout_rate: number, before the classifier.
        include_preprocessing: bool; False takes images with values -1 to 1.

    Raises:
        ValueError: for weights or shapes that do not fit.
    Reference: Howard et al., 2019, "Searching for MobileNetV3", arXiv:1905.02244.
    """
    return _mobilenet_v3(
        "MobileNetV3Large", _LARGE, 1280, input_shape, alpha, minimalistic, include_top, weights, input_tensor, classes,
        pooling, dropout_rate, classifier_activation, include_preprocessing, name,
    )  # fmt: skip


def preprocess_input(x, data_format=None):
    """The images as they are: the model scales them itself."""
    return x


decode_predictions = imagenet_utils.decode_predictions
