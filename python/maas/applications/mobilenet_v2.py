"""MobileNetV2: inverted residual blocks with linear ends."""

from maas import layers
from maas.applications import building, imagenet_utils

# (filters, stride, expansion) of the blocks.
_BLOCKS = (
    (16, 1, 1), (24, 2, 6), (24, 1, 6), (32, 2, 6), (32, 1, 6), (32, 1, 6), (64, 2, 6), (64, 1, 6), (64, 1, 6),
    (64, 1, 6), (96, 1, 6), (96, 1, 6), (96, 1, 6), (160, 2, 6), (160, 1, 6), (160, 1, 6), (320, 1, 6),
)  # fmt: skip


def _norm(x, name):
    return layers.BatchNormalization(axis=building.norm_axis(), epsilon=1e-3, momentum=0.999, name=name)(x)


def _block(inputs, filters, alpha, stride, expansion, number):
    channels = inputs.shape[building.channel_axis()]
    filters = building.divisible(int(filters * alpha))
    prefix, x = "expanded_conv_", inputs
    if number:
        prefix = f"block_{number}_"
        x = layers.Conv2D(
            expansion * channels, kernel_size=1, padding="same", use_bias=False, name=f"{prefix}expand"
        )(x)  # fmt: skip
        x = _norm(x, f"{prefix}expand_BN")
        x = layers.ReLU(6.0, name=f"{prefix}expand_relu")(x)
    if stride == 2:
        x = layers.ZeroPadding2D(padding=building.correct_pad(x, 3), name=f"{prefix}pad")(x)
    x = layers.DepthwiseConv2D(
        kernel_size=3, strides=stride, use_bias=False, padding="same" if stride == 1 else "valid",
        name=f"{prefix}depthwise",
    )(x)  # fmt: skip
    x = _norm(x, f"{prefix}depthwise_BN")
    x = layers.ReLU(6.0, name=f"{prefix}depthwise_relu")(x)
    x = layers.Conv2D(filters, kernel_size=1, padding="same", use_bias=False, name=f"{prefix}project")(x)
    x = _norm(x, f"{prefix}project_BN")
    return layers.Add(name=f"{prefix}add")([inputs, x]) if channels == filters and stride == 1 else x


def MobileNetV2(
    input_shape=None, alpha=1.0, include_top=True, weights="imagenet", input_tensor=None, pooling=None, classes=1000,
    classifier_activation="softmax", name=None,
):  # fmt: skip
    """MobileNetV2.

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

    Raises:
        ValueError: for weights or shapes that do not fit.
    Reference: Sandler et al., 2018, "MobileNetV2: inverted residuals and linear bottlenecks", arXiv:1801.04381.
    """
    building.check_weights("MobileNetV2", weights)
    seen = tuple(input_tensor.shape[1:]) if input_shape is None and input_tensor is not None else input_shape
    size = building.square_size(seen, (96, 128, 160, 192, 224))
    shape = building.image_shape("MobileNetV2", input_shape, size, include_top)
    x = start = building.model_input(input_tensor, shape)
    x = layers.Conv2D(
        building.divisible(32 * alpha), kernel_size=3, strides=(2, 2), padding="same", use_bias=False, name="Conv1"
    )(x)  # fmt: skip
    x = _norm(x, "bn_Conv1")
    x = layers.ReLU(6.0, name="Conv1_relu")(x)
    for number, (filters, stride, expansion) in enumerate(_BLOCKS):
        x = _block(x, filters, alpha, stride, expansion, number)
    last = building.divisible(1280 * alpha) if alpha > 1.0 else 1280
    x = layers.Conv2D(last, kernel_size=1, use_bias=False, name="Conv_1")(x)
    x = _norm(x, "Conv_1_bn")
    x = layers.ReLU(6.0, name="out_relu")(x)
    if include_top:
        x = layers.GlobalAveragePooling2D()(x)
        x = layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
    else:
        x = building.pooled(x, pooling)
    rows = shape[0] if building.channel_axis() == 3 else shape[1]
    return building.finished(name or f"mobilenetv2_{alpha:0.2f}_{rows}", start, x, input_tensor, weights)


def preprocess_input(x, data_format=None):
    """Images of values 0 to 255 as values from -1 to 1; see `imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")


decode_predictions = imagenet_utils.decode_predictions
