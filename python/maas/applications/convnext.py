"""ConvNeXt: blocks of a 7x7 depthwise convolution and two dense layers, each with a way past it."""

from maas import layers
from maas.applications import building, imagenet_utils
from maas.applications.own_layers import LayerScale

_MEAN = [0.485 * 255, 0.456 * 255, 0.406 * 255]
_VARIANCE = [(0.229 * 255) ** 2, (0.224 * 255) ** 2, (0.225 * 255) ** 2]
_SCALE = 1e-6  # of what a block adds, at the start


def _norm(name=None):
    return layers.LayerNormalization(epsilon=1e-6, name=name)


def _block(inputs, filters, name):
    x = layers.Conv2D(filters, kernel_size=7, padding="same", groups=filters, name=f"{name}_depthwise_conv")(inputs)
    x = layers.Dense(4 * filters, name=f"{name}_pointwise_conv_1")(_norm(f"{name}_layernorm")(x))
    x = layers.Dense(filters, name=f"{name}_pointwise_conv_2")(layers.Activation("gelu", name=f"{name}_gelu")(x))
    x = LayerScale(_SCALE, filters, name=f"{name}_layer_scale")(x)
    return inputs + layers.Activation("linear", name=f"{name}_identity")(x)


def _entrances(filters, name):
    """What comes before each stage: a norm and a convolution that makes the images smaller."""
    from maas.models import Sequential

    stem = [layers.Conv2D(filters[0], kernel_size=4, strides=4, name=f"{name}_stem_conv")]
    found = [Sequential([*stem, _norm(f"{name}_stem_layernorm")], name=f"{name}_stem")]
    for i, n in enumerate(filters[1:]):
        conv = layers.Conv2D(n, kernel_size=2, strides=2, name=f"{name}_downsampling_conv_{i}")
        pair = [_norm(f"{name}_downsampling_layernorm_{i}"), conv]
        found.append(Sequential(pair, name=f"{name}_downsampling_block_{i}"))
    return found


def _convnext(
    owner, counts, filters, include_top, include_preprocessing, weights, input_tensor, input_shape, pooling, classes,
    classifier_activation, name,
):  # fmt: skip
    building.last_channels_only(owner)
    building.check_weights(owner, weights)
    shape = building.image_shape(owner, input_shape, 224, include_top)
    x = start = building.model_input(input_tensor, shape)
    if include_preprocessing and shape[-1] == 3:
        x = layers.Normalization(mean=_MEAN, variance=_VARIANCE, name=f"{name}_prestem_normalization")(x)
    for stage, (entrance, count, n) in enumerate(zip(_entrances(filters, name), counts, filters)):
        x = entrance(x)
        for i in range(count):
            x = _block(x, n, f"{name}_stage_{stage}_block_{i}")
    if include_top:
        x = _norm(f"{name}_head_layernorm")(layers.GlobalAveragePooling2D(name=f"{name}_head_gap")(x))
        x = layers.Dense(classes, activation=classifier_activation, name=f"{name}_head_dense")(x)
    else:
        x = _norm()(building.pooled(x, pooling))
    return building.finished(name, start, x, input_tensor, weights)


def _entry(size, counts, filters):
    return building.application(
        _convnext, f"ConvNeXt{size}", f"convnext_{size.lower()}",
        f"ConvNeXt{size}; images with values 0 to 255, 224 pixels wide and high by default.",
        'Liu et al., 2022, "A ConvNet for the 2020s", arXiv:2201.03545.',
        "include_top include_preprocessing weights input_tensor input_shape pooling classes classifier_activation name",
        counts=counts, filters=filters,
    )  # fmt: skip


ConvNeXtTiny = _entry("Tiny", (3, 3, 9, 3), (96, 192, 384, 768))
ConvNeXtSmall = _entry("Small", (3, 3, 27, 3), (96, 192, 384, 768))
ConvNeXtBase = _entry("Base", (3, 3, 27, 3), (128, 256, 512, 1024))
ConvNeXtLarge = _entry("Large", (3, 3, 27, 3), (192, 384, 768, 1536))
ConvNeXtXLarge = _entry("XLarge", (3, 3, 27, 3), (256, 512, 1024, 2048))


def preprocess_input(x, data_format=None):
    """The images as they are: the model scales them."""
    return x


decode_predictions = imagenet_utils.decode_predictions
