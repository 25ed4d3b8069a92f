"""What older Keras called things: `maas.legacy.saving`."""

from maas import missing_names
from maas.legacy import saving

__all__ = ["saving"]

__getattr__ = missing_names.getattr_of(__name__)
