"""The strict zip reader: S-30 (names), S-31 (sizes), truncation and flipped bytes."""

import stat
import struct
import warnings
import zipfile

import pytest

from maas.saving.archive import archive_bytes, read_archive
from tests.saving.files import archive, keras_members

GOOD = archive(keras_members())


def refused(data):
    with pytest.raises(ValueError, match="received|archive") as info:
        read_archive(data)
    return str(info.value)


def test_reads_what_zipfile_writes():
    members = read_archive(GOOD)
    assert {k: bytes(v) for k, v in members.items()} == {
        k: v.encode() if isinstance(v, str) else v for k, v in keras_members()
    }


def test_round_trip():
    content = {"config.json": b"{}", "model.weights.h5": bytes(range(256)) * 999, "assets/a.txt": b""}
    assert {k: bytes(v) for k, v in read_archive(archive_bytes(content)).items()} == content
    # Other programs can read it too, and equal content gives equal bytes.
    assert archive_bytes(content) == archive_bytes(content)


@pytest.mark.parametrize(
    "name",
    [
        "../x", "/x", "C:\\x", "C:x", "a/../../x", "a//x", "./x", "a/.", "..", "\\\\host\\x", "%2e%2e/x",
        "%252e/x", "x;y", "-rf", "a/-x",
        "．．/x", "x" * 65000, "x ", "x.", "a\nb", "\x1b[2J", "~root", "con|x", "a/",
    ],
)  # fmt: skip
def test_s30_names(name):
    refused(archive([*keras_members(), (name, b"1")]))


def test_s30_nul_in_name():
    refused(archive([*keras_members(), ("evil_nul", b"1")]).replace(b"evil_nul", b"evil\0nul"))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_s30_member_that_is_no_file(kind):
    info = zipfile.ZipInfo("assets/x")
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16
    refused(archive([*keras_members(), (info, b"/etc/passwd")]))


@pytest.mark.parametrize("name", ["config.json", "CONFIG.json", "Model.Weights.h5"])
def test_s30_duplicates(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns when it writes the second one
        data = archive([*keras_members(), (name, b"{}")])
    assert "twice" in refused(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_s31_compressed_members(method):
    # A bomb of 64 MB in 64 KB: refused by its header.
    assert "compressed" in refused(archive([("model.weights.h5", bytes(1 << 26))], method))


def directory_entry(data, number=0):
    """Offset of a central directory entry."""
    offset = struct.unpack_from("<L", data, len(data) - 6)[0]
    for _ in range(number):
        name, extra, comment = struct.unpack_from("<3H", data, offset + 28)
        offset += 46 + name + extra + comment
    return offset


@pytest.mark.parametrize("field", [20, 24])  # stored size, size
@pytest.mark.parametrize("value", [0, 1, 0xFFFFFFFE, 0xFFFFFFFF])
def test_s31_sizes_that_lie(field, value):
    data = bytearray(GOOD)
    struct.pack_into("<L", data, directory_entry(data) + field, value)
    refused(bytes(data))


def test_s31_both_sizes_lie_together():
    data = bytearray(GOOD)
    at = directory_entry(data)
    for where in (at + 20, at + 24, 18, 22):
        struct.pack_into("<L", data, where, 0x7FFFFFFF)
    refused(bytes(data))


def test_s31_overlapping_members():
    data = bytearray(GOOD)
    first, second = directory_entry(data, 0), directory_entry(data, 1)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    refused(bytes(data))


def test_bytes_between_and_around_members():
    refused(b"#!/bin/sh\n" + GOOD)
    refused(GOOD + b"tail")
    at = struct.unpack_from("<L", GOOD, len(GOOD) - 6)[0]
    data = bytearray(GOOD[:at] + b"hidden" + GOOD[at:])
    struct.pack_into("<L", data, len(data) - 6, at + 6)
    assert "no member" in refused(bytes(data))


@pytest.mark.parametrize("flag", [0x1, 0x8, 0x40, 0x2000])
def test_encrypted_and_streamed(flag):
    data = bytearray(GOOD)
    struct.pack_into("<H", data, directory_entry(data) + 8, flag)
    refused(bytes(data))


def test_too_many_members():
    refused(archive([(f"assets/m{i}", b"") for i in range(300)]))


def test_truncated_at_every_byte():
    for n in range(len(GOOD)):
        refused(GOOD[:n])


def test_every_flipped_byte_is_noticed_or_harmless():
    members = read_archive(GOOD)
    for i in range(len(GOOD)):
        data = bytearray(GOOD)
        data[i] ^= 0x55
        try:
            found = read_archive(bytes(data))
        except ValueError:
            continue
        # Times and versions may differ; contents and the number of members may not.
        assert list(map(bytes, found.values())) == list(map(bytes, members.values())), i


@pytest.mark.parametrize("data", [b"", b"PK", b"\x80\x04\x95pickle", b"\x89HDF\r\n\x1a\n", b"\x1f\x8b\x08", b"x" * 100])
def test_s34_other_kinds_of_files(data):
    message = refused(data)
    if data[:1] == b"\x80":
        assert "pickle" in message
