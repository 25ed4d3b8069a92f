"""EfficientNetV2 B0 to B3, S, M and L: the first blocks are plain convolutions, the later ones inverted residuals."""

import math

from maas import layers
from maas.applications import building, imagenet_utils
from maas.applications.efficientnet import classified, conv, excited, scaling, swish

# (repeats, filters in, filters out, expansion, stride, fused) of the blocks; those that are not fused squeeze to 1/4.
_B = (
    (1, 32, 16, 1, 1, True), (2, 16, 32, 4, 2, True), (2, 32, 48, 4, 2, True), (3, 48, 96, 4, 2, False),
    (5, 96, 112, 6, 1, False), (8, 112, 192, 6, 2, False),
)  # fmt: skip
_S = (
    (2, 24, 24, 1, 1, True), (4, 24, 48, 4, 2, True), (4, 48, 64, 4, 2, True), (6, 64, 128, 4, 2, False),
    (9, 128, 160, 6, 1, False), (15, 160, 256, 6, 2, False),
)  # fmt: skip
_M = (
    (3, 24, 24, 1, 1, True), (5, 24, 48, 4, 2, True), (5, 48, 80, 4, 2, True), (7, 80, 160, 4, 2, False),
    (14, 160, 176, 6, 1, False), (18, 176, 304, 6, 2, False), (5, 304, 512, 6, 1, False),
)  # fmt: skip
_L = (
    (4, 32, 32, 1, 1, True), (7, 32, 64, 4, 2, True), (7, 64, 96, 4, 2, True), (10, 96, 192, 4, 2, False),
    (19, 192, 224, 6, 1, False), (25, 224, 384, 6, 2, False), (7, 384, 640, 6, 1, False),
)  # fmt: skip
_DROPPED = 0.2


def _norm(x, name):
    return layers.BatchNormalization(axis=building.channel_axis(), momentum=0.9, name=name)(x)


def _block(inputs, before, after, expansion, stride, fused, drop_rate, name):
    x, filters = inputs, before * expansion
    window = {"kernel_size": 3, "strides": stride}  # of the first convolution of a fused block
    if expansion != 1:
        x = conv(x, filters, f"{name}expand_conv", **(window if fused else {}))
        x = swish(_norm(x, f"{name}expand_bn"), f"{name}expand_activation")
    if not fused:
        init = scaling(2.0, "truncated_normal")
        x = layers.DepthwiseConv2D(
            3, strides=stride, depthwise_initializer=init, padding="same", use_bias=False, name=f"{name}dwconv2"
        )(x)
        x = swish(_norm(x, f"{name}bn"), f"{name}activation")
        x = excited(x, filters, max(1, int(before * 0.25)), name)
    x = _norm(
        conv(x, after, f"{name}project_conv", **(window if fused and expansion == 1 else {})), f"{name}project_bn"
    )
    if fused and expansion == 1:
        x = swish(x, f"{name}project_activation")
    if stride == 1 and before == after:
        if drop_rate:
            x = layers.Dropout(drop_rate, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(x)
        x = layers.add([x, inputs], name=f"{name}add")
    return x


def _scaled(x, shape, small):
    """Values from 0 to 255 as the trained weights want them."""
    axis = building.channel_axis()
    if not small or shape[axis - 1] != 3:
        return layers.Rescaling(scale=1.0 / 128.0, offset=-1)(x)
    x = layers.Rescaling(scale=1.0 / 255)(x)
    mean, variance = [0.485, 0.456, 0.406], [0.229**2, 0.224**2, 0.225**2]
    return layers.Normalization(mean=mean, variance=variance, axis=axis)(x)


def _efficientnet(
    owner, blocks, width, depth, size, include_top, weights, input_tensor, input_shape, pooling, classes,
    classifier_activation, include_preprocessing, name,
):  # fmt: skip
    building.check_weights(owner, weights)
    shape = building.image_shape(owner, input_shape, size, include_top)
    x = start = building.model_input(input_tensor, shape)
    if include_preprocessing:
        x = _scaled(x, shape, name.split("-")[-1].startswith("b"))

    def filters(n):
        return max(8, int(n * width + 4) // 8 * 8)

    x = conv(x, filters(blocks[0][1]), "stem_conv", 3, strides=2)
    x = swish(_norm(x, "stem_bn"), "stem_activation")
    total, done = float(sum(b[0] for b in blocks)), 0
    for i, (repeats, before, after, expansion, stride, fused) in enumerate(blocks, 1):
        for j in range(math.ceil(depth * repeats)):
            x = _block(
                x, filters(after if j else before), filters(after), expansion, 1 if j else stride, fused,
                _DROPPED * done / total, f"block{i}{chr(j + 97)}_",
            )  # fmt: skip
            done += 1
    x = swish(_norm(conv(x, filters(1280), "top_conv"), "top_bn"), "top_activation")
    zeros = {"class_name": "Constant", "config": {"value": 0.0}}
    x = classified(x, include_top, pooling, classes, classifier_activation, _DROPPED, bias_initializer=zeros)
    return building.finished(name, start, x, input_tensor, weights)


def _entry(variant, blocks, size, width=1.0, depth=1.0):
    return building.application(
        _efficientnet, f"EfficientNetV2{variant}", f"efficientnetv2-{variant.lower()}",
        f"EfficientNetV2{variant}; images with values 0 to 255, {size} pixels wide and high by default.",
        'Tan and Le, 2021, "EfficientNetV2: smaller models and faster training", arXiv:2104.00298.',
        "include_top weights input_tensor input_shape pooling classes classifier_activation include_preprocessing name",
        blocks=blocks, size=size, width=width, depth=depth,
    )  # fmt: skip


EfficientNetV2B0 = _entry("B0", _B, 224)
EfficientNetV2B1 = _entry("B1", _B, 240, depth=1.1)
EfficientNetV2B2 = _entry("B2", _B, 260, 1.1, 1.2)
EfficientNetV2B3 = _entry("B3", _B, 300, 1.2, 1.4)
EfficientNetV2S = _entry("S", _S, 384)
EfficientNetV2M = _entry("M", _M, 480)
EfficientNetV2L = _entry("L", _L, 480)


def preprocess_input(x, data_format=None):
    """The images as they are: the model scales them."""
    return x


decode_predictions = imagenet_utils.decode_predictions
