"""Well-known image models, layer by layer as Keras names them, so that weight files of Keras load.

Trained weights are not part of the package: `weights` is None or the path of a file.
"""

import importlib

from maas.missing_names import missing

_MODULES = (
    "convnext densenet efficientnet efficientnet_v2 imagenet_utils inception_resnet_v2 inception_v3 mobilenet "
    "mobilenet_v2 mobilenet_v3 nasnet resnet resnet50 resnet_v2 vgg16 vgg19 xception"
).split()
_NAMES = {
    **{f"ConvNeXt{size}": "convnext" for size in ("Base", "Large", "Small", "Tiny", "XLarge")},
    **{f"DenseNet{depth}": "densenet" for depth in (121, 169, 201)},
    **{f"EfficientNetB{i}": "efficientnet" for i in range(8)},
    **{f"EfficientNetV2{variant}": "efficientnet_v2" for variant in ("B0", "B1", "B2", "B3", "L", "M", "S")},
    "InceptionResNetV2": "inception_resnet_v2",
    "InceptionV3": "inception_v3",
    "MobileNet": "mobilenet",
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3Large": "mobilenet_v3",
    "MobileNetV3Small": "mobilenet_v3",
    "NASNetLarge": "nasnet",
    "NASNetMobile": "nasnet",
    "ResNet50": "resnet",
    "ResNet101": "resnet",
    "ResNet152": "resnet",
    "ResNet50V2": "resnet_v2",
    "ResNet101V2": "resnet_v2",
    "ResNet152V2": "resnet_v2",
    "VGG16": "vgg16",
    "VGG19": "vgg19",
    "Xception": "xception",
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
