"""Layers that prepare data."""

from maas.layers.preprocessing.image_colour import RandomBrightness, RandomContrast
from maas.layers.preprocessing.image_geometry import RandomFlip, RandomRotation, RandomTranslation, RandomZoom
from maas.layers.preprocessing.image_sizes import CenterCrop, RandomCrop, Resizing

__all__ = [
    "CenterCrop",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "Resizing",
]
