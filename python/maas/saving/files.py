"""Reading a file once into memory, and showing memory as a file.

Everything that is parsed lives in our memory: another process that truncates or rewrites the file while it is being
read cannot change what was checked, nor crash us.
"""

import io
import os
import stat

from maas.saving.hdf5_text import heap_objects
from maas.saving.limits import max_file_bytes

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
ZIP_MAGIC = b"PK\x03\x04"


def read_file(path):
    """The bytes of one regular file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a regular file, is larger than the limit, or shrinks while it is read.
    """
    path = os.fspath(path)
    try:
        # O_NONBLOCK: opening a FIFO must not wait for a writer.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise FileNotFoundError(f"model file not found, received {path!r}") from None
    with os.fdopen(fd, "rb") as file:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise ValueError(f"a model file must be a regular file, received {path!r}")
        limit = max_file_bytes()
        if info.st_size > limit:
            raise ValueError(
                f"model file is larger than the limit of {limit} bytes (MAAS_MAX_MODEL_BYTES), "
                f"received {info.st_size} bytes in {path!r}"
            )
        data = file.read(info.st_size)
    if len(data) != info.st_size:
        raise ValueError(f"model file shrank from {info.st_size} to {len(data)} bytes while it was read: {path!r}")
    return data


def describe(data):
    """What kind of file these bytes look like, for error messages."""
    if not data:
        return "an empty file"
    if data[:8] == HDF5_MAGIC:
        return "an HDF5 file"
    if data[:4] == ZIP_MAGIC:
        return "a zip archive"
    if data[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        return "a Python pickle, which maas never reads"
    if data[:2] == b"\x1f\x8b":
        return "a gzip file"
    return f"a file that starts with {bytes(data[:8])!r}"


class MemoryFile(io.RawIOBase):
    """A read-only file over a buffer, without a copy (`io.BytesIO` copies a memoryview)."""

    def __init__(self, buffer):
        self._view = memoryview(buffer)
        self._position = 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self._position

    def seek(self, offset, whence=os.SEEK_SET):
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: len(self._view)}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, target):
        part = self._view[self._position : self._position + len(target)]
        if part[:4] == b"GCOL" and heap_objects(self._view, self._position) is None:
            raise OSError("the global heap is damaged")
        target[: len(part)] = part
        self._position += len(part)
        return len(part)
