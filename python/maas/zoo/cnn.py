"""Small convolutional networks: LeNet-5 and those that tutorials train."""

from maas import layers
from maas.models import Model
from maas.zoo.common import fixed_seed


def _build(input_shape, body, classes, classifier_activation, seed, name):
    with fixed_seed(seed):
        x = inputs = layers.Input(input_shape)
        for layer in body():
            x = layer(x)
        outputs = layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
        return Model(inputs, outputs, name=name)


def LeNet(input_shape=(28, 28, 1), classes=10, classifier_activation="softmax", seed=0, name="lenet"):
    """LeNet-5: two 5x5 convolutions with average pooling and three dense layers, tanh; 61,706 weights.

    Args:
        input_shape: tuple (height, width, channels).
        classes: int.
        classifier_activation: of the last layer.
        seed: int or None, of the weights.
        name: str.

    Returns:
        Model of images (batch, *input_shape) and outputs (batch, classes).
    Reference: LeCun et al., 1998, "Gradient-based learning applied to document recognition".
    """

    def body():
        yield layers.Conv2D(6, 5, padding="same", activation="tanh", name="conv1")
        yield layers.AveragePooling2D(2, name="pool1")
        yield layers.Conv2D(16, 5, activation="tanh", name="conv2")
        yield layers.AveragePooling2D(2, name="pool2")
        yield layers.Flatten(name="flatten")
        yield layers.Dense(120, activation="tanh", name="fc1")
        yield layers.Dense(84, activation="tanh", name="fc2")

    return _build(input_shape, body, classes, classifier_activation, seed, name)


def MNISTConvNet(input_shape=(28, 28, 1), classes=10, classifier_activation="softmax", seed=0, name="mnist_convnet"):
    """The convnet of the Keras examples for MNIST: 32c3-p-64c3-p-dropout-10; 34,826 weights.

    Args and Returns: as `LeNet`.
    Reference: Chollet, 2015, "Simple MNIST convnet", keras.io.
    """

    def body():
        yield layers.Conv2D(32, 3, activation="relu", name="conv1")
        yield layers.MaxPooling2D(2, name="pool1")
        yield layers.Conv2D(64, 3, activation="relu", name="conv2")
        yield layers.MaxPooling2D(2, name="pool2")
        yield layers.Flatten(name="flatten")
        yield layers.Dropout(0.5, name="dropout")

    return _build(input_shape, body, classes, classifier_activation, seed, name)


def TutorialConvNet(input_shape=(28, 28, 1), classes=10, classifier_activation="softmax", seed=0, name="tutorial_cnn"):
    """The CNN of the TensorFlow tutorial: 32c3-p-64c3-p-64c3-64-10.

    Args and Returns: as `LeNet`.
    Reference: TensorFlow, 2019, "Convolutional Neural Network (CNN)", tensorflow.org/tutorials/images/cnn.
    """

    def body():
        yield layers.Conv2D(32, 3, activation="relu", name="conv1")
        yield layers.MaxPooling2D(2, name="pool1")
        yield layers.Conv2D(64, 3, activation="relu", name="conv2")
        yield layers.MaxPooling2D(2, name="pool2")
        yield layers.Conv2D(64, 3, activation="relu", name="conv3")
        yield layers.Flatten(name="flatten")
        yield layers.Dense(64, activation="relu", name="dense")

    return _build(input_shape, body, classes, classifier_activation, seed, name)


def CIFARConvNet(input_shape=(32, 32, 3), classes=10, classifier_activation="softmax", seed=0, name="cifar_cnn"):
    """The CNN of the Keras examples for CIFAR-10: 32c3-32c3-p-64c3-64c3-p-512-10; 1,250,858 weights.

    Args and Returns: as `LeNet`.
    Reference: Chollet, 2015, "Train a simple deep CNN on the CIFAR10 small images dataset", keras.io.
    """

    def body():
        for i, filters in enumerate((32, 64)):
            yield layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{i}_1")
            yield layers.Conv2D(filters, 3, activation="relu", name=f"conv{i}_2")
            yield layers.MaxPooling2D(2, name=f"pool{i}")
            yield layers.Dropout(0.25, name=f"dropout{i}")
        yield layers.Flatten(name="flatten")
        yield layers.Dense(512, activation="relu", name="dense")
        yield layers.Dropout(0.5, name="dropout")

    return _build(input_shape, body, classes, classifier_activation, seed, name)


def DigitsConvNet(input_shape=(8, 8, 1), classes=10, classifier_activation="softmax", seed=0, name="digits_cnn"):
    """A CNN for the 8x8 digits of `maas.datasets.digits`: 16c3-p-32c3-64-10.

    Args and Returns: as `LeNet`.
    Reference: LeCun et al., 1998, "Gradient-based learning applied to document recognition".
    """

    def body():
        yield layers.Conv2D(16, 3, padding="same", activation="relu", name="conv1")
        yield layers.MaxPooling2D(2, name="pool1")
        yield layers.Conv2D(32, 3, padding="same", activation="relu", name="conv2")
        yield layers.Flatten(name="flatten")
        yield layers.Dense(64, activation="relu", name="dense")

    return _build(input_shape, body, classes, classifier_activation, seed, name)
