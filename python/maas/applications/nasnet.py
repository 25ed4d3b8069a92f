"""NASNet-A: two kinds of cells that a search found; each reads the outputs of the two cells before it.

Name scopes are Keras's: they are part of the paths of weights.
"""

from maas import layers, name_scope
from maas.applications import building, imagenet_utils


def _norm(x, name):
    return layers.BatchNormalization(axis=building.norm_axis(), momentum=0.9997, epsilon=1e-3, name=name)(x)


def _relu(x, name=None):
    return layers.Activation("relu", name=name)(x)


def _conv(x, filters, name, **kwargs):
    return layers.Conv2D(filters, (1, 1), use_bias=False, kernel_initializer="he_normal", name=name, **kwargs)(x)


def _separable(x, filters, size, name, halves=False):
    """Two separable convolutions, a norm after and a relu before each; `size` of their windows."""
    with name_scope(f"separable_conv_block_{name}"):
        x = _relu(x)
        strides, padding = ((2, 2), "valid") if halves else ((1, 1), "same")
        if halves:
            x = layers.ZeroPadding2D(padding=building.correct_pad(x, size), name=f"separable_conv_1_pad_{name}")(x)
        for i in (1, 2):
            conv = layers.SeparableConv2D(
                filters, (size, size), strides=strides, name=f"separable_conv_{i}_{name}", padding=padding,
                use_bias=False,
            )  # fmt: skip
            x = _norm(conv(x), f"separable_conv_{i}_bn_{name}")
            x = _relu(x) if i == 1 else x
            strides, padding = (1, 1), "same"
        return x


def _adjusted(before, now, filters, name):
    """The output of the cell before the last in the size of the last, with `filters` channels."""
    if before is None:
        return now
    with name_scope("adjust_block"):
        if before.shape[-2] != now.shape[-2]:
            with name_scope(f"adjust_reduction_block_{name}"):
                return _reduced(before, filters, name)
        if before.shape[-1] != filters:
            with name_scope(f"adjust_projection_block_{name}"):
                x = _conv(_relu(before), filters, f"adjust_conv_projection_{name}", strides=(1, 1), padding="same")
                return _norm(x, f"adjust_bn_{name}")
        return before


def _reduced(x, filters, name):
    """Every second pixel of the images and of those moved by one, half the channels of each."""
    x = _relu(x, f"adjust_relu_1_{name}")

    def half(x, i):
        x = layers.AveragePooling2D((1, 1), strides=(2, 2), padding="valid", name=f"adjust_avg_pool_{i}_{name}")(x)
        return _conv(x, filters // 2, f"adjust_conv_{i}_{name}", padding="same")

    left = half(x, 1)
    moved = layers.Cropping2D(cropping=((1, 0), (1, 0)))(layers.ZeroPadding2D(padding=((0, 1), (0, 1)))(x))
    joined = layers.concatenate([left, half(moved, 2)], axis=building.norm_axis())
    return _norm(joined, f"adjust_bn_{name}")


def _pool(kind, x, name, halves=False):
    pooling = layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D
    strides, padding = ((2, 2), "valid") if halves else ((1, 1), "same")
    return pooling((3, 3), strides=strides, padding=padding, name=name)(x)


def _entered(x, filters, kind, name):
    x = _conv(_relu(x), filters, f"{kind}_conv_1_{name}", strides=(1, 1), padding="same")
    return _norm(x, f"{kind}_bn_1_{name}")


def _normal(now, before, filters, name):
    def separable(x, size, place):
        return _separable(x, filters, size, f"normal_{place}_{name}")

    def add(i, *xs):
        return layers.add(list(xs), name=f"normal_add_{i}_{name}")

    with name_scope(f"normal_A_block_{name}"):
        p = _adjusted(before, now, filters, name)
        h = _entered(now, filters, "normal", name)
        with name_scope("block_1"):
            x1 = add(1, separable(h, 5, "left1"), separable(p, 3, "right1"))
        with name_scope("block_2"):
            x2 = add(2, separable(p, 5, "left2"), separable(p, 3, "right2"))
        with name_scope("block_3"):
            x3 = add(3, _pool("average", h, f"normal_left3_{name}"), p)
        with name_scope("block_4"):
            x4 = add(4, *(_pool("average", p, f"normal_{side}4_{name}") for side in ("left", "right")))
        with name_scope("block_5"):
            x5 = add(5, separable(h, 3, "left5"), h)
        parts = [p, x1, x2, x3, x4, x5]
        return layers.concatenate(parts, axis=building.norm_axis(), name=f"normal_concat_{name}"), now


def _reduction(now, before, filters, name):
    def separable(x, size, place, halves=True):
        return _separable(x, filters, size, f"reduction_{place}_{name}", halves)

    def add(a, b, word):
        return layers.add([a, b], name=word and f"reduction_{word}_{name}")

    with name_scope(f"reduction_A_block_{name}"):
        p = _adjusted(before, now, filters, name)
        h = _entered(now, filters, "reduction", name)
        padded = layers.ZeroPadding2D(padding=building.correct_pad(h, 3), name=f"reduction_pad_1_{name}")(h)
        with name_scope("block_1"):
            x1 = add(separable(h, 5, "left1"), separable(p, 7, "right1"), "add_1")
        with name_scope("block_2"):
            x2 = add(_pool("max", padded, f"reduction_left2_{name}", True), separable(p, 7, "right2"), "add_2")
        with name_scope("block_3"):
            x3 = add(_pool("average", padded, f"reduction_left3_{name}", True), separable(p, 5, "right3"), "add3")
        with name_scope("block_4"):
            x4 = add(x2, _pool("average", x1, f"reduction_left4_{name}"), None)
        with name_scope("block_5"):
            # "left4" once more, as in Keras.
            x5 = separable(x1, 3, "left4", halves=False)
            x5 = add(x5, _pool("max", padded, f"reduction_right5_{name}", True), "add4")
        parts = [x2, x3, x4, x5]
        return layers.concatenate(parts, axis=building.norm_axis(), name=f"reduction_concat_{name}"), now


def _nasnet(
    owner, filters, count, stem_filters, skip, size, input_shape, include_top, weights, input_tensor, pooling, classes,
    classifier_activation, name,
):  # fmt: skip
    building.last_channels_only(owner)
    building.check_weights(owner, weights)
    if owner == "NASNetMobile" and not include_top and input_shape is None:
        input_shape = (224, 224, 3)
    x = start = building.model_input(input_tensor, building.image_shape(owner, input_shape, size, include_top))
    x = layers.Conv2D(
        stem_filters, (3, 3), strides=(2, 2), padding="valid", use_bias=False, name="stem_conv1",
        kernel_initializer="he_normal",
    )(x)  # fmt: skip
    x = _norm(x, "stem_bn1")
    x, before = _reduction(x, None, filters // 4, "stem_1")
    x, before = _reduction(x, before, filters // 2, "stem_2")
    for stage in range(3):
        if stage:
            x, cell = _reduction(x, before, filters * 2**stage, f"reduce_{stage * count}")
            before = before if skip else cell
        for i in range(count):
            x, before = _normal(x, before, filters * 2**stage, f"{stage * count + i + (stage > 0)}")
    x = _relu(x)
    if include_top:
        x = layers.GlobalAveragePooling2D()(x)
        x = layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
    else:
        x = building.pooled(x, pooling)
    return building.finished(name, start, x, input_tensor, weights)


def _entry(variant, size, filters, **fixed):
    return building.application(
        _nasnet, f"NASNet{variant}", f"nasnet_{variant.lower()}",
        f"NASNet-A {variant.lower()}; images are {size} pixels wide and high by default.",
        'Zoph et al., 2017, "Learning transferable architectures for scalable image recognition", arXiv:1707.07012.',
        "input_shape include_top weights input_tensor pooling classes classifier_activation name",
        size=size, filters=filters, **fixed,
    )  # fmt: skip


NASNetMobile = _entry("Mobile", 224, 44, count=4, stem_filters=32, skip=False)
NASNetLarge = _entry("Large", 331, 168, count=6, stem_filters=96, skip=True)


def preprocess_input(x, data_format=None):
    """Images of values 0 to 255 as values from -1 to 1; see `imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")


decode_predictions = imagenet_utils.decode_predictions
