"""VGG19: nineteen layers with weights."""

from maas.applications import imagenet_utils
from maas.applications.vgg16 import entry

VGG19 = entry(19, (2, 2, 4, 4, 4))


def preprocess_input(x, data_format=None):
    """Images of values 0 to 255 as BGR minus the mean of ImageNet; see `imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="caffe")


decode_predictions = imagenet_utils.decode_predictions
