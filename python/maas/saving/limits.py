"""Limits on what a model file may ask for. Each is checked before memory is taken."""

import os

# A file is read into memory once, so this is also the most a load reads. MAAS_MAX_MODEL_BYTES changes it.
MAX_FILE_BYTES = 16 << 30
# config.json of BERT-large is about 200 KB; the largest seen in the wild are a few MB.
MAX_JSON_BYTES = 64 << 20
MAX_JSON_DEPTH = 128
# `.keras` has three members; assets of preprocessing layers add a few.
MAX_ARCHIVE_MEMBERS = 256
MAX_NAME_BYTES = 512
# Groups and datasets of one HDF5 file: a model with 10,000 layers and Adam stays below.
MAX_HDF5_OBJECTS = 200_000
MAX_HDF5_DEPTH = 64
MAX_HDF5_RANK = 32
MAX_HDF5_ATTRIBUTES = 10_000
MAX_ATTRIBUTE_BYTES = 64 << 20
# Deflate cannot expand more than about 1032:1, so a larger ratio is a lie, not good compression.
MAX_EXPANSION = 1032
# A compressed file may unpack to at most this many times its own size plus the slack.
MAX_TOTAL_EXPANSION = 100
EXPANSION_SLACK = 64 << 20


def max_file_bytes():
    """The largest model file that is read, in bytes: MAAS_MAX_MODEL_BYTES, else 16 GiB."""
    text = os.environ.get("MAAS_MAX_MODEL_BYTES")
    if text is None:
        return MAX_FILE_BYTES
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"MAAS_MAX_MODEL_BYTES must be a whole number of bytes, received {text!r}")
    return int(text)
