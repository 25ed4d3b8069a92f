"""Well-known architectures, built from layers with random weights: `maas.zoo.ResNet50(seed=0)`.

Arguments follow `keras.applications`: `input_shape`, `classes`, `classifier_activation`, `include_top`, `name`. The
same `seed` gives the same weights; None leaves them to `maas.utils.set_random_seed`.
"""

from maas import missing_names
from maas.zoo.bert import BERT, BERTBase, MiniLM
from maas.zoo.cnn import CIFARConvNet, DigitsConvNet, LeNet, MNISTConvNet, TutorialConvNet
from maas.zoo.common import randomize_statistics
from maas.zoo.efficientnet import EfficientNetB0
from maas.zoo.gpt2 import GPT2
from maas.zoo.mlp import MLP
from maas.zoo.mobilenet import MobileNetV2
from maas.zoo.position import PositionEmbedding
from maas.zoo.recurrent import LSTMClassifier, StackedLSTM
from maas.zoo.resnet import ResNet18, ResNet34, ResNet50
from maas.zoo.transformer import TransformerEncoder
from maas.zoo.unet import UNet
from maas.zoo.vgg import VGG16

__all__ = [
    "BERT", "BERTBase", "CIFARConvNet", "DigitsConvNet", "EfficientNetB0", "GPT2", "LSTMClassifier", "LeNet", "MLP",
    "MNISTConvNet", "MiniLM", "MobileNetV2", "PositionEmbedding", "ResNet18", "ResNet34", "ResNet50", "StackedLSTM",
    "TransformerEncoder", "TutorialConvNet", "UNet", "VGG16", "randomize_statistics",
]  # fmt: skip

__getattr__ = missing_names.getattr_of(__name__)
