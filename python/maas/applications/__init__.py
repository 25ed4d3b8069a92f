"""Well-known image models, layer by layer as Keras names them, so that weight files of Keras load.

Trained weights are not part of the package: `weights` is None or the path of a file.
"""

import importlib

from maas.missing_names import missing

_MODULES = (
    "efficientnet imagenet_utils mobilenet mobilenet_v2 mobilenet_v3 resnet resnet50 resnet_v2 vgg16 vgg19".split()
)
_NAMES = {
    **{f"EfficientNetB{i}": "efficientnet" for i in range(8)},
    "MobileNet": "mobilenet",
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3Large": "mobilenet_v3",
    "MobileNetV3Small": "mobilenet_v3",
    "ResNet50": "resnet",
    "ResNet101": "resnet",
    "ResNet152": "resnet",
    "ResNet50V2": "resnet_v2",
    "ResNet101V2": "resnet_v2",
    "ResNet152V2": "resnet_v2",
    "VGG16": "vgg16",
    "VGG19": "vgg19",
}
__all__ = sorted([*_NAMES, *_MODULES])


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"maas.applications.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"maas.applications.{_NAMES[name]}"), name)
    raise missing(__name__, name)


def __dir__():
    return __all__
