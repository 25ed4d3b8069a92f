"""Files that run without layers: `ExportArchive`."""

from maas import missing_names
from maas.export.export_archive import ExportArchive

__all__ = ["ExportArchive"]

__getattr__ = missing_names.getattr_of(__name__)
