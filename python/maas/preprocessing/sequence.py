"""`maas.preprocessing.sequence`: sequences of unequal lengths."""

from maas import missing_names
from maas.utils.sequence_utils import pad_sequences

__all__ = ["pad_sequences"]

__getattr__ = missing_names.getattr_of(__name__)
