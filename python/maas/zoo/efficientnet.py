"""EfficientNet."""

from maas import layers
from maas.applications.efficientnet import BLOCKS, scaling
from maas.models import Model
from maas.zoo.common import fixed_seed

_INIT = scaling(2.0, "truncated_normal")


def _norm(x, name, swish=True):
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.Activation("swish", name=f"{name}_swish")(x) if swish else x


def _conv(x, filters, size, stride, name, swish=True):
    if stride > 1:
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    x = layers.Conv2D(
        filters, size, strides=stride, padding="same" if stride == 1 else "valid", use_bias=False,
        kernel_initializer=_INIT, name=name,
    )(x)  # fmt: skip
    return _norm(x, name, swish)


def _excite(x, squeezed, name):
    """Squeeze and excitation: every channel is scaled by a number that the means of all channels decide."""
    s = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    s = layers.Conv2D(squeezed, 1, activation="swish", kernel_initializer=_INIT, name=f"{name}_reduce")(s)
    s = layers.Conv2D(x.shape[-1], 1, activation="sigmoid", kernel_initializer=_INIT, name=f"{name}_expand")(s)
    return layers.Multiply(name=f"{name}_excite")([x, s])


def _block(x, size, filters, expansion, stride, name):
    channels, short = x.shape[-1], x
    if expansion > 1:
        x = _conv(x, expansion * channels, 1, 1, f"{name}_expand")
    if stride > 1:
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    x = layers.DepthwiseConv2D(
        size, strides=stride, padding="same" if stride == 1 else "valid", use_bias=False, depthwise_initializer=_INIT,
        name=f"{name}_depthwise",
    )(x)  # fmt: skip
    x = _excite(_norm(x, f"{name}_depthwise"), max(1, channels // 4), f"{name}_se")
    x = _conv(x, filters, 1, 1, f"{name}_project", swish=False)
    return layers.Add(name=f"{name}_add")([x, short]) if stride == 1 and channels == filters else x


def EfficientNetB0(
    include_top=True, input_shape=(224, 224, 3), classes=1000, classifier_activation="softmax", seed=0,
    name="efficientnet_b0",
):  # fmt: skip
    """EfficientNet-B0: sixteen inverted residual blocks with squeeze and excitation; 5.3 million weights.

    Args:
        include_top: bool, whether pooling and the dense layer follow.
        input_shape: tuple (height, width, channels).
        classes: int.
        classifier_activation: of the last layer.
        seed: int or None, of the weights.
        name: str.

    Returns:
        Model of images (batch, *input_shape) and outputs (batch, classes), without the top (batch, h, w, 1280).
    Reference: Tan and Le, 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
        arXiv:1905.11946.
    """
    with fixed_seed(seed):
        inputs = layers.Input(input_shape)
        x = _conv(inputs, 32, 3, 2, "stem")
        for stage, (size, count, _, channels, expansion, stride) in enumerate(BLOCKS, 1):
            for i in range(count):
                x = _block(x, size, channels, expansion, stride if i == 0 else 1, f"block{stage}{'abcd'[i]}")
        x = _conv(x, 1280, 1, 1, "top")
        if include_top:
            x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
            x = layers.Dropout(0.2, name="top_dropout")(x)
            x = layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
        return Model(inputs, x, name=name)
