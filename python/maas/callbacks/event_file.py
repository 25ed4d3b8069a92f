"""Event files of TensorBoard: records with sums, each an Event message.

Nothing but the few fields that are needed is written, so no protobuf package is needed either.
"""

import functools
import itertools
import os
import socket
import struct
import time

import numpy as np

from maas.utils.protobuf import FIXED32, FIXED64, bytes_field, int_field, key_of

_counter = itertools.count()


@functools.cache
def _crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return tuple(table)


def crc32c(data):
    """Castagnoli's sum of bytes."""
    crc, table = 0xFFFFFFFF, _crc_table()
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _masked(data):
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(data):
    """One record: length, its sum, bytes, their sum."""
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def _double(field, v):
    return key_of(field, FIXED64) + struct.pack("<d", v)


def scalar(tag, value):
    """Summary value of a number."""
    return bytes_field(1, tag.encode()) + key_of(2, FIXED32) + struct.pack("<f", value)


def histogram(tag, values, bins=30):
    """Summary value of the distribution of an array; numbers that are not finite are left out."""
    values = np.asarray(values, "float64").ravel()
    values = values[np.isfinite(values)]
    counts, edges = np.histogram(values, bins) if values.size else (np.zeros(1), np.zeros(2))
    low, high = (values.min(), values.max()) if values.size else (0.0, 0.0)
    numbers = (low, high, values.size, values.sum(), np.square(values).sum())
    message = b"".join(_double(i, float(v)) for i, v in enumerate(numbers, 1))
    message += bytes_field(6, np.asarray(edges[1:], "<f8").tobytes()) + bytes_field(
        7, np.asarray(counts, "<f8").tobytes()
    )
    return bytes_field(1, tag.encode()) + bytes_field(5, message)


def image(tag, pixels):
    """Summary value of an array (height, width, channels) of uint8, as PNG."""
    import io

    from maas.utils.image_utils import save_img

    file = io.BytesIO()
    save_img(file, pixels, file_format="png", scale=False)
    height, width, channels = pixels.shape
    message = int_field(1, height) + int_field(2, width) + int_field(3, channels) + bytes_field(4, file.getvalue())
    return bytes_field(1, tag.encode()) + bytes_field(4, message)


def text_for_plugin(tag, plugin, text):
    """Summary value of a text that a plugin of TensorBoard reads."""
    tensor = int_field(1, 7) + bytes_field(2, b"") + bytes_field(8, text.encode())
    metadata = bytes_field(1, bytes_field(1, plugin.encode()) + bytes_field(2, b"1"))
    return bytes_field(1, tag.encode()) + bytes_field(8, tensor) + bytes_field(9, metadata)


class EventFile:
    """A new event file in a folder.

    Args:
        folder: str, made if it is not there.
    """

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        parts = (int(time.time()), socket.gethostname(), os.getpid(), next(_counter))
        self.path = os.path.join(folder, "events.out.tfevents.{}.{}.{}.{}.v2".format(*parts))
        self._file = open(self.path, "xb")
        self._write(bytes_field(3, b"brain.Event:2"))

    def _write(self, message):
        self._file.write(record(_double(1, time.time()) + message))

    def add(self, step, *values):
        """Write summary values of one step."""
        if values:
            self._write(int_field(2, int(step)) + bytes_field(5, b"".join(bytes_field(1, v) for v in values)))

    def flush(self):
        """Hand everything to the system, so that TensorBoard sees it."""
        self._file.flush()

    def close(self):
        self._file.close()
