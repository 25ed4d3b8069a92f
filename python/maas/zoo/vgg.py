"""VGG."""

from maas import layers
from maas.applications import vgg16
from maas.models import Model
from maas.zoo.common import fixed_seed


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
        inputs = layers.Input(input_shape)
        x = vgg16.convolutions(inputs, vgg16.COUNTS16, kernel_initializer="he_normal")
        x = vgg16.top(x, classes, classifier_activation, units) if include_top else x
        return Model(inputs, x, name=name)
