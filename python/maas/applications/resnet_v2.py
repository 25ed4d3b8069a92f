"""ResNet with bottleneck blocks, version 2."""

from maas.applications import imagenet_utils
from maas.applications.resnet import entry

ResNet50V2 = entry(50, (3, 4, 6, 3), 2)
ResNet101V2 = entry(101, (3, 4, 23, 3), 2)
ResNet152V2 = entry(152, (3, 8, 36, 3), 2)


def preprocess_input(x, data_format=None):
    """Images of values 0 to 255 as values from -1 to 1; see `imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")


decode_predictions = imagenet_utils.decode_predictions
