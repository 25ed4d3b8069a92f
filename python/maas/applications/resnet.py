"""ResNet with bottleneck blocks, version 1; `entry` makes version 2 too."""

from maas import layers
from maas.applications import building, imagenet_utils


def _norm(x, name):
    return layers.BatchNormalization(axis=building.channel_axis(), epsilon=1.001e-5, name=name)(x)


def _relu(x, name):
    return layers.Activation("relu", name=name)(x)


def _block_v1(x, filters, stride, project, name):
    short = x
    if project:
        short = layers.Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(x)
        short = _norm(short, f"{name}_0_bn")
    x = layers.Conv2D(filters, 1, strides=stride, name=f"{name}_1_conv")(x)
    x = _relu(_norm(x, f"{name}_1_bn"), f"{name}_1_relu")
    x = layers.Conv2D(filters, 3, padding="SAME", name=f"{name}_2_conv")(x)
    x = _relu(_norm(x, f"{name}_2_bn"), f"{name}_2_relu")
    x = _norm(layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x), f"{name}_3_bn")
    return _relu(layers.Add(name=f"{name}_add")([short, x]), f"{name}_out")


def _block_v2(x, filters, stride, project, name):
    before = _relu(_norm(x, f"{name}_preact_bn"), f"{name}_preact_relu")
    if project:
        short = layers.Conv2D(4 * filters, 1, strides=stride, name=f"{name}_0_conv")(before)
    else:
        short = layers.MaxPooling2D(1, strides=stride)(x) if stride > 1 else x
    x = layers.Conv2D(filters, 1, strides=1, use_bias=False, name=f"{name}_1_conv")(before)
    x = _relu(_norm(x, f"{name}_1_bn"), f"{name}_1_relu")
    x = layers.ZeroPadding2D(padding=((1, 1), (1, 1)), name=f"{name}_2_pad")(x)
    x = layers.Conv2D(filters, 3, strides=stride, use_bias=False, name=f"{name}_2_conv")(x)
    x = _relu(_norm(x, f"{name}_2_bn"), f"{name}_2_relu")
    x = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x)
    return layers.Add(name=f"{name}_out")([short, x])


def _stack(x, filters, count, version, stage):
    for i in range(1, count + 1):
        name = f"conv{stage}_block{i}"
        if version == 1:
            x = _block_v1(x, filters, 2 if i == 1 and stage > 2 else 1, i == 1, name)
        else:  # version 2 strides in the last block of a stage
            x = _block_v2(x, filters, 2 if i == count and stage < 5 else 1, i == 1, name)
    return x


def _resnet(
    owner, counts, version, include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation,
    name,
):  # fmt: skip
    """Four stages of `counts` bottleneck blocks; version 2 normalizes before the convolutions."""
    building.check_weights(owner, weights)
    shape = building.image_shape(owner, input_shape, 224, include_top)
    x = start = building.model_input(input_tensor, shape)
    x = layers.ZeroPadding2D(padding=((3, 3), (3, 3)), name="conv1_pad")(x)
    x = layers.Conv2D(64, 7, strides=2, use_bias=True, name="conv1_conv")(x)
    if version == 1:
        x = _relu(_norm(x, "conv1_bn"), "conv1_relu")
    x = layers.ZeroPadding2D(padding=((1, 1), (1, 1)), name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stage, count in enumerate(counts, 2):
        x = _stack(x, 64 * 2 ** (stage - 2), count, version, stage)
    if version == 2:
        x = _relu(_norm(x, "post_bn"), "post_relu")
    x = building.classified(x, include_top, pooling, classes, classifier_activation)
    return building.finished(name, start, x, input_tensor, weights)


_PAPERS = {
    1: 'He et al., 2015, "Deep residual learning for image recognition", arXiv:1512.03385.',
    2: 'He et al., 2016, "Identity mappings in deep residual networks", arXiv:1603.05027.',
}


def entry(depth, counts, version):
    """The function of a ResNet."""
    name = f"ResNet{depth}" + ("V2" if version == 2 else "")
    about = f"{name}: {depth} layers with weights, in bottleneck blocks."
    return building.application(_resnet, name, name.lower(), about, _PAPERS[version], counts=counts, version=version)


ResNet50 = entry(50, (3, 4, 6, 3), 1)
ResNet101 = entry(101, (3, 4, 23, 3), 1)
ResNet152 = entry(152, (3, 8, 36, 3), 1)


def preprocess_input(x, data_format=None):
    """Images of values 0 to 255 as BGR minus the mean of ImageNet; see `imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="caffe")


decode_predictions = imagenet_utils.decode_predictions
