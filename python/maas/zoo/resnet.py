"""ResNet, version 1.5: the stride of a bottleneck sits in its 3x3 convolution, and images are padded on both sides."""

from maas import layers
from maas.models import Model
from maas.zoo.common import fixed_seed


def _conv(x, filters, size, stride, name, relu=True):
    """Convolution, batch normalization and, by default, ReLU."""
    if stride > 1 and size > 1:
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    x = layers.Conv2D(
        filters, size, strides=stride, padding="valid" if stride > 1 else "same", use_bias=False,
        kernel_initializer="he_normal", name=f"{name}_conv",
    )(x)  # fmt: skip
    x = layers.BatchNormalization(epsilon=1e-5, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x


def _block(x, filters, stride, bottleneck, name):
    """Residual block: `relu(x + f(x))`; x is projected where the shape changes."""
    channels = 4 * filters if bottleneck else filters
    short = x
    if stride > 1 or x.shape[-1] != channels:
        short = _conv(x, channels, 1, stride, f"{name}_0", relu=False)
    if bottleneck:
        x = _conv(x, filters, 1, 1, f"{name}_1")
        x = _conv(x, filters, 3, stride, f"{name}_2")
        x = _conv(x, channels, 1, 1, f"{name}_3", relu=False)
    else:
        x = _conv(x, filters, 3, stride, f"{name}_1")
        x = _conv(x, filters, 3, 1, f"{name}_2", relu=False)
    return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, short]))


def _resnet(blocks, bottleneck, include_top, input_shape, classes, classifier_activation, width, seed, name):
    with fixed_seed(seed):
        inputs = layers.Input(input_shape)
        x = _conv(inputs, width, 7, 2, "conv1")
        x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
        x = layers.MaxPooling2D(3, 2, name="pool1")(x)  # after a ReLU, zeros around change no maximum
        for stage, count in enumerate(blocks):
            for i in range(count):
                stride = 2 if stage > 0 and i == 0 else 1
                x = _block(x, width * 2**stage, stride, bottleneck, f"conv{stage + 2}_block{i + 1}")
        if include_top:
            x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
            x = layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
        return Model(inputs, x, name=name)


def ResNet18(
    include_top=True, input_shape=(224, 224, 3), classes=1000, classifier_activation="softmax", width=64, seed=0,
    name="resnet18",
):  # fmt: skip
    """ResNet-18: eight residual blocks of two 3x3 convolutions; 11.7 million weights.

    Args:
        include_top: bool, whether pooling and the dense layer follow.
        input_shape: tuple (height, width, channels).
        classes: int.
        classifier_activation: of the last layer.
        width: int, channels of the first stage; 64 in the paper.
        seed: int or None, of the weights.
        name: str.

    Returns:
        Model of images (batch, *input_shape) and outputs (batch, classes), without the top (batch, h, w, channels).
    Reference: He et al., 2015, "Deep Residual Learning for Image Recognition", arXiv:1512.03385.
    """
    return _resnet(
        (2, 2, 2, 2), False, include_top, input_shape, classes, classifier_activation, width, seed, name
    )  # fmt: skip


def ResNet34(
    include_top=True, input_shape=(224, 224, 3), classes=1000, classifier_activation="softmax", width=64, seed=0,
    name="resnet34",
):  # fmt: skip
    """ResNet-34: sixteen residual blocks of two 3x3 convolutions; 21.8 million weights.

    Args and Returns: as `ResNet18`.
    Reference: He et al., 2015, "Deep Residual Learning for Image Recognition", arXiv:1512.03385.
    """
    return _resnet(
        (3, 4, 6, 3), False, include_top, input_shape, classes, classifier_activation, width, seed, name
    )  # fmt: skip


def ResNet50(
    include_top=True, input_shape=(224, 224, 3), classes=1000, classifier_activation="softmax", width=64, seed=0,
    name="resnet50",
):  # fmt: skip
    """ResNet-50 v1.5: sixteen bottlenecks (1x1, 3x3, 1x1); 25.6 million weights.

    Args and Returns: as `ResNet18`.
    Reference: He et al., 2015, "Deep Residual Learning for Image Recognition", arXiv:1512.03385.
    """
    return _resnet(
        (3, 4, 6, 3), True, include_top, input_shape, classes, classifier_activation, width, seed, name
    )  # fmt: skip
