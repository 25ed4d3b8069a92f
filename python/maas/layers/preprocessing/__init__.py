"""Layers that prepare data."""

from maas.layers.preprocessing.discretization import Discretization
from maas.layers.preprocessing.encoding import CategoryEncoding
from maas.layers.preprocessing.hashing import HashedCrossing, Hashing
from maas.layers.preprocessing.image_colour import RandomBrightness, RandomContrast
from maas.layers.preprocessing.image_colour_more import (
    RandomColorDegeneration,
    RandomGrayscale,
    RandomHue,
    RandomInvert,
    RandomPosterization,
    RandomSaturation,
    RandomSharpness,
)
from maas.layers.preprocessing.image_geometry import RandomFlip, RandomRotation, RandomTranslation, RandomZoom
from maas.layers.preprocessing.image_sizes import CenterCrop, RandomCrop, Resizing
from maas.layers.preprocessing.integer_lookup import IntegerLookup
from maas.layers.preprocessing.pipeline import Pipeline
from maas.layers.preprocessing.string_lookup import StringLookup
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
    "RandomColorDegeneration",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomTranslation",
    "RandomZoom",
    "Resizing",
    "StringLookup",
    "TextVectorization",
]
