"""Multi-layer perceptron."""

from maas import layers
from maas.models import Model
from maas.zoo.common import fixed_seed


def MLP(
    input_shape=(784,), units=(512, 512), classes=10, activation="relu", classifier_activation="softmax", seed=0,
    name="mlp",
):  # fmt: skip
    """Multi-layer perceptron: `y = act(x W + b)` for every layer.

    Args:
        input_shape: tuple, shape of a row without the batch; more than one axis is flattened.
        units: ints, units of every hidden layer.
        classes: int, units of the last layer.
        activation, classifier_activation: of the hidden layers and of the last one.
        seed: int or None, of the weights.
        name: str.

    Returns:
        Model of inputs (batch, *input_shape) and outputs (batch, classes).
    Reference: Rumelhart, Hinton and Williams, 1986, "Learning representations by back-propagating errors".
    """
    with fixed_seed(seed):
        x = inputs = layers.Input(input_shape)
        if len(input_shape) > 1:
            x = layers.Flatten(name="flatten")(x)
        for i, n in enumerate(units):
            x = layers.Dense(n, activation=activation, name=f"hidden_{i}")(x)
        outputs = layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
        return Model(inputs, outputs, name=name)
