"""Layers that prepare data."""

from maas.layers.preprocessing.discretization import Discretization
from maas.layers.preprocessing.encoding import CategoryEncoding
from maas.layers.preprocessing.hashing import HashedCrossing, Hashing
from maas.layers.preprocessing.image_colour import RandomBrightness, RandomContrast
from maas.layers.preprocessing.image_geometry import RandomFlip, RandomRotation, RandomTranslation, RandomZoom
from maas.layers.preprocessing.image_sizes import CenterCrop, RandomCrop, Resizing
from maas.layers.preprocessing.lookup import IntegerLookup, StringLookup
from maas.layers.preprocessing.pipeline import Pipeline
from maas.layers.preprocessing.text_vectorization import TextVectorization

__all__ = [
    "CategoryEncoding",
    "CenterCrop",
    "Discretization",
    "HashedCrossing",
    "Hashing",
    "IntegerLookup",
    "Pipeline",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "Resizing",
    "StringLookup",
    "TextVectorization",
]
