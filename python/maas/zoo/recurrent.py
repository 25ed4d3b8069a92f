"""Recurrent networks for sequences."""

from maas import layers
from maas.models import Model
from maas.zoo.common import fixed_seed


def LSTMClassifier(
    vocabulary_size=20000, sequence_length=None, embedding_dim=128, units=128, classes=1,
    classifier_activation="sigmoid", seed=0, name="lstm_classifier",
):  # fmt: skip
    """Text classifier of the Keras examples: embedding, one LSTM, one dense layer; 2.69 million weights.

    Args:
        vocabulary_size: int, number of token ids.
        sequence_length: int; None: any.
        embedding_dim: int, size of a token's vector.
        units: int, units of the LSTM.
        classes: int.
        classifier_activation: of the last layer.
        seed: int or None, of the weights.
        name: str.

    Returns:
        Model of token ids (batch, steps), int32, and outputs (batch, classes).
    Reference: Hochreiter and Schmidhuber, 1997, "Long short-term memory".
    """
    with fixed_seed(seed):
        inputs = layers.Input((sequence_length,), dtype="int32", name="token_ids")
        x = layers.Embedding(vocabulary_size, embedding_dim, name="embedding")(inputs)
        x = layers.LSTM(units, name="lstm")(x)
        x = layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
        return Model(inputs, x, name=name)


def StackedLSTM(
    input_shape=(None, 64), units=(256, 256), classes=10, classifier_activation="softmax", seed=0, name="stacked_lstm"
):  # fmt: skip
    """LSTM layers one over the other; the last step of the last one is classified.

    Args:
        input_shape: tuple (steps or None, features).
        units: ints, units of every layer.
        classes: int.
        classifier_activation: of the last layer.
        seed: int or None, of the weights.
        name: str.

    Returns:
        Model of sequences (batch, steps, features) and outputs (batch, classes).
    Reference: Graves, Mohamed and Hinton, 2013, "Speech Recognition with Deep Recurrent Neural Networks",
        arXiv:1303.5778.
    """
    with fixed_seed(seed):
        x = inputs = layers.Input(input_shape)
        for i, n in enumerate(units):
            x = layers.LSTM(n, return_sequences=i + 1 < len(units), name=f"lstm_{i}")(x)
        x = layers.Dense(classes, activation=classifier_activation, name="predictions")(x)
        return Model(inputs, x, name=name)
