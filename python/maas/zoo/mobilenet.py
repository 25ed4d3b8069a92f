"""MobileNetV2."""

from maas import layers
from maas.applications.building import divisible
from maas.models import Model
from maas.zoo.common import fixed_seed

# (expansion, channels, blocks, stride of the first)
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def _norm(x, name, relu=True):
    x = layers.BatchNormalization(epsilon=1e-3, momentum=0.999, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x


def _conv(x, filters, size, stride, name, relu=True):
    x = layers.Conv2D(
        filters, size, strides=stride, padding="same" if stride == 1 else "valid", use_bias=False,
        kernel_initializer="he_normal", name=name,
    )(x)  # fmt: skip
    return _norm(x, name, relu)


def inverted_residual(x, expansion, filters, stride, name):
    """Expand by 1x1, filter by depthwise 3x3, project by 1x1 without activation; added to x where shapes agree."""
    channels, short = x.shape[-1], x
    if expansion > 1:
        x = _conv(x, expansion * channels, 1, 1, f"{name}_expand")
    if stride > 1:
        x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    x = layers.DepthwiseConv2D(
        3, strides=stride, padding="same" if stride == 1 else "valid", use_bias=False,
        depthwise_initializer="he_normal", name=f"{name}_depthwise",
    )(x)  # fmt: skip
    x = _norm(x, f"{name}_depthwise")
    x = _conv(x, filters, 1, 1, f"{name}_project", relu=False)
    return layers.Add(name=f"{name}_add")([short, x]) if stride == 1 and channels == filters else x


def MobileNetV2(
    include_top=True, input_shape=(224, 224, 3), classes=1000, classifier_activation="softmax", alpha=1.0, seed=0,
    name="mobilenet_v2",
):  # fmt: skip
    """MobileNetV2: seventeen inverted residual blocks; 3.5 million weights.

    Args:
        include_top: bool, whether pooling and the dense layer follow.
        input_shape: tuple (height, width, channels).
        classes: int.
        classifier_activation: of the last layer.
        alpha: float, factor of all channels.
        seed: int or None, of the weights.
        name: str.

    Returns:
        Model of images (batch, *input_shape) and outputs (batch, classes), without the top (batch, h, w, channels).
    Reference: Sandler et al., 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", arXiv:1801.04381.
    """
    with fixed_seed(seed):
        inputs = layers.Input(input_shape)
        x = layers.ZeroPadding2D(1, name="stem_pad")(inputs)
        x = _conv(x, divisible(32 * alpha), 3, 2, "stem")
        block = 0
        for expansion, channels, count, stride in _STAGES:
            for i in range(count):
                x = inverted_residual(
                    x, expansion, divisible(channels * alpha), stride if i == 0 else 1, f"block{block}"
                )
                block += 1
        x = _conv(x, max(1280, divisible(1280 * alpha)), 1, 1, "head")
        if include_top:
            x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
            x = layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
        return Model(inputs, x, name=name)
