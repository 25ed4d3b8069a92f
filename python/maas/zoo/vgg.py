"""VGG."""

from maas import layers
from maas.models import Model
from maas.zoo.common import fixed_seed

_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


def VGG16(
    include_top=True, input_shape=(224, 224, 3), classes=1000, classifier_activation="softmax", units=4096, seed=0,
    name="vgg16",
):  # fmt: skip
    """VGG-16: thirteen 3x3 convolutions in five blocks and three dense layers; 138.4 million weights.

    Args:
        include_top: bool, whether the dense layers follow.
        input_shape: tuple (height, width, channels).
        classes: int.
        classifier_activation: of the last layer.
        units: int, units of the two hidden dense layers.
        seed: int or None, of the weights.
        name: str.

    Returns:
        Model of images (batch, *input_shape) and outputs (batch, classes), without the top (batch, h, w, 512).
    Reference: Simonyan and Zisserman, 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
        arXiv:1409.1556.
    """
    with fixed_seed(seed):
        x = inputs = layers.Input(input_shape)
        for block, (count, filters) in enumerate(_BLOCKS, 1):
            for i in range(1, count + 1):
                x = layers.Conv2D(
                    filters, 3, padding="same", activation="relu", kernel_initializer="he_normal",
                    name=f"block{block}_conv{i}",
                )(x)  # fmt: skip
            x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
        if include_top:
            x = layers.Flatten(name="flatten")(x)
            x = layers.Dense(units, activation="relu", name="fc1")(x)
            x = layers.Dense(units, activation="relu", name="fc2")(x)
            x = layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
        return Model(inputs, x, name=name)
