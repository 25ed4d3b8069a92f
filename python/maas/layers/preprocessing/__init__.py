"""Layers that prepare data. A module is imported when one of its layers is asked for."""

import importlib

from maas import missing_names

_MODULES = {
    "discretization": "Discretization",
    "encoding": "CategoryEncoding",
    "hashing": "HashedCrossing Hashing",
    "image_blur": "RandomGaussianBlur",
    "image_boxes": "MaxNumBoundingBoxes",
    "image_colour": "RandomBrightness RandomContrast",
    "image_colour_more": "RandomColorDegeneration RandomGrayscale RandomHue RandomInvert RandomPosterization "
    "RandomSaturation RandomSharpness",
    "image_contrast": "AutoContrast ContrastLimitedAdaptiveHistogramEqualization Equalization Solarization",
    "image_geometry": "RandomFlip RandomRotation RandomTranslation RandomZoom",
    "image_geometry_more": "RandomElasticTransform RandomPerspective RandomShear",
    "image_mixing": "CutMix MixUp RandomErasing",
    "image_policies": "AugMix RandAugment RandomColorJitter",
    "image_sizes": "CenterCrop RandomCrop Resizing",
    "integer_lookup": "IntegerLookup",
    "pipeline": "Pipeline",
    "spectrograms": "MelSpectrogram STFTSpectrogram",
    "string_lookup": "StringLookup",
    "text_vectorization": "TextVectorization",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}
__all__ = sorted(_MODULE_OF)


def __getattr__(name):
    if name not in _MODULE_OF:
        raise missing_names.missing(__name__, name)
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
