"""DenseNet 121, 169 and 201: every layer of a block reads the outputs of all layers before it."""

from maas import layers
from maas.applications import building, imagenet_utils

_GROWTH = 32


def _norm_relu(x, name, relu):
    x = layers.BatchNormalization(axis=building.channel_axis(), epsilon=1.001e-5, name=name)(x)
    return layers.Activation("relu", name=relu)(x)


def _conv(x, filters, size, name, **kwargs):
    return layers.Conv2D(filters, size, use_bias=False, name=name, **kwargs)(x)


def _layer(x, name):
    new = _norm_relu(x, f"{name}_0_bn", f"{name}_0_relu")
    new = _norm_relu(_conv(new, 4 * _GROWTH, 1, f"{name}_1_conv"), f"{name}_1_bn", f"{name}_1_relu")
    new = _conv(new, _GROWTH, 3, f"{name}_2_conv", padding="same")
    return layers.Concatenate(axis=building.channel_axis(), name=f"{name}_concat")([x, new])


def _between(x, name):
    """Half the channels, half the height and width."""
    x = _norm_relu(x, f"{name}_bn", f"{name}_relu")
    x = _conv(x, x.shape[building.channel_axis()] // 2, 1, f"{name}_conv")
    return layers.AveragePooling2D(2, strides=2, name=f"{name}_pool")(x)


def _densenet(
    owner, counts, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name
):
    building.last_channels_only(owner)
    building.check_weights(owner, weights)
    x = start = building.model_input(input_tensor, building.image_shape(owner, input_shape, 224, include_top))
    x = _conv(layers.ZeroPadding2D(((3, 3), (3, 3)))(x), 64, 7, "conv1_conv", strides=2)
    x = layers.ZeroPadding2D(((1, 1), (1, 1)))(_norm_relu(x, "conv1_bn", "conv1_relu"))
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    for block, count in enumerate(counts, 2):
        if block > 2:
            x = _between(x, f"pool{block - 1}")
        for i in range(1, count + 1):
            x = _layer(x, f"conv{block}_block{i}")
    x = _norm_relu(x, "bn", "relu")
    x = building.classified(x, include_top, pooling, classes, classifier_activation)
    return building.finished(name, start, x, input_tensor, weights)


def _entry(depth, counts):
    return building.application(
        _densenet, f"DenseNet{depth}", f"densenet{depth}", f"DenseNet{depth}: {depth} layers with weights.",
        'Huang et al., 2016, "Densely connected convolutional networks", arXiv:1608.06993.', counts=counts,
    )  # fmt: skip


DenseNet121 = _entry(121, (6, 12, 24, 16))
DenseNet169 = _entry(169, (6, 12, 32, 32))
DenseNet201 = _entry(201, (6, 12, 48, 32))


def preprocess_input(x, data_format=None):
    """Images of values 0 to 255 as 0 to 1, minus mean, over deviation; see `imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="torch")


decode_predictions = imagenet_utils.decode_predictions
