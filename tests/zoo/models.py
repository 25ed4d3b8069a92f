"""Small models of every family of the zoo: a name, how to make it, and its inputs."""

import numpy as np

from maas import zoo

RNG = np.random.default_rng(3)


def normal(*shape):
    return RNG.normal(size=shape).astype("float32")


def ids(high, *shape):
    return RNG.integers(0, high, shape).astype("int32")


BERT = {"vocabulary_size": 30, "num_layers": 2, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 24}
SMALL = {
    "LeNet": (lambda: zoo.LeNet(), [normal(2, 28, 28, 1)]),
    "MNISTConvNet": (lambda: zoo.MNISTConvNet(), [normal(2, 28, 28, 1)]),
    "TutorialConvNet": (lambda: zoo.TutorialConvNet(), [normal(2, 28, 28, 1)]),
    "CIFARConvNet": (lambda: zoo.CIFARConvNet(), [normal(2, 32, 32, 3)]),
    "DigitsConvNet": (lambda: zoo.DigitsConvNet(), [normal(3, 8, 8, 1)]),
    "MLP": (lambda: zoo.MLP((16,), (16,), 4, classifier_activation=None), [normal(3, 16)]),
    "MLP of images": (lambda: zoo.MLP((4, 5), (8, 7), 3), [normal(3, 4, 5)]),
    "ResNet18": (
        lambda: zoo.ResNet18(input_shape=(40, 36, 3), classes=7, classifier_activation=None, width=8),
        [normal(2, 40, 36, 3)],
    ),
    "ResNet34": (
        lambda: zoo.ResNet34(input_shape=(33, 33, 3), classes=7, classifier_activation=None, width=4),
        [normal(1, 33, 33, 3)],
    ),
    "ResNet50": (
        lambda: zoo.ResNet50(input_shape=(48, 48, 3), classes=7, classifier_activation=None, width=8),
        [normal(2, 48, 48, 3)],
    ),
    "VGG16": (lambda: zoo.VGG16(input_shape=(32, 32, 3), classes=7, units=24), [normal(1, 32, 32, 3)]),
    "MobileNetV2": (lambda: zoo.MobileNetV2(input_shape=(64, 64, 3), classes=7, alpha=0.25), [normal(1, 64, 64, 3)]),
    "EfficientNetB0": (lambda: zoo.EfficientNetB0(input_shape=(64, 64, 3), classes=7), [normal(1, 64, 64, 3)]),
    "UNet": (lambda: zoo.UNet((16, 24, 3), filters=(4, 6, 8)), [normal(2, 16, 24, 3)]),
    "LSTMClassifier": (lambda: zoo.LSTMClassifier(50, None, 8, 12), [ids(50, 3, 9)]),
    "StackedLSTM": (lambda: zoo.StackedLSTM((7, 5), (6, 8), 4), [normal(3, 7, 5)]),
    "TransformerEncoder": (lambda: zoo.TransformerEncoder((9, 16), 2, 2, 24, 5), [normal(3, 9, 16)]),
    "BERT": (lambda: zoo.BERT(sequence_length=8, **BERT), [ids(30, 2, 8), ids(2, 2, 8)]),
    "BERT of tokens": (lambda: zoo.BERT(sequence_length=8, pooling=False, **BERT), [ids(30, 2, 8), ids(2, 2, 8)]),
    "GPT2": (lambda: zoo.GPT2(30, 2, 2, 16, 24, 12, sequence_length=8), [ids(30, 2, 8)]),
}
# Weights of the papers' (or their authors') models. Batch norms count four numbers a channel, as `count_params` does.
PUBLISHED = {
    "LeNet": 61_706, "MNISTConvNet": 34_826, "CIFARConvNet": 1_250_858, "ResNet18": 11_689_512 + 9_600,
    "ResNet34": 21_797_672 + 17_024, "ResNet50": 25_557_032 + 53_120, "VGG16": 138_357_544,
    "MobileNetV2": 3_504_872 + 34_112, "EfficientNetB0": 5_288_548 + 42_016, "LSTMClassifier": 2_691_713,
    "BERTBase": 109_482_240, "MiniLM": 22_713_216, "GPT2": 124_439_808,
}  # fmt: skip


def make(name):
    """Model with statistics of its own, and inputs."""
    build, inputs = SMALL[name]
    return zoo.randomize_statistics(build()), inputs


def run(model, inputs):
    return np.asarray(model(inputs[0] if len(inputs) == 1 else inputs))
