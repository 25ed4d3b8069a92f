"""U-Net."""

from maas import layers
from maas.models import Model
from maas.zoo.common import fixed_seed


def UNet(
    input_shape=(128, 128, 3), classes=1, filters=(16, 32, 64, 128), classifier_activation="sigmoid", seed=0,
    name="unet",
):  # fmt: skip
    """U-Net: two 3x3 convolutions a level on the way down and up, joined level by level.

    Args:
        input_shape: tuple (height, width, channels); sizes are multiples of 2 to the number of levels below the first.
        classes: int, channels of the output.
        filters: ints, channels of every level.
        classifier_activation: of the output.
        seed: int or None, of the weights.
        name: str.

    Returns:
        Model of images (batch, *input_shape) and maps (batch, height, width, classes).
    Reference: Ronneberger, Fischer and Brox, 2015, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
        arXiv:1505.04597; "same" padding and batch normalization as is usual today.
    """

    def level(x, n, name):
        for i in (1, 2):
            x = layers.Conv2D(
                n, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv{i}"
            )(x)  # fmt: skip
            x = layers.BatchNormalization(name=f"{name}_bn{i}")(x)
            x = layers.ReLU(name=f"{name}_relu{i}")(x)
        return x

    with fixed_seed(seed):
        x = inputs = layers.Input(input_shape)
        passed = []
        for i, n in enumerate(filters[:-1]):
            passed.append(level(x, n, f"down{i}"))
            x = layers.MaxPooling2D(2, name=f"down{i}_pool")(passed[-1])
        x = level(x, filters[-1], "bottom")
        for i, n in reversed(list(enumerate(filters[:-1]))):
            x = layers.Conv2DTranspose(n, 2, strides=2, name=f"up{i}_conv")(x)
            x = level(layers.Concatenate(name=f"up{i}_join")([passed[i], x]), n, f"up{i}")
        x = layers.Conv2D(classes, 1, activation=classifier_activation, name="predictions")(x)
        return Model(inputs, x, name=name)
